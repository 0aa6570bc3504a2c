//! Configs as large projects have them. `fixtures/NAME.txt` says what runs of `fixtures/NAME.yml` for
//! several branches and tags: jobs, what they require, where they run, and their steps.
//!
//! `OUTRIDER_BLESS=1` writes what comes out; read the diff before you commit it.

#[path = "support/fixtures.rs"]
mod fixtures;
#[path = "support/golden.rs"]
mod golden;
#[path = "support/load.rs"]
mod load;
mod support;

use std::path::Path;

use fixtures::fixtures;
use golden::compare;
use load::load;
use outrider_config::{Options, SourceFile, compile};
use outrider_model::Outcome;
use outrider_model::plan::{JobPlan, Plan, Requirement};

const BRANCHES: [&str; 3] = ["main", "release/2.0", "topic"];
const TAGS: [&str; 3] = ["v1.2.3", "v1.2.3-beta.4", "other"];

#[test]
fn every_fixture_runs_what_stands_beside_it() {
    let all = fixtures(&["fixtures"]);
    assert!(all.len() >= 9, "the fixtures are gone");
    let wrong: Vec<String> = all.iter().filter_map(|it| check(it)).collect();
    let wrong = wrong.join("\n");
    assert!(
        wrong.is_empty(),
        "{wrong}\n\nif this is right, accept it with OUTRIDER_BLESS=1"
    );
}

fn check(fixture: &Path) -> Option<String> {
    let (source, options) = load(fixture);
    let targets = BRANCHES.map(|name| ("branch", name)).into_iter();
    let targets = targets.chain(TAGS.map(|name| ("tag", name)));
    let mut shown: Vec<(String, String)> = vec![];
    let mut summary = String::new();
    for (kind, name) in targets {
        let mut options = options.clone();
        match kind {
            "tag" => options.values.git_tag = Some(name.to_owned()),
            _ => options.values.git_branch = Some(name.to_owned()),
        }
        let target = format!("{kind} {name}");
        let runs = runs(&source, &options);
        match shown.iter().find(|(_, shown)| *shown == runs) {
            Some((same, _)) => summary += &format!("{target}: as for {same}\n\n"),
            None => summary += &format!("{target}:\n{runs}\n"),
        }
        shown.push((target, runs));
    }
    let summary = summary.trim_end().to_owned() + "\n";
    compare(&fixture.with_extension("txt"), Some(summary))
}

/// What runs, or why nothing does.
fn runs(source: &SourceFile, options: &Options) -> String {
    match compile(source, options) {
        Ok(compiled) => shown(&compiled.plan) + &compiled.warnings.render(source, false),
        Err(errors) => errors.render(source, false),
    }
}

fn shown(plan: &Plan) -> String {
    let mut text = if plan.setup {
        "setup\n".to_owned()
    } else {
        String::new()
    };
    for workflow in &plan.workflows {
        text += &format!("workflow {}\n", workflow.name);
        workflow.jobs.iter().for_each(|job| text += &job_shown(job));
    }
    text
}

fn job_shown(job: &JobPlan) -> String {
    let mut text = format!("  {} ({}", job.name, job.kind.as_str());
    if let Some(build) = job.kind.build() {
        text += &format!(" on {}", build.class);
        if build.parallelism > 1 {
            text += &format!(", {} tasks", build.parallelism);
        }
    }
    text += ")";
    if !job.requires.is_empty() {
        let requires: Vec<_> = job.requires.iter().map(requirement_shown).collect();
        text += &format!(" after {}", requires.join(", "));
    }
    if !job.contexts.is_empty() {
        text += &format!(" with {}", job.contexts.join(", "));
    }
    if let Some(group) = &job.serial_group {
        text += &format!(" in turn {group}");
    }
    text += "\n";
    let steps = job.kind.build().map(|build| &build.spec.steps);
    for step in steps.into_iter().flatten() {
        text += &format!("    {}\n", step.name());
    }
    text
}

fn requirement_shown(requirement: &Requirement) -> String {
    if requirement.accepts == [Outcome::Passed] {
        return requirement.job.clone();
    }
    let accepts: Vec<_> = requirement.accepts.iter().map(|it| it.as_str()).collect();
    format!("{}: {}", requirement.job, accepts.join("|"))
}
