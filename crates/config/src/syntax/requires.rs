//! What a job of a workflow requires of others.

use indexmap::IndexMap;
use outrider_model::Outcome;

use super::Reader;
use crate::diagnostic::{code, error, warning};
use crate::yaml::{Node, Span, Value};

/// An entry of `requires`.
#[derive(Clone)]
pub(crate) struct Requires {
    pub(crate) job: String,
    pub(crate) span: Span,
    /// In the order of [`Outcome::ALL`].
    pub(crate) accepts: Vec<Outcome>,
}

/// CircleCI's words for how a job may end. What it calls failed includes timeouts and failures of
/// the infrastructure.
pub(crate) const STATUSES: &[(&str, &[Outcome])] = &[
    ("success", &[Outcome::Passed]),
    (
        "failed",
        &[Outcome::Failed, Outcome::TimedOut, Outcome::Lost],
    ),
    ("canceled", &[Outcome::Canceled]),
    ("not_run", &[Outcome::NotRun]),
    ("terminal", &Outcome::ALL),
    ("unauthorized", &[]),
];

impl Reader<'_> {
    pub(super) fn requires(self, node: &Node) -> Vec<Requires> {
        let Some(items) = self.sequence(node, "`requires`") else {
            return vec![];
        };
        let mut all: Vec<Requires> = vec![];
        let mut seen = IndexMap::new();
        for requires in items.iter().filter_map(|item| self.requirement(item)) {
            match seen.get(&requires.job).copied() {
                Some(first) => self.report(
                    warning(
                        code::DUPLICATE_REQUIREMENT,
                        requires.span,
                        format!("`{}` is required twice", requires.job),
                    )
                    .label(first, "first here")
                    .help("the first one counts; several statuses are one entry: `- job: [success, failed]`"),
                ),
                None => {
                    seen.insert(requires.job.clone(), requires.span);
                    all.push(requires);
                }
            }
        }
        all
    }

    fn requirement(self, node: &Node) -> Option<Requires> {
        let (job, span, accepts) = match &node.value {
            Value::Mapping(mapping) if mapping.entries.len() == 1 => {
                let (job, entry) = mapping.entries.first()?;
                (
                    job.to_string(),
                    entry.key_span,
                    self.statuses(&entry.value)?,
                )
            }
            Value::Scalar(_) => (
                self.name(node, "an entry of `requires`")?,
                node.span,
                vec![Outcome::Passed],
            ),
            Value::Wrong => return None,
            _ => {
                let message = "an entry of `requires` must be a job's name or `name: status`";
                self.report(error(code::WRONG_TYPE, node.span, message));
                return None;
            }
        };
        Some(Requires { job, span, accepts })
    }

    fn statuses(self, node: &Node) -> Option<Vec<Outcome>> {
        let read = |node: &Node| {
            let outcomes = self.choice(node, "the status of a required job", STATUSES)?;
            if outcomes.is_empty() {
                self.report(
                    warning(
                        code::NO_EFFECT,
                        node.span,
                        "no job ends as `unauthorized` on your own runners",
                    )
                    .help("a requirement of this status alone is never met"),
                );
            }
            Some(outcomes)
        };
        let accepted: Vec<&[Outcome]> = match &node.value {
            Value::Sequence(items) => items.iter().filter_map(read).collect(),
            _ => vec![read(node)?],
        };
        if accepted.is_empty() {
            let message = "the statuses of a required job must not be empty";
            self.report(error(code::BAD_VALUE, node.span, message));
            return None;
        }
        let accepted = accepted.concat();
        Some(
            Outcome::ALL
                .into_iter()
                .filter(|outcome| accepted.contains(outcome))
                .collect(),
        )
    }
}
