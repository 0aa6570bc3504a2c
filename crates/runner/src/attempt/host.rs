//! The place on the runner's own host for what it does there in a step's stead.
//!
//! Where a task's environment hides its files, `checkout` runs git on the host. That git gets an
//! environment of processes, so that it is ended and cleared away as steps are, by a stop, by a
//! timeout, and after a crash of the runner too. It is a second environment of the attempt, not a
//! layer around the first one: that layer would have to pass on every method of both for the sake
//! of one. It is made when a step needs it, and removed when that step is done: other tasks pay
//! nothing for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outrider_executor::{Environment, ExecutorError, PrepareRequest};
use outrider_model::AttemptId;
use outrider_model::plan::EnvironmentKind;

use super::Workshop;
use crate::deliver::Delivery;
use crate::spool::Entry;

/// That place, while a step needs it.
pub struct HostPlace {
    delivery: Arc<Delivery>,
    slot: usize,
    open: Mutex<Option<Arc<dyn Environment>>>,
}

impl HostPlace {
    /// None yet.
    pub fn new(delivery: Arc<Delivery>, slot: usize) -> Self {
        let open = Mutex::default();
        Self {
            delivery,
            slot,
            open,
        }
    }

    /// Opens it, under an id of its own: what carries it is not what runs for the task's. Whoever is
    /// told to stop meanwhile starts nothing in it.
    pub async fn open(
        &self,
        workshop: &Workshop,
    ) -> Result<(AttemptId, Arc<dyn Environment>), ExecutorError> {
        let Some(host) = workshop.executor.host() else {
            let message = "this runner cannot run git on its own host";
            return Err(ExecutorError::infrastructure(message, None));
        };
        let id = AttemptId::new(workshop.clock.now(), &*workshop.random);
        let kind = EnvironmentKind::Machine { image: None };
        let request = PrepareRequest::new(id, self.slot, kind, "~");
        let environment = host.prepare(request).await?;
        // Before anything runs in it, so that it is found after a crash.
        self.delivery.keep(&Entry::Prepared(environment.handle()));
        *self.lock() = Some(Arc::clone(&environment));
        Ok((id, environment))
    }

    /// Ends what runs in it.
    pub async fn stop(&self, grace: Duration) -> Result<(), ExecutorError> {
        let open = self.lock().clone();
        match open {
            Some(environment) => environment.stop(grace).await,
            None => Ok(()),
        }
    }

    /// Ends what runs in it, and removes it.
    pub async fn close(&self) -> Result<(), ExecutorError> {
        let open = self.lock().clone();
        if let Some(environment) = open {
            environment.cleanup().await?;
            *self.lock() = None;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<dyn Environment>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
