//! Shutdown in two phases, and tasks that it waits for.
//!
//! The first SIGTERM or SIGINT asks everybody to stop taking work and to drain. The second one, or
//! the deadline of whoever drains, ends what is left.

use std::future::Future;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerWaitFuture;

/// Tells everybody in which phase of its life the process is.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    stop: CancellationToken,
}

impl Shutdown {
    /// A process that is not shutting down.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that also shuts down when this one does.
    pub fn child(&self) -> Self {
        Self {
            drain: self.drain.child_token(),
            stop: self.stop.child_token(),
        }
    }

    /// First phase: take no more work, finish what there is.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Second phase: end at once.
    pub fn stop(&self) {
        self.drain.cancel();
        self.stop.cancel();
    }

    /// Whether the first phase has begun.
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Whether the second phase has begun.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Waits for the first phase.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Waits for the second phase.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Turns signals into phases until the second one came.
    pub async fn listen_to_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        for _ in 0..2 {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            if self.is_draining() {
                tracing::warn!("stopping now");
                self.stop();
            } else {
                tracing::info!("draining: no new work; signal again to stop at once");
                self.drain();
            }
        }
        Ok(())
    }
}

/// Background tasks of one component: nothing is spawned that nobody waits for.
#[derive(Clone, Debug, Default)]
pub struct Tasks(TaskTracker);

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts one.
    pub fn spawn<F>(&self, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn(future)
    }

    /// Waits until all tasks have ended.
    pub fn ended(&self) -> TaskTrackerWaitFuture<'_> {
        self.0.close();
        self.0.wait()
    }
}
