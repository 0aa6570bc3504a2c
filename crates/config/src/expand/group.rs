//! Job groups: their jobs in the place of a use, between a first and a last job that run nothing.

use std::collections::HashSet;

use outrider_model::Outcome;
use outrider_model::plan::{JobKind, JobPlan, Requirement};

use super::Expander;
use super::level::Item;
use crate::diagnostic::{code, error};
use crate::expanded::{ExpandedJob, Filters};
use crate::syntax::Group;

/// The job that stands for a whole group where it is required.
pub(super) fn last_job(group: &str) -> String {
    format!("{group}-group-end")
}

impl Expander<'_> {
    /// The jobs of a use of a group. What the use requires, and its filters, are those of the first
    /// job. With a serial group, the first job takes it as a lock, and one more job gives it back
    /// however the others end.
    pub(super) fn group(&self, used: Item, group: &Group) -> Vec<ExpandedJob> {
        let span = used.invocation.job_span;
        if !self.has_room(
            2 + usize::from(used.invocation.serial_group.is_some()),
            span,
        ) {
            return vec![];
        }
        let origin = self.group_origin(&used.invocation.job, group);
        let boundary = |name: String, requires, kind, filters| ExpandedJob {
            plan: plan(name, requires, kind),
            filters,
            origin: origin.clone(),
        };
        let (first, last) = (format!("{}-group-start", used.name), last_job(&used.name));
        let lock = used.invocation.serial_group.clone();
        let start = match lock.clone() {
            Some(key) => JobKind::Lock { key },
            None => JobKind::NoOp,
        };
        let filters = self.filters(used.invocation.filters);
        let inner = self.inner(&used.name, &first, group);
        let leaves = leaves(&inner).into_iter().map(passed).collect();
        let names: Vec<_> = inner.iter().map(|item| item.name.clone()).collect();
        let mut jobs = vec![boundary(first.clone(), used.requires, start, filters)];
        jobs.extend(
            inner
                .into_iter()
                .filter_map(|item| self.single(item, false)),
        );
        jobs.push(boundary(last.clone(), leaves, JobKind::NoOp, every_time()));
        if let Some(key) = lock {
            let (name, unlock) = (
                format!("{}-group-unlock", used.name),
                JobKind::Unlock { key },
            );
            let requires = before_unlock(first, names, last);
            jobs.push(boundary(name, requires, unlock, every_time()));
        }
        jobs
    }

    /// The jobs of a group under the name of its use. Those that require nothing require `first`.
    fn inner(&self, prefix: &str, first: &str, group: &Group) -> Vec<Item> {
        let mut items = self.level(&group.jobs);
        items.retain(|item| !self.is_nested(item));
        for item in &mut items {
            let names = 1 + item.requires.len();
            let cost = prefix.len().saturating_mul(names);
            if !self.reader.cx.spend(cost, item.invocation.job_span) {
                break;
            }
            item.name = format!("{prefix}-{}", item.name);
            for requirement in &mut item.requires {
                requirement.job = format!("{prefix}-{}", requirement.job);
            }
            if item.requires.is_empty() {
                item.requires.push(passed(first.to_owned()));
            }
        }
        items
    }

    fn is_nested(&self, item: &Item) -> bool {
        let job = &item.invocation.job;
        let nested = self.groups.contains_key(job);
        if nested {
            let message = format!("the job group `{job}` is used in a job group");
            self.reader.report(
                error(code::BAD_VALUE, item.invocation.job_span, message)
                    .help("job groups do not nest: list its jobs here"),
            );
        }
        nested
    }

    fn group_origin(&self, name: &str, group: &Group) -> String {
        let line = self.reader.cx.line(group.name_span);
        format!("job group {name}, line {line}")
    }
}

/// The jobs that no other one requires.
fn leaves(items: &[Item]) -> Vec<String> {
    let required = items.iter().flat_map(|item| &item.requires);
    let required: HashSet<_> = required.map(|it| it.job.as_str()).collect();
    let leaves = items.iter().map(|item| &item.name);
    leaves
        .filter(|name| !required.contains(name.as_str()))
        .cloned()
        .collect()
}

fn passed(job: String) -> Requirement {
    Requirement {
        job,
        accepts: vec![Outcome::Passed],
    }
}

/// What the job that gives a lock back requires: that the lock was taken, and that all other jobs
/// have ended. The last one alone is not enough: filters may leave it out.
fn before_unlock(first: String, inner: Vec<String>, last: String) -> Vec<Requirement> {
    let ended = |job| Requirement {
        job,
        accepts: Outcome::ALL.to_vec(),
    };
    let all = inner.into_iter().chain([last]).map(ended);
    [passed(first)].into_iter().chain(all).collect()
}

/// Filters that leave it to what a job requires whether it runs.
fn every_time() -> Filters {
    Filters::Expression {
        text: "true".to_owned(),
        holds: true,
    }
}

fn plan(name: String, requires: Vec<Requirement>, kind: JobKind) -> JobPlan {
    JobPlan {
        name,
        requires,
        contexts: vec![],
        serial_group: None,
        kind,
    }
}
