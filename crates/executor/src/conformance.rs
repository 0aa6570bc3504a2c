//! What every executor must do.
