//! From definitions and the workflows that use them to a plan.

mod bind;
mod check;
mod executor;
mod graph;
mod job;
mod logic;
mod pipeline;
mod steps;
mod substitute;
mod template;
mod workflow;

use std::rc::Rc;

use indexmap::IndexMap;
use outrider_model::plan::{Plan, WorkflowPlan};

use crate::context::Context;
use crate::diagnostic::{code, error, list};
use crate::syntax::{Packages, Reader, Version, Workflow};
use crate::yaml::{Document, Span};
use substitute::{Scope, Values, substitute};

/// Expands definitions. Everything it reads is resolved.
pub(crate) struct Expander<'a> {
    reader: Reader<'a>,
    packages: &'a Packages,
}

/// The plan of a document. What is wrong is reported; the plan counts only if nothing was.
pub(crate) fn plan(cx: &Context<'_>, document: &Document) -> Option<Plan> {
    let reader = Reader { cx, lenient: false };
    let root = reader.mapping(&document.root, "a config")?;
    let version = reader.version(root, document.root.span);
    cx.templates.set(version == Version::V2_1);
    reader.check_top(document, root, version);
    let root = pipeline::resolve(reader, root);
    let packages = reader.packages(&root);
    // Where no element is used, `<< parameters.x >>` has no meaning.
    let workflows_node = root
        .present("workflows")
        .map(|node| substitute(cx, node, Scope::Parameters(&Values::new())));
    let whole = root.key_span("workflows").unwrap_or_default();
    let workflows = match &workflows_node {
        Some(node) => reader.workflows(node, whole),
        None => implicit_workflow(reader, &packages),
    };
    let sound = check::check(cx, &packages);
    if !sound {
        return None;
    }
    Expander {
        reader,
        packages: &packages,
    }
    .plan(&workflows, whole)
}

/// Reads a config as far as its orbs; those that are not at hand are noted.
pub(crate) fn orbs(cx: &Context<'_>, document: &Document) {
    let reader = Reader { cx, lenient: true };
    if let Some(root) = document.root.as_mapping() {
        reader.packages(&pipeline::resolve(reader, root));
    }
}

/// The name of the workflow of a config that has none, as in CircleCI.
const IMPLICIT: &str = "workflow";

/// Without workflows, a job called `build` runs on its own.
fn implicit_workflow(reader: Reader<'_>, packages: &Packages) -> IndexMap<Rc<str>, Workflow> {
    let options = reader.cx.options;
    if let Some(only) = options
        .only_workflow
        .as_deref()
        .filter(|only| *only != IMPLICIT)
    {
        let message = format!("there is no workflow `{only}`");
        let help = "the config has no `workflows`; leave the name away to run its job `build`";
        reader.report(error(code::UNKNOWN_WORKFLOW, Span::default(), message).help(help));
        return IndexMap::new();
    }
    let jobs = &packages.main().jobs;
    if let Some(build) = jobs.get("build") {
        return [(
            "workflow".into(),
            Workflow::of_one("build", build.name_span),
        )]
        .into();
    }
    let help = if jobs.is_empty() {
        "add `jobs` with a job called `build`, or `jobs` and `workflows`".to_owned()
    } else {
        let names = list(jobs.keys().map(|name| &**name));
        format!("add `workflows`, or call one of the jobs `build`; there is {names}")
    };
    let message = "the config has neither `workflows` nor a job called `build`";
    reader.report(error(code::NOTHING_TO_RUN, Span::default(), message).help(help));
    IndexMap::new()
}

impl Expander<'_> {
    fn plan(&self, workflows: &IndexMap<Rc<str>, Workflow>, whole: Span) -> Option<Plan> {
        let jobs: usize = workflows.values().map(|workflow| workflow.jobs.len()).sum();
        let limit = self.reader.cx.options.limits.jobs;
        if jobs > limit {
            let message = format!("{jobs} jobs are more than the limit of {limit}");
            self.reader.report(
                error(code::TOO_MANY_JOBS, whole, message)
                    .help("split the config, or raise the limit"),
            );
            return None;
        }
        let plans: Vec<_> = workflows
            .iter()
            .filter_map(|(name, one)| self.workflow(name, one))
            .collect();
        let plans = self.only_job(plans, whole)?;
        if plans.is_empty() && self.reader.cx.errors() == 0 {
            let (message, help) = match workflows.is_empty() {
                true => ("`workflows` is empty", "add a workflow with `jobs`"),
                false => (
                    "the conditions of all workflows are false",
                    "change `when` and `unless`, or the pipeline parameters",
                ),
            };
            self.reader
                .report(error(code::NOTHING_TO_RUN, whole, message).help(help));
        }
        Some(Plan {
            workflows: plans,
            setup: false,
        })
    }

    /// Leaves the one job that was asked for, without what it requires.
    fn only_job(&self, plans: Vec<WorkflowPlan>, whole: Span) -> Option<Vec<WorkflowPlan>> {
        let Some(only) = &self.reader.cx.options.only_job else {
            return Some(plans);
        };
        let mut found = plans
            .iter()
            .flat_map(|plan| plan.jobs.iter().map(move |job| (plan, job)));
        if let Some((plan, job)) = found.find(|(_, job)| job.name == *only) {
            let mut job = job.clone();
            job.requires.clear();
            return Some(vec![WorkflowPlan {
                name: plan.name.clone(),
                jobs: vec![job],
                max_auto_reruns: plan.max_auto_reruns,
            }]);
        }
        // With errors, the job may be missing for another reason that has been given.
        if self.reader.cx.errors() == 0 {
            let names = plans
                .iter()
                .flat_map(|plan| &plan.jobs)
                .map(|job| job.name.as_str());
            let message = format!("no workflow has a job `{only}`");
            let help = format!("there is {}", list(names));
            self.reader
                .report(error(code::UNKNOWN_JOB, whole, message).help(help));
        }
        None
    }
}
