//! The leases that a runner holds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outrider_model::AttemptId;
use tokio::sync::Notify;

use super::{Control, Delivery};

/// Attempts whose end the server has not acknowledged yet.
#[derive(Debug, Default)]
pub struct Ledger {
    open: Mutex<HashMap<AttemptId, Arc<Delivery>>>,
    /// There is one less. One waiter.
    pub fewer: Notify,
    /// There is one where there was none. One waiter.
    pub some: Notify,
}

impl Ledger {
    /// A lease is held from now on.
    pub fn add(&self, delivery: Arc<Delivery>) {
        let mut open = self.open();
        if open.is_empty() {
            self.some.notify_one();
        }
        open.insert(delivery.attempt, delivery);
    }

    /// The server has everything about this attempt, or gave its task to somebody else.
    pub fn close(&self, delivery: &Delivery) {
        delivery.close();
        self.open().remove(&delivery.attempt);
        self.fewer.notify_one();
    }

    /// The lease is lost: that work ends at once.
    pub fn lost(&self, delivery: &Delivery) {
        delivery.tell(Control::LeaseLost);
        self.close(delivery);
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Delivery>> {
        self.open().values().cloned().collect()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.open().len()
    }

    fn open(&self) -> MutexGuard<'_, HashMap<AttemptId, Arc<Delivery>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
