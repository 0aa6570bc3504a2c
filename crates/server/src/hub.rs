//! Who waits for work, and who is woken when there is some.
//!
//! A wake-up is a hint: the store is the truth. Whoever waits takes a [`Place`] before it asks the
//! store, so that work which arrives in between wakes it. As many are woken as there is work for,
//! those who wait longest first; a wake-up that its receiver cannot use is passed on.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use outrider_model::ClassName;
use outrider_store::Woken;
use tokio::sync::oneshot;

/// All that wait, by class.
#[derive(Default)]
pub struct Hub {
    classes: Mutex<HashMap<ClassName, Line>>,
}

/// Those that wait for one class, by the order in which they came.
#[derive(Default)]
struct Line {
    next: u64,
    waiters: BTreeMap<u64, Waiter>,
}

struct Waiter {
    slots: u32,
    wake: oneshot::Sender<()>,
}

/// A place in a line. Dropping it leaves the line.
pub struct Place {
    hub: Arc<Hub>,
    class: ClassName,
    number: u64,
    slots: u32,
    woken: oneshot::Receiver<()>,
    used: bool,
}

impl Hub {
    /// Takes the last place in a class's line.
    pub fn join(self: &Arc<Self>, class: &ClassName, slots: u32) -> Place {
        let (wake, woken) = oneshot::channel();
        let mut classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
        let line = classes.entry(class.clone()).or_default();
        let number = line.next;
        line.next += 1;
        line.waiters.insert(number, Waiter { slots, wake });
        Place {
            hub: Arc::clone(self),
            class: class.clone(),
            number,
            slots,
            woken,
            used: false,
        }
    }

    /// There is new work.
    pub fn wake(&self, work: &Woken) {
        for (class, count) in &work.0 {
            self.wake_class(class, *count);
        }
    }

    fn wake_class(&self, class: &ClassName, mut count: u32) {
        let mut classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(line) = classes.get_mut(class) else {
            return;
        };
        while count > 0 {
            let Some((_, waiter)) = line.waiters.pop_first() else {
                return;
            };
            if waiter.wake.send(()).is_ok() {
                count = count.saturating_sub(waiter.slots);
            }
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        let classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
        classes.values().map(|line| line.waiters.len()).sum()
    }

    fn leave(&self, class: &ClassName, number: u64) {
        let mut classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = classes.get_mut(class) {
            line.waiters.remove(&number);
        }
    }
}

impl Place {
    /// Waits until there is work. Whoever is woken asks the store, and then calls [`Place::used`].
    pub async fn woken(&mut self) {
        if (&mut self.woken).await.is_err() {
            // Only a hub that is gone drops the other end: nobody will ever wake this place.
            std::future::pending::<()>().await;
        }
    }

    /// The wake-up led to a look at the store: it need not be passed on.
    pub fn used(mut self) {
        self.used = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.hub.leave(&self.class, self.number);
        let was_woken = self.woken.try_recv().is_ok() || self.woken.is_terminated();
        if was_woken && !self.used {
            self.hub.wake_class(&self.class, self.slots);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class() -> ClassName {
        "acme/linux".parse().unwrap()
    }

    fn work(count: u32) -> Woken {
        Woken(vec![(class(), count)])
    }

    #[tokio::test]
    async fn wakes_as_many_as_there_is_work_for_the_longest_waiting_first() {
        let hub = Arc::new(Hub::default());
        let mut first = hub.join(&class(), 2);
        let mut second = hub.join(&class(), 2);
        let third = hub.join(&class(), 2);
        hub.wake(&work(3));
        first.woken().await;
        second.woken().await;
        assert_eq!(hub.waiting(), 1);
        first.used();
        second.used();
        drop(third);
        assert_eq!(hub.waiting(), 0);
    }

    #[tokio::test]
    async fn a_wake_up_that_nobody_used_goes_to_the_next() {
        let hub = Arc::new(Hub::default());
        let gone = hub.join(&class(), 1);
        let mut next = hub.join(&class(), 1);
        hub.wake(&work(1));
        drop(gone);
        next.woken().await;

        let mut last = hub.join(&class(), 1);
        drop(next);
        last.woken().await;
    }
}
