//! Sends one long log in large pieces, next to the reports: one job's bulk stops no other's.

use std::sync::Arc;

use bytes::Bytes;
use outrider_api::ErrorCode;
use outrider_api::client::ClientError;
use outrider_api::runner::{AppendLogResponse, ReportRequest};
use outrider_model::report::{Report, ReportAnswer};

use super::reporter::is_stale;
use super::{Control, Delivery, Reporter};
use crate::backoff::{Backoff, chain};

/// The largest piece. What is there is sent, be it less.
const PIECE: usize = 4 * 1024 * 1024;
/// The smallest size to which refusals bring that down.
const SMALLEST_PIECE: usize = 16 * 1024;

/// Sends the log of one attempt.
pub struct Sender {
    reporter: Reporter,
    delivery: Arc<Delivery>,
    backoff: Backoff,
    piece: usize,
    /// Read while the piece before it was under way.
    ready: Option<(u64, Bytes)>,
}

impl Sender {
    /// For one attempt.
    pub fn new(reporter: Reporter, delivery: Arc<Delivery>) -> Self {
        let backoff = Backoff::new("send a log to the server", Arc::clone(&reporter.random));
        Self {
            reporter,
            delivery,
            backoff,
            piece: PIECE,
            ready: None,
        }
    }

    /// Sends until there is nothing more to send and never will be.
    pub async fn run(mut self) {
        let log = Arc::clone(&self.delivery.log);
        while !self.delivery.is_closed() {
            let at = log.acknowledged();
            if at == log.length() || self.delivery.is_mending() {
                // The end waits for the last byte.
                self.delivery.owe_rest();
                log.grown.notified().await;
                continue;
            }
            match self.next(at).await {
                Ok(piece) => self.send(at, piece).await,
                Err(error) => self.backoff.failed(&error).await,
            }
        }
    }

    async fn next(&mut self, at: u64) -> std::io::Result<Bytes> {
        match self.ready.take() {
            Some((offset, bytes)) if offset == at && bytes.len() <= self.piece => Ok(bytes),
            _ => self.delivery.log.fetch(at, self.piece).await,
        }
    }

    async fn send(&mut self, at: u64, piece: Bytes) {
        let held = self.delivery.lease;
        let end = at + piece.len() as u64;
        let log = Arc::clone(&self.delivery.log);
        let max = self.piece;
        let sending = self
            .reporter
            .api
            .append_log(held.task, held.lease, at, piece);
        let reading = async {
            // Only a whole piece: a part would be all that the next request carries.
            let whole = log.length() - end >= max as u64;
            if whole {
                log.fetch(end, max).await.ok()
            } else {
                None
            }
        };
        let (answer, read) = tokio::join!(sending, reading);
        self.ready = read.map(|bytes| (end, bytes));
        match answer {
            Ok(AppendLogResponse { log_length, stop }) => {
                self.backoff.succeeded();
                if stop {
                    self.delivery.tell(Control::Cancel);
                }
                self.settle(log_length);
            }
            Err(error) => self.failed(&error).await,
        }
    }

    fn settle(&self, log_length: u64) {
        let fate = self.delivery.settled(log_length);
        self.reporter.settle(&self.delivery, fate);
    }

    async fn failed(&mut self, error: &ClientError) {
        if is_stale(error) {
            return self.reporter.ledger.lost(&self.delivery);
        }
        match error.code() {
            Some(ErrorCode::LogGap) => self.ask().await,
            Some(ErrorCode::TooLarge) if self.piece > SMALLEST_PIECE => self.piece /= 2,
            _ => self.backoff.failed(&chain(error)).await,
        }
    }

    /// Asks how much of the log the server has: an empty report changes nothing.
    async fn ask(&mut self) {
        let held = self.delivery.lease;
        let request = ReportRequest {
            reports: vec![Report::empty(held.task, held.lease)],
        };
        match self.reporter.api.report(&request).await {
            Ok(response) => match response.answers.first() {
                Some(
                    ReportAnswer::Accepted { log_length, .. } | ReportAnswer::LogGap { log_length },
                ) => self.settle(*log_length),
                Some(ReportAnswer::Stale { .. }) => self.reporter.ledger.lost(&self.delivery),
                Some(ReportAnswer::LogMismatch {}) | None => {
                    self.backoff.failed(&"the answer makes no sense").await;
                }
            },
            Err(error) => self.backoff.failed(&chain(&error)).await,
        }
    }
}
