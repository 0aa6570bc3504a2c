//! A workflow: its jobs under their names, and what they require.

use std::collections::HashSet;

use indexmap::IndexMap;
use outrider_model::plan::Requirement;

use super::{Expander, graph, logic};
use crate::diagnostic::{code, error, list};
use crate::expanded::{ExpandedJob, ExpandedWorkflow, Filters};
use crate::syntax::{Invocation, Requires, Workflow};

impl Expander<'_> {
    /// A workflow with all its jobs; none if its condition is false.
    pub(super) fn workflow(&self, name: &str, workflow: &Workflow) -> Option<ExpandedWorkflow> {
        let when = workflow
            .when
            .as_ref()
            .is_none_or(|it| self.condition(it) == Some(true));
        let unless = workflow
            .unless
            .as_ref()
            .is_none_or(|it| self.condition(it) == Some(false));
        let names = names(&workflow.jobs);
        self.check_unique(&names, &workflow.jobs);
        let known: HashSet<_> = names.iter().map(String::as_str).collect();
        let requirements: Vec<_> = workflow
            .jobs
            .iter()
            .map(|job| self.requirements(job, &names, &known, &workflow.jobs))
            .collect();
        graph::check_cycles(self.reader, &names, &workflow.jobs);
        let jobs = workflow.jobs.iter().zip(&names).zip(requirements);
        let jobs: Vec<_> = jobs
            .filter_map(|((invocation, job), requires)| {
                let definition = self.config.jobs.get(&invocation.job);
                if definition.is_none() {
                    self.report_unknown_job(invocation);
                }
                let definition = definition?;
                Some(ExpandedJob {
                    plan: self.job(job, requires, invocation, definition)?,
                    filters: Filters::default(),
                    origin: self.origin(&invocation.job, definition),
                })
            })
            .collect();
        (when && unless).then(|| ExpandedWorkflow {
            name: name.to_owned(),
            schedules: vec![],
            max_auto_reruns: 0,
            jobs,
        })
    }

    /// The condition of a workflow. Text that speaks of pipeline values is an expression, which
    /// would always count as true if it were taken for plain text.
    fn condition(&self, node: &crate::yaml::Node) -> Option<bool> {
        if node
            .as_scalar()
            .is_some_and(|text| text.text.contains("pipeline."))
        {
            self.reader
                .not_supported(node.span, "an expression as a condition");
            return None;
        }
        logic::holds(self.reader, node)
    }

    fn check_unique(&self, names: &[String], jobs: &[Invocation]) {
        let mut seen = IndexMap::new();
        for (name, job) in names.iter().zip(jobs) {
            if let Some(first) = seen.insert(name, job.job_span) {
                let message = format!("two jobs of this workflow are called `{name}`");
                self.reader.report(
                    error(code::DUPLICATE_JOB, job.job_span, message)
                        .label(first, "the first one")
                        .help("give one of them another `name`"),
                );
            }
        }
    }

    fn requirements(
        &self,
        invocation: &Invocation,
        names: &[String],
        known: &HashSet<&str>,
        jobs: &[Invocation],
    ) -> Vec<Requirement> {
        let found = invocation.requires.iter().filter(|requires| {
            let known = known.contains(requires.job.as_str());
            if !known && !self.reader.cx.is_stopped() {
                self.report_unknown_requirement(requires, names, jobs);
            }
            known
        });
        found
            .map(|it| Requirement {
                job: it.job.clone(),
                accepts: it.accepts.clone(),
            })
            .collect()
    }

    fn report_unknown_requirement(
        &self,
        requires: &Requires,
        names: &[String],
        jobs: &[Invocation],
    ) {
        let Requires { job, span, .. } = requires;
        let called = names.iter().zip(jobs).filter(|(_, it)| *it.job == **job);
        let called: Vec<_> = called.map(|(name, _)| name.as_str()).collect();
        let draft = match called.as_slice() {
            [] => {
                let message = format!("no job `{job}` in this workflow");
                let names = || names.iter().map(String::as_str);
                let help = self
                    .reader
                    .cx
                    .hint(job, names(), |all| format!("there is {all}"));
                error(code::UNKNOWN_JOB, *span, message).maybe_help(help)
            }
            [one] => error(
                code::UNKNOWN_JOB,
                *span,
                format!("no job `{job}` in this workflow"),
            )
            .help(format!("here it is called `{one}`")),
            several => {
                let message = format!("`{job}` runs several times in this workflow");
                error(code::AMBIGUOUS_REQUIREMENT, *span, message).help(format!(
                    "require one of {}, or give them names",
                    list(several.iter().copied())
                ))
            }
        };
        self.reader.report(draft);
    }

    fn report_unknown_job(&self, invocation: &Invocation) {
        let Invocation { job, job_span, .. } = invocation;
        if invocation.refused {
            return;
        }
        if job.contains('/') {
            self.reader
                .not_supported(*job_span, &format!("`{job}`: a job of an orb"));
            return;
        }
        let names = || self.config.jobs.keys().map(|name| &**name);
        let help = self
            .reader
            .cx
            .hint(job, names(), |all| format!("there is {all}"));
        self.reader.report(
            error(
                code::UNKNOWN_JOB,
                *job_span,
                format!("there is no job `{job}`"),
            )
            .maybe_help(help),
        );
    }
}

/// The names of a workflow's jobs: as given, or that of the job, with a number if it would be
/// there twice.
fn names(jobs: &[Invocation]) -> Vec<String> {
    let unnamed = || jobs.iter().filter(|job| job.name.is_none());
    let mut uses = IndexMap::<&str, (usize, usize)>::new();
    for job in unnamed() {
        uses.entry(&*job.job).or_default().0 += 1;
    }
    let mut name_of = |job: &Invocation| match (&job.name, uses.get_mut(&*job.job)) {
        (Some(name), _) => name.clone(),
        (None, Some((total, used))) if *total > 1 => {
            *used += 1;
            format!("{}-{used}", job.job)
        }
        (None, _) => job.job.to_string(),
    };
    jobs.iter().map(&mut name_of).collect()
}
