//! Outrider runner.
