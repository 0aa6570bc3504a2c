//! What of an expanded config runs for a branch or a tag.

use outrider_model::plan::{JobPlan, Plan, WorkflowPlan};

use crate::context::Context;
use crate::diagnostic::{code, error, list};
use crate::expanded::{Expanded, ExpandedWorkflow};
use crate::yaml::Span;

/// The plan for the branch or tag that the options name. `None` if nothing of the config runs,
/// which is reported at the place of `workflows`.
pub(crate) fn choose(cx: &Context<'_>, expanded: Expanded, at: Span) -> Option<Plan> {
    if expanded.workflows.is_empty() {
        let message = "the conditions of all workflows are false";
        cx.report(
            error(code::NOTHING_TO_RUN, at, message)
                .help("change `when` and `unless`, or the pipeline parameters"),
        );
        return None;
    }
    let workflows = match &cx.options.only_job {
        Some(only) => vec![only_job(cx, &expanded.workflows, only, at)?],
        None => expanded.workflows.into_iter().map(workflow).collect(),
    };
    Some(Plan {
        workflows,
        setup: expanded.setup,
    })
}

fn workflow(expanded: ExpandedWorkflow) -> WorkflowPlan {
    WorkflowPlan {
        name: expanded.name,
        jobs: expanded.jobs.into_iter().map(|job| job.plan).collect(),
        max_auto_reruns: expanded.max_auto_reruns,
    }
}

/// The one job that was asked for, without what it requires.
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
