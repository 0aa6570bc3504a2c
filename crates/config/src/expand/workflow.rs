//! A workflow: its condition, its schedules and its jobs.

use std::collections::HashSet;

use outrider_model::plan::JobPlan;

use super::group::last_job;
use super::level::Item;
use super::substitute::{Scope, evaluate, substitute};
use super::template::sole_reference;
use super::{Expander, expression, logic};
use crate::diagnostic::{code, error, warning};
use crate::expanded::{ExpandedJob, ExpandedWorkflow, Filters};
use crate::syntax::{Definition, Invocation, Kind, Lookup, Workflow, WrittenFilters};
use crate::yaml::{Home, Node};

const MOST_RERUNS: u32 = 5;

impl Expander<'_> {
    /// A workflow with all its jobs; none if its condition is false.
    pub(super) fn workflow(&self, name: &str, workflow: &Workflow) -> Option<ExpandedWorkflow> {
        let resolved = |node: &Option<Node>| {
            let node = node.as_ref()?;
            Some(substitute(self.reader.cx, node, Scope::Workflow(None)))
        };
        let when = resolved(&workflow.when);
        let when = when.is_none_or(|it| self.condition(&it) == Some(true));
        let unless = resolved(&workflow.unless);
        let unless = unless.is_none_or(|it| self.condition(&it) == Some(false));
        let schedules = resolved(&workflow.triggers);
        let reruns = resolved(&workflow.max_auto_reruns);
        let reruns = reruns.and_then(|node| {
            let bounds = (1, MOST_RERUNS);
            self.reader.integer(&node, "`max_auto_reruns`", bounds)
        });
        let jobs = self.jobs_of(workflow);
        (when && unless).then(|| ExpandedWorkflow {
            name: name.to_owned(),
            schedules: schedules
                .map(|node| self.reader.schedules(&node))
                .unwrap_or_default(),
            max_auto_reruns: reruns.unwrap_or_default(),
            jobs,
        })
    }

    fn jobs_of(&self, workflow: &Workflow) -> Vec<ExpandedJob> {
        let mut items = self.level(&workflow.jobs);
        self.require_last_jobs(&mut items);
        let mut spans = vec![];
        let mut jobs = vec![];
        for item in items {
            let span = item.invocation.job_span;
            match self.groups.get(&item.invocation.job) {
                Some(group) => jobs.extend(self.group(item, group)),
                None => jobs.extend(self.single(item, workflow.implicit)),
            }
            spans.resize(jobs.len(), span);
        }
        // Two uses of one group have been reported as such.
        if self.reader.cx.errors() == 0 {
            let names = jobs.iter().map(|job: &ExpandedJob| job.plan.name.as_str());
            self.check_unique(names.zip(spans));
        }
        jobs
    }

    /// To require a job group is to require its last job.
    fn require_last_jobs(&self, items: &mut [Item]) {
        let groups = items
            .iter()
            .filter(|item| self.groups.contains_key(&item.invocation.job));
        let groups: HashSet<_> = groups.map(|item| item.name.clone()).collect();
        for requirement in items.iter_mut().flat_map(|item| &mut item.requires) {
            if groups.contains(&requirement.job) {
                requirement.job = last_job(&requirement.job);
            }
        }
    }

    /// The condition of a workflow. A text that speaks of the pipeline, other than all of it in
    /// `<< >>`, is an expression; anything else is a logic statement.
    fn condition(&self, node: &Node) -> Option<bool> {
        let written = self.reader.cx.sources.slice(node.span);
        let speaks = written.is_some_and(|text| text.contains("pipeline."));
        match node.as_scalar() {
            Some(_) if speaks => self.holds(node),
            _ => logic::holds(self.reader, node),
        }
    }

    /// Whether an expression counts as true. All of it in `<< >>`, it has its value already.
    fn holds(&self, node: &Node) -> Option<bool> {
        let cx = self.reader.cx;
        let written = cx.sources.slice(node.span).unwrap_or_default();
        if sole_reference(written.trim_matches(['"', '\''])).is_some() {
            return expression::Value::of(node).map(|value| value.holds());
        }
        let text = &node.as_scalar()?.text;
        let value = evaluate(cx, text, node.span, node.home, Scope::Workflow(None));
        value.map(|value| value.holds())
    }

    pub(super) fn filters(&self, written: Option<WrittenFilters>) -> Filters {
        match written {
            None => Filters::default(),
            Some(WrittenFilters::Rules(rules)) => rules,
            Some(WrittenFilters::Expression(node)) => Filters::Expression {
                text: node
                    .as_scalar()
                    .map(|scalar| scalar.text.trim().to_owned())
                    .unwrap_or_default(),
                holds: self.holds(&node).unwrap_or_default(),
            },
        }
    }

    /// A job that is no job group.
    pub(super) fn single(&self, item: Item, implicit: bool) -> Option<ExpandedJob> {
        let Item {
            name,
            mut invocation,
            requires,
        } = item;
        let cost = name.len() + invocation.job.len();
        if !self.reader.cx.spend(cost, invocation.job_span) {
            return None;
        }
        let (kind, origin, branches) = match invocation.kind.take() {
            Some(kind) => {
                self.refuse_arguments(&invocation);
                let line = self.reader.cx.line(invocation.job_span);
                let origin = format!("{} {}, line {line}", kind.as_str(), invocation.job);
                (kind, origin, None)
            }
            None => {
                let definition = self.definition(&invocation)?;
                let branches = self.old_branches(definition, implicit);
                let kind = self.job(&invocation, definition)?;
                (kind, self.origin(&invocation.job, definition), branches)
            }
        };
        Some(ExpandedJob {
            plan: JobPlan {
                name,
                requires,
                contexts: invocation.contexts,
                serial_group: invocation.serial_group,
                kind,
            },
            filters: branches.unwrap_or_else(|| self.filters(invocation.filters)),
            origin,
        })
    }

    /// `branches` of a job: its filter in a config without workflows, and nothing elsewhere.
    fn old_branches(&self, definition: &Definition, implicit: bool) -> Option<Filters> {
        let body = definition.body.as_mapping()?;
        let branches = body.present("branches")?;
        if implicit {
            return Some(Filters::Rules {
                branches: Some(self.reader.rule(branches, "branches")),
                tags: None,
            });
        }
        self.reader.report(
            warning(
                code::NO_EFFECT,
                body.key_span("branches")?,
                "`branches` has no effect: the config has workflows",
            )
            .help("write `filters: {branches: …}` where the workflow uses the job"),
        );
        None
    }

    /// An approval has no parameters.
    fn refuse_arguments(&self, invocation: &Invocation) {
        let given = invocation.arguments.entries.iter();
        // The values of a matrix are for its name.
        for (name, entry) in given.filter(|_| invocation.alias.is_none()) {
            let message = format!("`{}` has no parameter `{name}`", invocation.job);
            self.reader.report(
                error(code::UNKNOWN_ARGUMENT, entry.key_span, message)
                    .help("remove it: a job of this type runs nothing"),
            );
        }
    }

    /// The job that an invocation names, or the job of an orb that is to take its place. The latter
    /// need not be there.
    fn definition(&self, invocation: &Invocation) -> Option<&Definition> {
        let override_with = invocation.override_with.as_ref();
        let instead = override_with.and_then(|node| self.override_target(node));
        if instead.is_some() {
            return instead;
        }
        let Invocation { job, job_span, .. } = invocation;
        let kind = Kind::Job;
        self.packages
            .require(self.reader, kind, Home::default(), job, *job_span)
    }

    fn override_target(&self, node: &Node) -> Option<&Definition> {
        let name = self.reader.name(node, "`override-with`")?;
        if !name.contains('/') {
            let message = "`override-with` must be the job of an orb";
            let help = "write `orb/job`";
            self.reader
                .report(error(code::BAD_VALUE, node.span, message).help(help));
            return None;
        }
        match self.packages.find(Kind::Job, Home::default(), &name) {
            Lookup::Found(definition) => Some(definition),
            Lookup::Unavailable | Lookup::Absent => None,
        }
    }
}
