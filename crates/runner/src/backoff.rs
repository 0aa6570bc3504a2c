//! Pauses between tries, and how often one speaks of it.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use outrider_model::Random;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// The tries of one loop: pauses that double from 100 ms to 5 s, each shortened by up to a half at
/// random so that many runners do not come back at the same moment. Logs the first failure and
/// the recovery, not what lies between.
pub struct Backoff {
    what: &'static str,
    random: Arc<dyn Random>,
    failures: u32,
}

impl Backoff {
    /// For a loop that does `what`, as in "cannot `what`".
    pub fn new(what: &'static str, random: Arc<dyn Random>) -> Self {
        Self {
            what,
            random,
            failures: 0,
        }
    }

    /// It worked.
    pub fn succeeded(&mut self) {
        if self.failures > 0 {
            tracing::info!(after_tries = self.failures, "can {} again", self.what);
        }
        self.failures = 0;
    }

    /// It did not: waits before the next try.
    pub async fn failed(&mut self, why: &(dyn Display + Sync)) {
        if self.failures == 0 {
            tracing::warn!("cannot {}, and will try until it works: {why}", self.what);
        }
        let pause = self.pause();
        self.failures = self.failures.saturating_add(1);
        tokio::time::sleep(pause).await;
    }

    fn pause(&self) -> Duration {
        let longest = LONGEST.min(FIRST * 2_u32.saturating_pow(self.failures.min(10)));
        let mut byte = [0; 1];
        self.random.fill(&mut byte);
        longest.mul_f64(1.0 - f64::from(byte[0]) / 512.0)
    }
}

/// An error and what it comes from, on one line; below it what the error says can be done.
pub fn chain(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let (what, advice) = text.split_at(text.find('\n').unwrap_or(text.len()));
    let mut line = what.to_owned();
    let mut source = error.source();
    while let Some(inner) = source {
        line.push_str(": ");
        line.push_str(&inner.to_string());
        source = inner.source();
    }
    line + advice
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bytes(u8);
    impl Random for Bytes {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    #[test]
    fn what_can_be_done_stands_below_the_causes() {
        let error = |text: &str| std::io::Error::other(text.to_owned());
        let error = outrider_executor::ExecutorError::user("no shell\nname another", error("gone"));
        assert_eq!(chain(&error), "no shell: gone\nname another");
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_five_seconds_and_start_anew_after_success() {
        let mut backoff = Backoff::new("test", Arc::new(Bytes(0)));
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let before = tokio::time::Instant::now();
            backoff.failed(&"no").await;
            pauses.push(before.elapsed().as_millis());
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        backoff.succeeded();
        assert_eq!(backoff.pause(), FIRST);
        assert!(Backoff::new("test", Arc::new(Bytes(255))).pause() > FIRST / 2);
    }
}
