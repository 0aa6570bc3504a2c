//! Renews leases, and hears of cancellations.

use std::sync::Arc;
use std::time::Duration;

use outrider_api::runner::{HeartbeatRequest, HeartbeatResponse, LeaseStanding};
use outrider_model::{Random, RunnerId};
use outrider_service::Shutdown;
use tokio_util::sync::CancellationToken;

use crate::ServerApi;
use crate::backoff::{Backoff, chain};
use crate::deliver::{Control, Delivery, Ledger};

/// Keeps the leases of a runner.
pub struct Heartbeat {
    /// The server.
    pub api: Arc<dyn ServerApi>,
    /// The leases.
    pub ledger: Arc<Ledger>,
    /// Who holds them.
    pub runner: RunnerId,
    /// How often they are renewed.
    pub interval: Duration,
    /// Begins to drain when the server says so.
    pub shutdown: Shutdown,
    /// For pauses.
    pub random: Arc<dyn Random>,
    /// Ends it.
    pub end: CancellationToken,
}

impl Heartbeat {
    /// Keeps them until it is ended. Without leases it does nothing at all.
    pub async fn run(self) {
        let mut backoff = Backoff::new("renew leases", Arc::clone(&self.random));
        let work = async {
            loop {
                let held = self.ledger.all();
                if held.is_empty() {
                    self.ledger.some.notified().await;
                } else {
                    self.beat(&held, &mut backoff).await;
                }
                // An answer may come at once: most tasks are over before this pause is.
                tokio::time::sleep(self.interval / 50).await;
            }
        };
        self.end.run_until_cancelled(work).await;
    }

    /// Renews once. The server answers when the interval is over, or when there is news.
    async fn beat(&self, held: &[Arc<Delivery>], backoff: &mut Backoff) {
        let request = HeartbeatRequest {
            runner: self.runner,
            leases: held.iter().map(|delivery| delivery.lease).collect(),
            wait_ms: u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX),
        };
        match self.api.heartbeat(&request).await {
            Ok(response) => {
                backoff.succeeded();
                self.heard(held, &response);
            }
            // Nothing is stopped for it: the work goes on until the server says otherwise.
            Err(error) => backoff.failed(&chain(&error)).await,
        }
    }

    fn heard(&self, held: &[Arc<Delivery>], response: &HeartbeatResponse) {
        if response.drain {
            self.shutdown.drain();
        }
        for (delivery, standing) in held.iter().zip(&response.leases) {
            match standing {
                LeaseStanding::Held => {}
                LeaseStanding::Stop => delivery.tell(Control::Cancel),
                // Its last report may just have been taken: then the answer to that one counts.
                LeaseStanding::Stale if delivery.is_finished() => {}
                LeaseStanding::Stale => self.ledger.lost(delivery),
            }
        }
    }
}
