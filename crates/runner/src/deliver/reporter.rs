//! Sends reports: one request at a time, in it all that came up meanwhile. That is group commit on
//! the wire: the busier a runner is, the more tasks share a request.

use std::sync::Arc;
use std::time::Duration;

use outrider_api::client::ClientError;
use outrider_api::runner::ReportRequest;
use outrider_model::Random;
use outrider_service::Tasks;
use tokio_util::sync::CancellationToken;

use super::{Delivery, Fate, Ledger, Outbox, Sent, bulk};
use crate::ServerApi;
use crate::backoff::{Backoff, chain};

/// Reports in one request; with their logs they stay well below the size that servers take.
const MAX_REPORTS: usize = 256;
/// Bytes of logs in one request, beyond which no further report is added.
const MAX_LOG_BYTES: usize = 1024 * 1024;
/// The pause before a log is sent again from its start.
const RESEND: Duration = Duration::from_millis(200);
/// The pause before a spool that cannot be read is read again.
const UNREADABLE: Duration = Duration::from_secs(5);

/// Delivers what the [`Outbox`] holds.
#[derive(Clone)]
pub struct Reporter {
    /// The server.
    pub api: Arc<dyn ServerApi>,
    /// Who has something to say.
    pub outbox: Arc<Outbox>,
    /// Whose leases are held.
    pub ledger: Arc<Ledger>,
    /// For pauses.
    pub random: Arc<dyn Random>,
    /// Ends it. What is not delivered then stays in the spool.
    pub end: CancellationToken,
    /// Where the senders of long logs run.
    pub tasks: Tasks,
}

type Batch = Vec<(Arc<Delivery>, Sent)>;

impl Reporter {
    /// Delivers until it is ended.
    pub async fn run(self) {
        let mut backoff = Backoff::new("report to the server", Arc::clone(&self.random));
        let mut max = MAX_REPORTS;
        let work = async {
            loop {
                self.outbox.some().await;
                self.deliver(&mut backoff, &mut max).await;
            }
        };
        self.end.run_until_cancelled(work).await;
    }

    /// One request, if there is something to say.
    async fn deliver(&self, backoff: &mut Backoff, max: &mut usize) {
        let batch = self.collect(*max);
        self.start_bulk();
        if batch.is_empty() {
            return;
        }
        let (receivers, sent): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let request = ReportRequest {
            reports: sent.into_iter().map(|sent| sent.report).collect(),
        };
        let answers = self.api.report(&request).await;
        let batch = receivers
            .into_iter()
            .zip(request.reports.into_iter().map(|report| Sent { report }))
            .collect();
        match answers {
            Ok(response) if response.answers.len() >= Batch::len(&batch) => {
                backoff.succeeded();
                *max = MAX_REPORTS;
                for ((delivery, sent), answer) in batch.into_iter().zip(&response.answers) {
                    let fate = delivery.answered(sent, answer);
                    self.settle(&delivery, fate);
                }
            }
            Ok(_) => put_back_all(batch, backoff, &"the answer is for fewer reports").await,
            Err(error) => {
                // Perhaps it is one report that the server will not have, or the request is longer
                // than a bad network carries: with fewer reports the others get through.
                *max = (*max / 2).max(1);
                put_back_all(batch, backoff, &chain(&error)).await;
            }
        }
    }

    fn collect(&self, max: usize) -> Batch {
        let mut batch = Batch::new();
        let mut bytes = 0;
        while batch.len() < max && bytes < MAX_LOG_BYTES {
            let Some(delivery) = self.outbox.take(1).pop() else {
                break;
            };
            let sent = match delivery.next_report() {
                Ok(sent) => sent,
                Err(error) => {
                    tracing::error!(attempt = %delivery.attempt, "cannot read the spool: {error}");
                    self.later(delivery, UNREADABLE, |delivery| delivery.owe_rest());
                    continue;
                }
            };
            if let Some(sent) = sent {
                bytes += sent
                    .report
                    .log
                    .as_ref()
                    .map_or(0, |chunk| chunk.bytes.len());
                batch.push((delivery, sent));
            }
        }
        batch
    }

    fn start_bulk(&self) {
        for delivery in self.outbox.take_bulk() {
            let sender = bulk::Sender::new(self.clone(), delivery);
            let end = self.end.clone();
            self.tasks
                .spawn(async move { end.run_until_cancelled(sender.run()).await });
        }
    }

    /// Does what an answer means.
    pub fn settle(&self, delivery: &Arc<Delivery>, fate: Fate) {
        match fate {
            Fate::Open => {}
            Fate::Delivered => self.ledger.close(delivery),
            Fate::Lost => self.ledger.lost(delivery),
            Fate::Mismatch => self.resend(delivery),
        }
    }

    /// Sends a log again from its start; not at once, should the server say so again and again.
    fn resend(&self, delivery: &Arc<Delivery>) {
        let attempt = delivery.attempt;
        tracing::warn!(%attempt, "the server holds another log; sending it again");
        self.later(Arc::clone(delivery), RESEND, |delivery| delivery.resend());
    }

    /// Does something with a delivery after a pause, where it may take its time.
    fn later(
        &self,
        delivery: Arc<Delivery>,
        pause: Duration,
        act: impl FnOnce(&Arc<Delivery>) + Send + 'static,
    ) {
        let end = self.end.clone();
        self.tasks.spawn(async move {
            if end
                .run_until_cancelled(tokio::time::sleep(pause))
                .await
                .is_some()
            {
                let _ = tokio::task::spawn_blocking(move || act(&delivery)).await;
            }
        });
    }
}

async fn put_back_all(batch: Batch, backoff: &mut Backoff, why: &(dyn std::fmt::Display + Sync)) {
    backoff.failed(why).await;
    for (delivery, sent) in batch {
        delivery.put_back(sent);
    }
}

/// Whether an error means that the lease is not held.
pub fn is_stale(error: &ClientError) -> bool {
    use outrider_api::ErrorCode;
    matches!(
        error.code(),
        Some(ErrorCode::StaleLease | ErrorCode::NotFound)
    )
}
