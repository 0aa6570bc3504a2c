//! What an earlier process of this runner left behind: its processes are ended, its results
//! delivered.

use std::sync::Arc;

use outrider_api::runner::HeldLease;
use outrider_executor::Executor;
use outrider_model::Outcome;
use outrider_model::reason::EndReason;
use outrider_model::report::{StepEnd, StepReport};
use outrider_service::Clock;
use tokio::sync::mpsc::unbounded_channel;

use crate::backoff::chain;
use crate::deliver::{Delivery, Ledger, Outbox};
use crate::log::{BLOCK, Disk, Log, TreeHash};
use crate::spool::{Leftover, Spool};

/// What recovery needs.
pub struct Recovery<'a> {
    /// Ends what still runs.
    pub executor: &'a dyn Executor,
    /// Where the logs are.
    pub spool: &'a Spool,
    /// Gets what is still to be delivered.
    pub ledger: &'a Ledger,
    /// Delivers it.
    pub outbox: &'a Arc<Outbox>,
    /// For how long steps ran.
    pub clock: &'a dyn Clock,
}

impl Recovery<'_> {
    /// Ends left-over processes, and starts to deliver. Returns what is to be given back.
    pub async fn run(&self, leftovers: Vec<Leftover>) -> Vec<Arc<Delivery>> {
        let mut to_release = Vec::new();
        for leftover in leftovers {
            let attempt = leftover.task.attempt;
            for handle in &leftover.handles {
                if let Err(error) = self.executor.recover(handle).await {
                    tracing::error!(%attempt, "cannot end left-over processes: {}", chain(&error));
                }
            }
            match self.resume(leftover).await {
                Ok(delivery) => to_release.extend(delivery),
                Err(error) => {
                    // Its lease runs out, and the server says what became of it.
                    tracing::error!(%attempt, "cannot read what was left in the spool: {error}");
                }
            }
        }
        to_release
    }

    async fn resume(&self, leftover: Leftover) -> std::io::Result<Option<Arc<Delivery>>> {
        let Leftover {
            task,
            runner,
            steps,
            spans,
            head,
            blocks,
            finished,
            journal,
            ..
        } = leftover;
        let (attempt, lease) = (
            task.attempt,
            HeldLease {
                task: task.task,
                lease: task.lease,
            },
        );
        let punched = blocks.len() as u64 * BLOCK;
        let file = self.spool.log_file_if_there(attempt)?;
        let log = read_log(Disk::found(head, file, punched)?, blocks).await?;
        // Nobody listens: there is no driver.
        let (control, _) = unbounded_channel();
        let delivery = Delivery::new(attempt, lease, log, journal, self.outbox, control);
        self.ledger.add(Arc::clone(&delivery));
        match finished {
            Some(finished) => {
                tracing::info!(%attempt, "delivering the end of a task");
                delivery.resume(steps.into_values().collect(), spans);
                delivery.finished_before(finished);
                Ok(None)
            }
            None if steps.is_empty() => {
                tracing::info!(%attempt, "giving back a task that had not started");
                Ok(Some(delivery))
            }
            None => {
                tracing::warn!(%attempt, "a task was cut off by the end of its runner");
                let planned = task.payload.spec.steps.len();
                self.cut_off(
                    &delivery,
                    planned,
                    runner,
                    steps.into_values().collect(),
                    spans,
                )
                .await;
                Ok(None)
            }
        }
    }

    /// `planned`: how many steps the config has. What comes after them ran beside them.
    async fn cut_off(
        &self,
        delivery: &Arc<Delivery>,
        planned: usize,
        runner: String,
        mut steps: Vec<StepReport>,
        spans: Vec<outrider_model::report::LogSpan>,
    ) {
        let now = self.clock.now();
        let mut last = 0;
        for step in steps.iter_mut().filter(|step| step.ended.is_none()) {
            if (step.index as usize) < planned {
                last = last.max(step.index);
            }
            let duration = now.since(step.started_at);
            let end = StepEnd {
                outcome: Outcome::Lost,
                exit: None,
                duration,
                usage: None,
            };
            step.ended = Some(end);
        }
        delivery.resume(steps, spans);
        let reason = EndReason::RunnerRestarted { runner };
        delivery
            .append(
                last,
                format!("[outrider] The log ends here: {reason}.\n").into(),
            )
            .await;
        delivery.finish(Outcome::Lost, Some(reason));
    }
}

/// Hashes what is on the disk, apart from the blocks whose hashes are known.
async fn read_log(disk: Disk, blocks: Vec<[u8; 32]>) -> std::io::Result<Log> {
    let reading = tokio::task::spawn_blocking(move || {
        let (from, length) = (disk.punched(), disk.length());
        let mut hash = TreeHash::after(blocks);
        disk.reader(from, 0).hash_into(&mut hash, length)?;
        Ok(Log::new(disk, hash))
    });
    reading.await.map_err(std::io::Error::other)?
}
