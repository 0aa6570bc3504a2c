//! Under which key each job stands.

use std::collections::HashMap;

use indexmap::IndexMap;
use indexmap::map::Entry;
use outrider_model::plan::{JobKind, JobPlan};

use super::comment;
use super::job;
use super::yaml::{Map, Yaml};
use crate::expanded::{Expanded, ExpandedJob};

/// The jobs of all workflows by key, and the key of each.
pub(super) struct JobKeys<'a> {
    jobs: IndexMap<String, &'a ExpandedJob>,
    of: HashMap<(&'a str, &'a str), String>,
}

impl<'a> JobKeys<'a> {
    pub(super) fn new(expanded: &'a Expanded) -> Self {
        let mut keys = Self {
            jobs: IndexMap::new(),
            of: HashMap::new(),
        };
        for workflow in &expanded.workflows {
            for job in &workflow.jobs {
                let key = keys.insert(&workflow.name, job);
                keys.of.insert((&workflow.name, &job.plan.name), key);
            }
        }
        keys
    }

    /// The key of a job of a workflow.
    pub(super) fn of<'k>(&'k self, workflow: &'k str, job: &'k JobPlan) -> &'k str {
        let key = self.of.get(&(workflow, job.name.as_str()));
        key.map_or(&job.name, String::as_str)
    }

    /// Gives a job a key: its name, unless another job has it.
    fn insert(&mut self, workflow: &str, job: &'a ExpandedJob) -> String {
        let name = &job.plan.name;
        // An approval stands in its workflow only.
        if matches!(job.plan.kind, JobKind::Approval) {
            return name.clone();
        }
        let own = format!("{name}-{workflow}");
        let numbered = (2_u64..).map(|number| format!("{own}-{number}"));
        for key in [name.clone(), own.clone()].into_iter().chain(numbered) {
            match self.jobs.entry(key) {
                Entry::Occupied(taken) if taken.get().plan.kind != job.plan.kind => {}
                entry => {
                    let key = entry.key().clone();
                    entry.or_insert(job);
                    return key;
                }
            }
        }
        own
    }

    /// The mapping `jobs`.
    pub(super) fn jobs(&self) -> Yaml {
        let mut jobs = Map::default();
        for (key, job) in &self.jobs {
            jobs.add_with_comment(comment(&job.origin), key, job::job(&job.plan.kind).into());
        }
        jobs.into()
    }
}
