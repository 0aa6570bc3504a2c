//! Tests of this backend alone; what every backend must do is in the contract.
