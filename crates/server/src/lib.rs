//! Outrider server.
