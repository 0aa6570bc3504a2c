//! Why a container has ended, when nobody here has ended it.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt;
use tokio::time::timeout;

use super::engine::Engine;
use crate::ExecutorError;

/// How long the Engine may take to tell of something that has happened already.
const NEWS: Duration = Duration::from_secs(5);

/// How a container ends that was killed.
const KILLED: i32 = 128 + 9;

/// What the Engine can say about a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Testimony {
    /// Nothing: it does not answer.
    #[default]
    Silent,
    /// Nothing: it has forgotten, as it does when it is restarted.
    Forgotten,
    /// What has happened to it.
    Given,
}

/// What the Engine remembers of a container's end. The container itself is gone by then, mostly:
/// the Engine removes it at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Death {
    engine: Testimony,
    out_of_memory: bool,
    killed: bool,
    exit_code: Option<i32>,
    removed: bool,
}

impl Death {
    /// Asks the Engine. `memory` is the container's limit.
    pub async fn of(engine: &Engine, container: &str, memory: Option<u64>) -> Self {
        let filters = HashMap::from([("container".to_owned(), vec![container.to_owned()])]);
        // From the first event on that it remembers.
        let options = EventsOptionsBuilder::new().since("1").filters(&filters);
        let events = engine.docker().events(Some(options.build()));
        tokio::pin!(events);
        let mut death = Self::default();
        let listen = async {
            while let Some(Ok(event)) = events.next().await {
                death.add(&event);
                if death.removed {
                    break;
                }
            }
        };
        // A container whose end the Engine does not tell of is still there.
        let _ = timeout(NEWS, listen).await;
        if death.engine == Testimony::Silent
            && matches!(timeout(NEWS, engine.docker().ping()).await, Ok(Ok(_)))
        {
            death.engine = Testimony::Forgotten;
        }
        if memory.is_some() && engine.may_miss_lack_of_memory() {
            death.infer();
        }
        death
    }

    /// Nothing inside a container can kill its init, and the Engine tells of what it was asked to do
    /// itself: what is left is the container's limit.
    fn infer(&mut self) {
        self.out_of_memory |= !self.killed && self.exit_code == Some(KILLED);
    }

    fn add(&mut self, event: &EventMessage) {
        self.engine = Testimony::Given;
        match event.action.as_deref() {
            Some("oom") => self.out_of_memory = true,
            Some("kill") => self.killed = true,
            Some("die") => {
                let attributes = event.actor.as_ref().and_then(|it| it.attributes.as_ref());
                let code = attributes.and_then(|attributes| attributes.get("exitCode"));
                self.exit_code = code.and_then(|code| code.parse().ok());
            }
            // What Docker and Podman call it.
            Some("destroy" | "remove") => self.removed = true,
            _ => {}
        }
    }

    /// Whether the kernel has ended it for lack of memory.
    pub const fn is_out_of_memory(&self) -> bool {
        self.out_of_memory
    }

    /// What it means for the task. `engine` is the Engine's address, `memory` the container's limit,
    /// and `complaint` what its init has said at last.
    pub fn into_error(
        self,
        engine: &str,
        memory: Option<u64>,
        complaint: Option<String>,
    ) -> ExecutorError {
        if self.out_of_memory {
            return ExecutorError::user(out_of_memory(memory), None);
        }
        let said = complaint.map_or_else(String::new, |text| format!(": {text}"));
        let message = match (self.engine, self.exit_code) {
            _ if self.killed => {
                "somebody has killed or removed the task's container from outside".to_owned()
            }
            (_, Some(KILLED)) => "the task's container was killed\n\
                 if nobody did that, its host has run out of memory: give tasks a limit, or run \
                 fewer at once"
                .to_owned(),
            (_, Some(code)) => format!("the task's container has ended with code {code}{said}"),
            (Testimony::Given, None) => {
                format!("the connection to the task's container was lost{said}")
            }
            (Testimony::Silent, None) => format!(
                "the Docker Engine at {engine} went away while the container ran\n\
                 look at its log: it was stopped, or has crashed"
            ),
            (Testimony::Forgotten, None) => format!(
                "the Docker Engine at {engine} was restarted while the container ran\n\
                 look at its log: somebody has restarted it, or it has crashed"
            ),
        };
        ExecutorError::infrastructure(message, None)
    }
}

fn out_of_memory(limit: Option<u64>) -> String {
    let limit = limit.map_or_else(
        || "all the memory of its host".to_owned(),
        |bytes| format!("its limit of {} MiB of memory", bytes >> 20),
    );
    format!("the task's container was ended because it has used up {limit}")
}

#[cfg(test)]
mod tests {
    use bollard::models::EventActor;

    use super::*;
    use crate::Fault;

    fn death(actions: &[(&str, Option<&str>)]) -> Death {
        let mut death = Death::default();
        for (action, code) in actions {
            let attributes = code.map(|code| ("exitCode".to_owned(), code.to_owned()));
            death.add(&EventMessage {
                action: Some((*action).to_owned()),
                actor: Some(EventActor {
                    attributes: Some(attributes.into_iter().collect()),
                    id: None,
                }),
                ..EventMessage::default()
            });
        }
        death
    }

    #[test]
    fn each_end_has_its_words() {
        let told = |death: Death| death.into_error("unix:///engine", None, None).message;
        let oom = death(&[("oom", None), ("die", Some("137")), ("destroy", None)]);
        let error = oom.into_error("unix:///engine", Some(256 << 20), None);
        assert_eq!(error.fault, Fault::User);
        assert!(error.message.contains("256 MiB"), "{error}");
        let killed = told(death(&[("kill", None), ("die", Some("137"))]));
        assert!(killed.contains("from outside"), "{killed}");
        let died = death(&[("die", Some("127"))]);
        let error = died.into_error("unix:///engine", None, Some("not found".to_owned()));
        assert!(error.message.contains("code 127: not found"), "{error}");
        let lost = told(death(&[("start", None)]));
        assert!(lost.contains("connection"), "{lost}");
    }

    #[test]
    fn a_container_with_a_limit_that_was_killed_without_a_word_has_hit_it() {
        let inferred = |actions: &[_]| {
            let mut death = death(actions);
            death.infer();
            death.is_out_of_memory()
        };
        assert!(inferred(&[("die", Some("137")), ("destroy", None)]));
        assert!(inferred(&[("oom", None), ("die", Some("1"))]));
        assert!(!inferred(&[("kill", None), ("die", Some("137"))]));
        assert!(!inferred(&[("die", Some("1"))]));
        assert!(!inferred(&[]), "the Engine is away");
    }

    #[test]
    fn an_engine_that_says_nothing_is_the_cause() {
        let told = |engine| {
            let death = Death {
                engine,
                ..Death::default()
            };
            death.into_error("unix:///engine", None, None).message
        };
        let silent = told(Testimony::Silent);
        assert!(silent.contains("at unix:///engine went away"), "{silent}");
        let forgotten = told(Testimony::Forgotten);
        assert!(forgotten.contains("was restarted"), "{forgotten}");
    }
}
