//! What the server does by itself. Each duty is a function that can be run again at any time; a
//! small driver calls it.

pub mod collect_garbage;
pub mod end_long_waits;
pub mod expire_leases;
mod forget_runners;
mod outbox;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use outrider_service::Tasks;

use crate::{ApiError, Core};

/// Starts all duties. They end when the server drains.
pub fn start(core: &Arc<Core>, tasks: &Tasks) {
    drive(core, tasks, "expire leases", |core| async move {
        expire_leases::expire_leases_once(&core).await
    });
    drive(core, tasks, "end long waits", |core| async move {
        end_long_waits::end_long_waits_once(&core).await
    });
    drive(core, tasks, "forget silent runners", |core| async move {
        forget_runners::forget_runners_once(&core).await
    });
    let collector = Arc::new(collect_garbage::Collector::new(core));
    drive(core, tasks, "collect garbage", move |core| {
        let collector = Arc::clone(&collector);
        async move { collector.collect_once(&core).await }
    });
    let sender = Arc::new(outbox::Sender::new(core.settings.webhook.as_ref()));
    drive(core, tasks, "send the outbox", move |core| {
        let sender = Arc::clone(&sender);
        async move { outbox::send_outbox_once(&core, &sender).await }
    });
}

/// After a failure a duty is tried again after this time.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Calls a duty again and again, each time after the pause that it asks for.
fn drive<F, D>(core: &Arc<Core>, tasks: &Tasks, name: &'static str, duty: D)
where
    D: Fn(Arc<Core>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Duration, ApiError>> + Send,
{
    let core = Arc::clone(core);
    tasks.spawn(async move {
        loop {
            let pause = duty(Arc::clone(&core)).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "could not {name}; will try again");
                PAUSE_AFTER_FAILURE
            });
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = core.shutdown.draining() => return,
            }
        }
    });
}
