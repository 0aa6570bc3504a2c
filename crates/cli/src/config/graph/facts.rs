//! What is worth saying about a job, briefly.

use outrider_config::Pattern;
use outrider_config::expanded::{ExpandedJob, Filters, Rule};
use outrider_model::Outcome;
use outrider_model::plan::{JobKind, Requirement};

/// What distinguishes a job: its kind, how many tasks it is, where it runs.
pub fn facts(job: &ExpandedJob) -> Vec<String> {
    let kind = match &job.plan.kind {
        JobKind::Build(build) if build.parallelism > 1 => {
            Some(format!("{} tasks", build.parallelism))
        }
        JobKind::Build(_) => None,
        other => Some(other.as_str().to_owned()),
    };
    let group = job.plan.serial_group.as_ref();
    kind.into_iter()
        .chain(filters(&job.filters))
        .chain(group.map(|group| format!("one at a time in {group}")))
        .collect()
}

fn filters(filters: &Filters) -> Vec<String> {
    match filters {
        Filters::Expression { text, .. } => vec![format!("if {}", text.trim())],
        Filters::Rules { branches, tags } => {
            let branches = branches.iter().flat_map(|it| rule(it, "branches"));
            let tags = tags.iter().flat_map(|it| rule(it, "tags"));
            branches.chain(tags).collect()
        }
    }
}

fn rule(rule: &Rule, of: &str) -> Option<String> {
    let names = |patterns: &[Pattern]| {
        let names: Vec<_> = patterns.iter().map(Pattern::as_str).collect();
        names.join(" ")
    };
    match (&rule.only, &rule.ignore) {
        (Some(only), _) => Some(format!("only {of} {}", names(only))),
        (None, Some(ignore)) => Some(format!("not {of} {}", names(ignore))),
        (None, None) => None,
    }
}

/// How a requirement must have ended, where success is not it.
pub fn condition(requirement: &Requirement) -> Option<String> {
    let accepts = &requirement.accepts;
    if *accepts == [Outcome::Passed] {
        return None;
    }
    if accepts.len() == Outcome::ALL.len() {
        return Some("ended".to_owned());
    }
    // Lost and timed out are what CircleCI calls failed.
    let word = |outcome: &Outcome| match outcome {
        Outcome::Passed => Some("passed"),
        Outcome::Canceled => Some("canceled"),
        Outcome::Failed => Some("failed"),
        Outcome::NotRun => Some("not run"),
        Outcome::Lost | Outcome::TimedOut => None,
    };
    let words: Vec<_> = accepts.iter().filter_map(word).collect();
    Some(words.join(" or "))
}
