//! Room for tasks.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

/// The slots of a runner, numbered from 0.
#[derive(Debug)]
pub struct Slots {
    taken: Mutex<Vec<bool>>,
    last_freed: Mutex<Instant>,
    /// One became free. One waiter.
    pub freed: Notify,
}

impl Slots {
    /// So many, at least one, all free.
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Self {
            taken: Mutex::new(vec![false; count.max(1)]),
            last_freed: Mutex::new(Instant::now()),
            freed: Notify::new(),
        })
    }

    /// How many are free.
    pub fn free(&self) -> usize {
        self.with(|taken| taken.iter().filter(|taken| !**taken).count())
    }

    /// Whether all are.
    pub fn idle(&self) -> bool {
        self.with(|taken| taken.iter().all(|taken| !taken))
    }

    /// Since when all are, if all are.
    pub fn idle_since(&self) -> Option<Instant> {
        let since = *self
            .last_freed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.idle().then_some(since)
    }

    /// Takes one. None where none is free.
    pub fn take(self: &Arc<Self>) -> Option<Slot> {
        let index = self.with(|taken| {
            let index = taken.iter().position(|taken| !taken)?;
            taken[index] = true;
            Some(index)
        })?;
        Some(Slot {
            index,
            slots: Arc::clone(self),
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut [bool]) -> T) -> T {
        f(&mut self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Room for one task, until it is dropped.
#[derive(Debug)]
pub struct Slot {
    index: usize,
    slots: Arc<Slots>,
}

impl Slot {
    /// Its number.
    pub const fn index(&self) -> usize {
        self.index
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *self
            .slots
            .last_freed
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.slots.with(|taken| taken[self.index] = false);
        self.slots.freed.notify_one();
    }
}
