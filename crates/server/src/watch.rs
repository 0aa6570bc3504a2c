//! Who follows what: streams that look again when something they show has changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use outrider_model::{AttemptId, RunnerId, TaskId};
use tokio::sync::watch;

/// What can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A task gets its next attempt.
    Task(TaskId),
    /// An attempt's log grows or ends.
    Attempt(AttemptId),
    /// A runner's tasks are to be stopped.
    Runner(RunnerId),
}

/// All followers.
pub struct Watchers {
    topics: Mutex<HashMap<Topic, watch::Sender<()>>>,
    any: watch::Sender<u64>,
}

/// One follower of one topic. Dropping it ends the following.
pub struct Follower {
    watchers: Arc<Watchers>,
    topic: Topic,
    changes: watch::Receiver<()>,
}

impl Default for Watchers {
    fn default() -> Self {
        Self {
            topics: Mutex::default(),
            any: watch::Sender::new(0),
        }
    }
}

impl Watchers {
    /// Follows a topic. What changes from now on is noticed, also before the first wait.
    pub fn follow(self: &Arc<Self>, topic: Topic) -> Follower {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = topics
            .entry(topic)
            .or_insert_with(|| watch::Sender::new(()));
        Follower {
            watchers: Arc::clone(self),
            topic,
            changes: sender.subscribe(),
        }
    }

    /// Something of this topic changed.
    pub fn touch(&self, topic: Topic) {
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = topics.get(&topic) {
            sender.send_modify(|()| {});
        }
    }

    /// The status of something changed.
    pub fn touch_any(&self) {
        self.any
            .send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    /// Counts changes of any status.
    pub fn any(&self) -> watch::Receiver<u64> {
        self.any.subscribe()
    }
}

impl Follower {
    /// Waits for the next change since the last wait.
    pub async fn changed(&mut self) {
        // The sender lives as long as a follower of its topic does.
        let _ = self.changes.changed().await;
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut topics = self
            .watchers
            .topics
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if topics
            .get(&self.topic)
            .is_some_and(|sender| sender.receiver_count() == 1)
        {
            topics.remove(&self.topic);
        }
    }
}
