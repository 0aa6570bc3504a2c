//! The jobs of a workflow or of a job group: their names, and what they require of each other.

use std::collections::HashMap;

use indexmap::IndexMap;
use outrider_model::Outcome;
use outrider_model::plan::Requirement;

use super::{Expander, graph};
use crate::diagnostic::{code, error, is_near, list};
use crate::syntax::{Invocation, Kind, Lookup, Requires, Use};
use crate::yaml::{Home, Span};

/// A job under its name.
pub(super) struct Item {
    pub(super) name: String,
    pub(super) invocation: Invocation,
    pub(super) requires: Vec<Requirement>,
}

/// A job that another one requires.
pub(super) struct Edge {
    pub(super) to: usize,
    pub(super) span: Span,
    accepts: Vec<Outcome>,
}

/// A use of a job, and the number of the entry that it comes from.
type Numbered = (usize, Invocation);

/// What a requirement may name.
struct Directory<'a> {
    names: HashMap<&'a str, usize>,
    /// The jobs of matrices by alias, each matrix by its entry.
    matrices: HashMap<&'a str, IndexMap<usize, Vec<usize>>>,
}

impl<'a> Directory<'a> {
    fn new(names: &'a [String], jobs: &'a [Numbered]) -> Self {
        let mut matrices = HashMap::<_, IndexMap<_, Vec<_>>>::new();
        for (at, (entry, job)) in jobs.iter().enumerate() {
            if let Some(alias) = &job.alias {
                let matrix = matrices.entry(&**alias).or_default();
                matrix.entry(*entry).or_default().push(at);
            }
        }
        let names = names.iter().enumerate();
        Self {
            names: names.map(|(at, name)| (name.as_str(), at)).collect(),
            matrices,
        }
    }

    /// The jobs that a name stands for: one, or all of a matrix.
    fn find(&self, name: &str) -> Option<Vec<usize>> {
        if let Some(at) = self.names.get(name) {
            return Some(vec![*at]);
        }
        match self.matrices.get(name)? {
            matrices if matrices.len() == 1 => matrices.values().next().cloned(),
            _ => None,
        }
    }
}

impl Expander<'_> {
    /// Gives jobs their names and resolves what they require.
    pub(super) fn level(&self, uses: &[Use]) -> Vec<Item> {
        let entries = uses.iter().enumerate();
        let jobs: Vec<Numbered> = entries
            .flat_map(|(entry, used)| {
                self.invocations(used)
                    .into_iter()
                    .map(move |it| (entry, it))
            })
            .collect();
        let names = self.names(&jobs);
        let spans = jobs.iter().map(|(_, job)| job.job_span);
        self.check_unique(names.iter().map(String::as_str).zip(spans));
        let directory = Directory::new(&names, &jobs);
        let all_edges: Vec<_> = jobs
            .iter()
            .enumerate()
            .map(|(at, (_, job))| self.edges((at, job), &directory, &names, &jobs))
            .collect();
        graph::check_cycles(self.reader, &names, &all_edges);
        let requirements = all_edges.into_iter().map(|edges| {
            let edges = edges.into_iter();
            edges
                .map(|edge| Requirement {
                    job: names[edge.to].clone(),
                    accepts: edge.accepts,
                })
                .collect()
        });
        let requirements: Vec<Vec<Requirement>> = requirements.collect();
        let items = jobs.into_iter().zip(names).zip(requirements);
        items
            .map(|(((_, invocation), name), requires)| Item {
                name,
                invocation,
                requires,
            })
            .collect()
    }

    /// Names as given, or those of the jobs, with a number if they would be there twice. Job groups
    /// get none: each use of one must have a name of its own. Names count towards the limit: a
    /// matrix or an alias repeats long ones.
    fn names(&self, jobs: &[Numbered]) -> Vec<String> {
        let mut uses = HashMap::<_, (usize, usize)>::new();
        for (_, job) in jobs {
            uses.entry(base(job)).or_default().0 += 1;
        }
        let mut name_of = |job: &Invocation| match uses.get_mut(base(job)) {
            _ if !self.reader.cx.spend(base(job).len(), job.job_span) => String::new(),
            Some((total, used)) if *total > 1 && !self.groups.contains_key(&job.job) => {
                *used += 1;
                format!("{}-{used}", base(job))
            }
            _ => base(job).to_owned(),
        };
        jobs.iter().map(|(_, job)| name_of(job)).collect()
    }

    /// Whether there is a job, or a job group, of that name.
    fn is_known(&self, job: &Invocation) -> bool {
        let found = self.packages.find(Kind::Job, Home::default(), &job.job);
        job.kind.is_some() || self.groups.contains_key(&job.job) || !matches!(found, Lookup::Absent)
    }

    /// Two jobs of one name are reported.
    pub(super) fn check_unique<'n>(&self, names: impl Iterator<Item = (&'n str, Span)>) {
        let mut seen = HashMap::new();
        for (name, span) in names {
            if let Some(first) = seen.insert(name, span) {
                let message = format!("two jobs of this workflow are called `{name}`");
                self.reader.report(
                    error(code::DUPLICATE_JOB, span, message)
                        .label(first, "the first one")
                        .help("give one of them another `name`"),
                );
            }
        }
    }

    fn edges(
        &self,
        (at, job): (usize, &Invocation),
        directory: &Directory<'_>,
        names: &[String],
        jobs: &[Numbered],
    ) -> Vec<Edge> {
        let mut edges = IndexMap::<usize, Edge>::new();
        for requires in &job.requires {
            let found = directory.find(&requires.job);
            let Some(found) = found.or_else(|| only_other(at, &requires.job, jobs)) else {
                self.report_unknown_requirement(requires, names, jobs);
                continue;
            };
            let cost: usize = found.iter().map(|to| 64 + names[*to].len()).sum();
            if !self.reader.cx.spend(cost, requires.span) {
                break;
            }
            for to in found {
                let edge = Edge {
                    to,
                    span: requires.span,
                    accepts: requires.accepts.clone(),
                };
                if let Some(first) = edges.insert(to, edge) {
                    self.report_required_twice(&names[to], requires.span, first.span);
                }
            }
        }
        edges.into_values().collect()
    }

    fn report_required_twice(&self, name: &str, span: Span, first: Span) {
        let message = format!("`{name}` is required twice");
        self.reader.report(
            error(code::DUPLICATE_REQUIREMENT, span, message)
                .label(first, "first here, by name or as a job of a matrix")
                .help("remove one of the two"),
        );
    }

    fn report_unknown_requirement(&self, requires: &Requires, names: &[String], jobs: &[Numbered]) {
        let cx = self.reader.cx;
        if cx.is_stopped() {
            return;
        }
        let Requires { job, span, .. } = requires;
        // A job that is not there has been reported; its right name may be required.
        let mut others = jobs.iter().map(|(_, it)| it);
        if others.any(|it| is_near(&it.job, job) && !self.is_known(it)) {
            return;
        }
        let means = |it: &Invocation| *it.job == **job || base(it) == job;
        let called = names.iter().zip(jobs).filter(|(_, (_, it))| means(it));
        let called: Vec<_> = called.map(|(name, _)| name.as_str()).collect();
        let unknown = || {
            let message = format!("no job `{job}` in this workflow");
            error(code::UNKNOWN_JOB, *span, message)
        };
        self.reader.report(match called.as_slice() {
            [] => {
                let names = names.iter().map(String::as_str);
                unknown().maybe_help(cx.hint(job, names, |all| format!("there is {all}")))
            }
            [one] => unknown().help(format!("here it is called `{one}`")),
            several => {
                let message = format!("`{job}` runs several times in this workflow");
                error(code::AMBIGUOUS_REQUIREMENT, *span, message).help(format!(
                    "require one of {}, or give them names",
                    list(several.iter().copied())
                ))
            }
        });
    }
}

/// What a job would be called if it were the only one of that name.
fn base(job: &Invocation) -> &str {
    job.name.as_deref().unwrap_or(&job.job)
}

/// The job of that name besides the one that asks, if there is one only: of two uses of a job, one
/// may require the other.
fn only_other(asking: usize, name: &str, jobs: &[Numbered]) -> Option<Vec<usize>> {
    let others = jobs.iter().enumerate();
    let mut others = others.filter(|(at, (_, job))| *at != asking && base(job) == name);
    match (others.next(), others.next()) {
        (Some((at, _)), None) => Some(vec![at]),
        _ => None,
    }
}
