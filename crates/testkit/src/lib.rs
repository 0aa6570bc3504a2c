//! Outrider testkit.
