//! Outrider store.
