//! Outrider service.
