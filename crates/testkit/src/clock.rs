//! A clock that goes as tokio's does, so that paused time moves it, and that can jump.

use std::sync::atomic::{AtomicI64, Ordering};

use outrider_model::Timestamp;
use outrider_service::Clock;
use tokio::time::Instant;

/// Starts at a fixed time of day.
pub struct MovingClock {
    started: Instant,
    jumped: AtomicI64,
}

/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600_000;

impl Default for MovingClock {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            jumped: AtomicI64::new(0),
        }
    }
}

impl MovingClock {
    /// From now on it shows so many milliseconds more, or less: somebody set the host's clock.
    pub fn jump(&self, millis: i64) {
        self.jumped.fetch_add(millis, Ordering::Relaxed);
    }
}

impl Clock for MovingClock {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(START + passed + self.jumped.load(Ordering::Relaxed))
    }
}
