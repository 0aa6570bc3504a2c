//! A step's output, and when it was last heard of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_executor::Output;
use tokio::time::Instant;

use crate::deliver::Delivery;

/// When a step last wrote something.
#[derive(Debug)]
pub struct Activity {
    origin: Instant,
    /// Milliseconds after `origin`.
    last: AtomicU64,
    /// Writes that wait for the disk: a step that the runner itself holds back is not silent.
    waiting: AtomicU32,
}

impl Activity {
    /// From now on.
    pub fn new() -> Arc<Self> {
        let (last, waiting) = (AtomicU64::new(0), AtomicU32::new(0));
        Arc::new(Self {
            origin: Instant::now(),
            last,
            waiting,
        })
    }

    /// It is heard of now.
    pub fn touch(&self) {
        let since = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.fetch_max(since, Ordering::Relaxed);
    }

    /// When it was last heard of.
    pub fn last(&self) -> Instant {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            return Instant::now();
        }
        self.origin + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }
}

/// Takes the output of one step.
pub struct StepOutput {
    step: u32,
    delivery: Arc<Delivery>,
    activity: Arc<Activity>,
}

impl StepOutput {
    /// The output of the step with this index.
    pub const fn new(step: u32, delivery: Arc<Delivery>, activity: Arc<Activity>) -> Self {
        Self {
            step,
            delivery,
            activity,
        }
    }
}

#[async_trait]
impl Output for StepOutput {
    async fn write(&self, bytes: Bytes) {
        self.activity.waiting.fetch_add(1, Ordering::Relaxed);
        if !bytes.is_empty() {
            self.delivery.append(self.step, bytes).await;
        }
        self.activity.touch();
        self.activity.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
