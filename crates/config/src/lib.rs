//! Outrider config.
