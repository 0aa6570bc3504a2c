//! Jobs that wait for a person, when the person is the one who runs the pipeline.

use std::collections::VecDeque;
use std::io::IsTerminal;

use outrider_model::JobId;
use tokio::task::JoinHandle;

/// Who decides on jobs that are on hold.
pub struct Approvals {
    /// Names of jobs that are approved at once; `all` stands for all of them.
    names: Vec<String>,
    /// Whether somebody can be asked.
    asks: bool,
    waiting: VecDeque<Held>,
    asked: Option<Asked>,
}

/// A job on hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The job.
    pub id: JobId,
    /// Its workflow.
    pub workflow: String,
    /// Its name.
    pub name: String,
}

/// A job, and the answer that is waited for.
struct Asked {
    job: Held,
    answer: JoinHandle<bool>,
}

/// What is to be done about a job that is on hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is approved at once.
    Approve,
    /// Somebody is asked, now or after others.
    Ask,
    /// Nobody is there to decide.
    Leave,
}

impl Approvals {
    /// Approves the jobs with these names, and asks about others if there is a terminal to ask on.
    pub fn new(names: Vec<String>, quiet: bool) -> Self {
        let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        Self {
            names,
            asks: terminal && !quiet,
            waiting: VecDeque::new(),
            asked: None,
        }
    }

    /// A job is on hold.
    pub fn on_hold(&mut self, job: Held) -> Next {
        if self.names.iter().any(|name| job.is_called(name)) {
            Next::Approve
        } else if self.asks {
            self.waiting.push_back(job);
            Next::Ask
        } else {
            Next::Leave
        }
    }

    /// Whether nobody will ever decide on this job.
    pub fn leaves(&self, job: &Held) -> bool {
        !self.asks && !self.names.iter().any(|name| job.is_called(name))
    }

    /// Whether an answer is waited for.
    pub const fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// The job to ask about next.
    pub fn next_to_ask(&mut self) -> Option<Held> {
        self.waiting.pop_front()
    }

    /// Waits for an answer about this job, which was asked for on the terminal.
    pub fn await_answer(&mut self, job: Held) {
        let answer = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            let read = std::io::stdin().read_line(&mut line);
            let answer = line.trim().to_lowercase();
            read.is_ok() && (answer == "y" || answer == "yes")
        });
        self.asked = Some(Asked { job, answer });
    }

    /// The answer to the question that is open. Ends only if there is one.
    pub async fn answered(&mut self) -> (Held, bool) {
        let Some(asked) = &mut self.asked else {
            return std::future::pending().await;
        };
        let yes = (&mut asked.answer).await.unwrap_or(false);
        let job = asked.job.clone();
        self.asked = None;
        (job, yes)
    }
}

impl Held {
    /// Whether it is meant by this name: `all`, its name, or its workflow's and its own.
    fn is_called(&self, name: &str) -> bool {
        let with_workflow = name.strip_prefix(&self.workflow);
        name == "all"
            || name == self.name
            || with_workflow.and_then(|rest| rest.strip_prefix('/')) == Some(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(name: &str) -> Held {
        Held {
            id: JobId::from_bytes([1; 16]),
            workflow: "main".to_owned(),
            name: name.to_owned(),
        }
    }

    fn approvals(names: &[&str], asks: bool) -> Approvals {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Approvals {
            asks,
            ..Approvals::new(names, true)
        }
    }

    #[test]
    fn a_job_is_approved_by_its_name() {
        let mut named = approvals(&["deploy", "main/release"], false);
        assert_eq!(named.on_hold(held("deploy")), Next::Approve);
        assert_eq!(named.on_hold(held("release")), Next::Approve);
        assert_eq!(named.on_hold(held("other")), Next::Leave);
        assert!(named.leaves(&held("other")) && !named.leaves(&held("deploy")));
        assert_eq!(approvals(&["all"], false).on_hold(held("x")), Next::Approve);
    }

    #[test]
    fn jobs_are_asked_about_in_their_order() {
        let mut asking = approvals(&[], true);
        assert_eq!(asking.on_hold(held("a")), Next::Ask);
        assert_eq!(asking.on_hold(held("b")), Next::Ask);
        assert_eq!(asking.next_to_ask(), Some(held("a")));
        assert_eq!(asking.next_to_ask(), Some(held("b")));
        assert_eq!(asking.next_to_ask(), None);
    }
}
