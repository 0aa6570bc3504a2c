//! Outrider api.
