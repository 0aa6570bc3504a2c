//! Workflows.

use outrider_model::Outcome;
use outrider_model::plan::{JobKind, Requirement};

use super::keys::JobKeys;
use super::yaml::{Map, Yaml};
use crate::expanded::{Expanded, ExpandedJob, ExpandedWorkflow, Filters, Rule, Schedule};
use crate::pattern::Pattern;
use crate::syntax::STATUSES;

/// The mapping `workflows`.
pub(super) fn workflows(expanded: &Expanded, keys: &JobKeys<'_>) -> Yaml {
    const VERSION: &str = "version";
    let mut map = Map::default();
    // Version 2 says its version here too, except where a workflow has that name.
    if expanded.workflows.iter().all(|it| it.name != VERSION) {
        map.add(VERSION, Yaml::Integer(2));
    }
    for workflow in &expanded.workflows {
        map.add(&workflow.name, body(workflow, keys));
    }
    map.into()
}

fn body(workflow: &ExpandedWorkflow, keys: &JobKeys<'_>) -> Map {
    let mut map = Map::default();
    let triggers = workflow.schedules.iter().map(|it| schedule(it).into());
    map.add_filled("triggers", Yaml::List(triggers.collect()));
    if workflow.max_auto_reruns > 0 {
        map.add("max_auto_reruns", Yaml::Integer(workflow.max_auto_reruns));
    }
    let jobs = workflow.jobs.iter();
    let jobs = jobs.map(|job| invocation(keys.of(&workflow.name, &job.plan), job));
    map.add("jobs", Yaml::List(jobs.collect()));
    map
}

fn schedule(schedule: &Schedule) -> Map {
    let mut map = Map::of("cron", &schedule.cron);
    let branches = Map::of("branches", rule(&schedule.branches));
    map.add("filters", branches);
    Map::of("schedule", map)
}

/// A job in its workflow: its key, and what its workflow says about it.
fn invocation(key: &str, job: &ExpandedJob) -> Yaml {
    let mut map = Map::default();
    if job.plan.name != key {
        map.add("name", &job.plan.name);
    }
    if matches!(job.plan.kind, JobKind::Approval) {
        map.add("type", job.plan.kind.as_str());
    }
    let requires = job.plan.requires.iter().map(requirement);
    map.add_filled("requires", Yaml::List(requires.collect()));
    map.add_filled("context", Yaml::texts(&job.plan.contexts));
    map.add_filled("filters", filters(&job.filters));
    map.add_some("serial-group", job.plan.serial_group.as_ref());
    match Yaml::from(map) {
        body if body.is_empty() => key.into(),
        body => Map::of(key, body).into(),
    }
}

/// A requirement: the job's name, with statuses where success alone is not it.
fn requirement(requirement: &Requirement) -> Yaml {
    if requirement.accepts == [Outcome::Passed] {
        return (&requirement.job).into();
    }
    Map::of(&requirement.job, Yaml::List(statuses(&requirement.accepts))).into()
}

/// The words for a set of outcomes. A requirement that no outcome satisfies waits for `unauthorized`.
fn statuses(accepts: &[Outcome]) -> Vec<Yaml> {
    let within = |of: &[Outcome]| of.iter().all(|one| accepts.contains(one));
    let fitting = STATUSES.iter().filter(|(_, outcomes)| match outcomes {
        [] => accepts.is_empty(),
        outcomes => within(outcomes),
    });
    let words: Vec<&str> = fitting.map(|(word, _)| *word).collect();
    if words.contains(&"terminal") {
        return vec!["terminal".into()];
    }
    words.into_iter().map(Yaml::from).collect()
}

fn filters(filters: &Filters) -> Map {
    let any = || Rule {
        only: Some(vec![Pattern::name("/.*/")]),
        ignore: None,
    };
    let none = || Rule {
        only: None,
        ignore: Some(vec![Pattern::name("/.*/")]),
    };
    let (branches, tags) = match filters {
        Filters::Rules { branches, tags } => (branches.clone(), tags.clone()),
        Filters::Expression { holds: true, .. } => (None, Some(any())),
        Filters::Expression { holds: false, .. } => (Some(none()), None),
    };
    let mut map = Map::default();
    map.add_some("branches", branches.as_ref().map(rule));
    map.add_some("tags", tags.as_ref().map(rule));
    map
}

fn rule(rule: &Rule) -> Map {
    let patterns = |patterns: &Vec<Pattern>| {
        Yaml::List(patterns.iter().map(|it| it.as_str().into()).collect())
    };
    let mut map = Map::default();
    map.add_some("only", rule.only.as_ref().map(patterns));
    map.add_some("ignore", rule.ignore.as_ref().map(patterns));
    map
}
