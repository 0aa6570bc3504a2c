//! What of an expanded config runs for a branch or a tag.

mod target;

use std::collections::{HashMap, HashSet};

use outrider_model::plan::{JobPlan, Plan, WorkflowPlan};

use crate::context::Context;
use crate::diagnostic::{code, error, list};
use crate::expanded::{Expanded, ExpandedJob, ExpandedWorkflow};
use crate::yaml::Span;
use target::{Sieve, Target, TooHard};

/// The plan for the branch or tag that the options name. `None` if nothing of the config runs,
/// which is reported at the place of `workflows`.
pub(crate) fn choose(cx: &Context<'_>, expanded: Expanded, at: Span) -> Option<Plan> {
    let workflows = match &cx.options.only_job {
        Some(only) => vec![only_job(cx, &expanded.workflows, only, at)?],
        None => workflows(cx, expanded.workflows, at)?,
    };
    Some(Plan {
        workflows,
        setup: expanded.setup,
    })
}

/// The workflows that run, with the jobs that run.
fn workflows(
    cx: &Context<'_>,
    expanded: Vec<ExpandedWorkflow>,
    at: Span,
) -> Option<Vec<WorkflowPlan>> {
    let sieve = Sieve::new(Target::of(&cx.options.values));
    let asked_for = cx.options.only_workflow.is_some();
    let mut plans = vec![];
    let mut reasons = vec![];
    for one in expanded {
        let name = one.name.clone();
        if !one.schedules.is_empty() && !asked_for {
            reasons.push(format!("`{name}` runs on a schedule, or by its name"));
            continue;
        }
        match workflow(&sieve, one) {
            Ok(Some(plan)) => plans.push(plan),
            Ok(None) => reasons.push(why_nothing(&name, sieve.target)),
            Err(TooHard(pattern)) => {
                cx.report_too_hard(&pattern, at);
                return None;
            }
        }
    }
    if plans.is_empty() && !cx.options.may_be_empty {
        report_nothing(cx, at, &reasons, sieve.target);
        return None;
    }
    Some(plans)
}

/// A workflow with the jobs that run; nothing if there is none.
fn workflow(
    sieve: &Sieve<'_>,
    expanded: ExpandedWorkflow,
) -> Result<Option<WorkflowPlan>, TooHard> {
    let out = left_out(sieve, &expanded.jobs)?;
    let jobs = expanded.jobs.into_iter().map(|job| job.plan);
    let jobs: Vec<_> = jobs
        .filter(|job| !out.contains(&job.name))
        .map(|mut job| {
            job.requires.retain(|required| !out.contains(&required.job));
            job
        })
        .collect();
    Ok((!jobs.is_empty()).then_some(WorkflowPlan {
        name: expanded.name,
        jobs,
        max_auto_reruns: expanded.max_auto_reruns,
    }))
}

/// The jobs that do not run: those whose filters say so, and those all of whose requirements do
/// not run.
fn left_out(sieve: &Sieve<'_>, jobs: &[ExpandedJob]) -> Result<HashSet<String>, TooHard> {
    let mut waiting_for = HashMap::<&str, usize>::new();
    let mut required_by = HashMap::<&str, Vec<&str>>::new();
    let mut found = vec![];
    for ExpandedJob { plan, filters, .. } in jobs {
        waiting_for.insert(&plan.name, plan.requires.len());
        for requirement in &plan.requires {
            let by = required_by.entry(&requirement.job).or_default();
            by.push(&plan.name);
        }
        if !sieve.passes(filters)? {
            found.push(plan.name.as_str());
        }
    }
    let mut out = HashSet::new();
    while let Some(name) = found.pop() {
        if !out.insert(name.to_owned()) {
            continue;
        }
        for by in required_by.get(name).into_iter().flatten() {
            if let Some(left) = waiting_for.get_mut(by) {
                *left -= 1;
                found.extend((*left == 0).then_some(by));
            }
        }
    }
    Ok(out)
}

fn why_nothing(workflow: &str, target: Target<'_>) -> String {
    let why = format!("no job of `{workflow}` runs for {target}");
    match target {
        Target::Tag(_) => format!(
            "{why}: add `filters: {{tags: {{only: …}}}}` to those that should, and to all that \
             they require"
        ),
        Target::Branch(_) | Target::Unknown => format!("{why}: look at their `filters`"),
    }
}

fn report_nothing(cx: &Context<'_>, at: Span, reasons: &[String], target: Target<'_>) {
    const SHOWN: usize = 5;
    if reasons.is_empty() {
        let message = "the conditions of all workflows are false";
        cx.report(
            error(code::NOTHING_TO_RUN, at, message)
                .help("change `when` and `unless`, or the pipeline parameters"),
        );
        return;
    }
    let message = format!("nothing of the config runs for {target}");
    let mut help = reasons[..reasons.len().min(SHOWN)].join("; ");
    if reasons.len() > SHOWN {
        help += &format!("; and so on for {} more", reasons.len() - SHOWN);
    }
    cx.report(error(code::NOTHING_TO_RUN, at, message).help(help));
}

/// The one job that was asked for, without what it requires, and whatever its filters say.
fn only_job(
    cx: &Context<'_>,
    workflows: &[ExpandedWorkflow],
    only: &str,
    at: Span,
) -> Option<WorkflowPlan> {
    let plans = || {
        workflows
            .iter()
            .flat_map(|workflow| workflow.jobs.iter().map(move |job| (workflow, &job.plan)))
    };
    let Some((workflow, job)) = plans().find(|(_, plan)| plan.name == only) else {
        let names = list(plans().map(|(_, plan)| plan.name.as_str()));
        let message = format!("no workflow has a job `{only}`");
        cx.report(error(code::UNKNOWN_JOB, at, message).help(format!("there is {names}")));
        return None;
    };
    Some(WorkflowPlan {
        name: workflow.name.clone(),
        jobs: vec![JobPlan {
            requires: vec![],
            ..job.clone()
        }],
        max_auto_reruns: workflow.max_auto_reruns,
    })
}
