//! Attempts that have something to say.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::Delivery;

/// Queues for the reporter: each attempt stands in each at most once.
#[derive(Debug, Default)]
pub struct Outbox {
    queues: Mutex<Queues>,
    some: Notify,
}

#[derive(Debug, Default)]
struct Queues {
    reports: VecDeque<Arc<Delivery>>,
    bulk: Vec<Arc<Delivery>>,
}

impl Outbox {
    /// This attempt has something to report.
    pub fn push(&self, delivery: Arc<Delivery>) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.reports.push_back(delivery);
        drop(queues);
        self.some.notify_one();
    }

    /// The log of this attempt is too long for reports.
    pub fn send_in_bulk(&self, delivery: Arc<Delivery>) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.bulk.push(delivery);
        drop(queues);
        self.some.notify_one();
    }

    /// Waits until somebody has something to say.
    pub async fn some(&self) {
        self.some.notified().await;
    }

    /// Up to `max` attempts with something to report, the longest waiting first.
    pub fn take(&self, max: usize) -> Vec<Arc<Delivery>> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let count = max.min(queues.reports.len());
        let taken = queues.reports.drain(..count).collect();
        if !queues.reports.is_empty() {
            self.some.notify_one();
        }
        taken
    }

    /// Attempts whose logs are to be sent in bulk from now on.
    pub fn take_bulk(&self) -> Vec<Arc<Delivery>> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut queues.bulk)
    }
}
