//! Archives from the outside: a tree, a store in memory, and another tree.

mod common;
mod fidelity;
mod replace;
mod transfers;
