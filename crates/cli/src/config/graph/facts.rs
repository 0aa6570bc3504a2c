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
            let no_branch = branches.as_ref().is_some_and(fits_nothing);
            let branches = branches.as_ref().filter(|_| !no_branch || tags.is_none());
            // Of tags none runs unless it is said, of branches all.
            let only = if no_branch { "only" } else { "also" };
            let branches = branches.and_then(|it| rule(it, "only", "branches"));
            let tags = tags.as_ref().and_then(|it| rule(it, only, "tags"));
            branches.into_iter().chain(tags).collect()
        }
    }
}

/// Whether a rule ignores everything.
fn fits_nothing(rule: &Rule) -> bool {
    let all = |patterns: &Vec<Pattern>| patterns.iter().any(|it| it.as_str() == "/.*/");
    rule.only.is_none() && rule.ignore.as_ref().is_some_and(all)
}

fn rule(rule: &Rule, only: &str, of: &str) -> Option<String> {
    let names = |patterns: &[Pattern]| {
        let names: Vec<_> = patterns.iter().map(Pattern::as_str).collect();
        names.join(" ")
    };
    match (&rule.only, &rule.ignore) {
        (Some(patterns), _) => Some(format!("{only} {of} {}", names(patterns))),
        (None, Some(ignore)) => Some(format!("no {of} {}", names(ignore))),
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
