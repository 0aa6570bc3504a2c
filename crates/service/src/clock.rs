//! Now, and randomness: passed in, so that tests can move the one and repeat the other.

use std::sync::Mutex;

use outrider_model::{Random, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The time of day. It may jump in both directions: use it for what people read and for lease
    /// arithmetic of one process, not for pauses.
    fn now(&self) -> Timestamp;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the system"
    )]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Cryptographically secure randomness, seeded by the operating system.
pub struct OsRandom(Mutex<StdRng>);

impl OsRandom {
    /// Seeds a generator.
    pub fn new() -> Self {
        Self(Mutex::new(StdRng::from_rng(&mut rand::rng())))
    }
}

impl Default for OsRandom {
    fn default() -> Self {
        Self::new()
    }
}

impl Random for OsRandom {
    fn fill(&self, buffer: &mut [u8]) {
        let mut generator = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        generator.fill_bytes(buffer);
    }
}
