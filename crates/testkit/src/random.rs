//! Randomness that a seed repeats.

use std::sync::{Mutex, MutexGuard, PoisonError};

use outrider_model::Random;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// A seeded source, for ids as well as for faults.
pub struct Seeded(Mutex<StdRng>);

impl Seeded {
    /// The same seed gives the same.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    /// True in so many of a hundred cases.
    pub fn percent(&self, chance: u32) -> bool {
        self.generator().random_range(0..100) < chance
    }

    /// A number below `end`; 0 if that is 0.
    pub fn below(&self, end: u64) -> u64 {
        if end == 0 {
            0
        } else {
            self.generator().random_range(0..end)
        }
    }

    fn generator(&self) -> MutexGuard<'_, StdRng> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Random for Seeded {
    fn fill(&self, buffer: &mut [u8]) {
        self.generator().fill_bytes(buffer);
    }
}
