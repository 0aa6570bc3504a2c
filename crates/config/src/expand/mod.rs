//! From definitions and the workflows that use them to all that can run.

mod bind;
mod check;
mod executor;
mod expression;
mod graph;
mod group;
mod job;
mod level;
mod logic;
mod matrix;
mod pipeline;
mod steps;
mod substitute;
mod template;
mod unresolved;
mod workflow;

use std::cell::Cell;
use std::rc::Rc;

use indexmap::IndexMap;

use crate::context::Context;
use crate::diagnostic::{code, error, list};
use crate::expanded::{Expanded, ExpandedWorkflow};
use crate::process::origin_in;
use crate::syntax::{Definition, Group, Kind, Packages, Reader, Version, Workflow};
use crate::yaml::{Document, Home, Span};
pub(crate) use substitute::Values;

/// Expands definitions. Everything it reads is resolved.
pub(crate) struct Expander<'a> {
    reader: Reader<'a>,
    packages: &'a Packages,
    groups: IndexMap<Rc<str>, Group>,
    /// How many jobs there are so far, over all workflows.
    jobs: Cell<usize>,
}

/// All that a document can run. What is wrong is reported; the result counts only if nothing was.
pub(crate) fn expand(cx: &Context<'_>, document: &Document) -> Option<Expanded> {
    let reader = Reader { cx, lenient: false };
    let root = reader.mapping(&document.root, "a config")?;
    let version = reader.version(root, document.root.span);
    cx.templates.set(version == Version::V2_1);
    reader.check_top(document, root, version);
    let root = pipeline::resolve(reader, root);
    let packages = reader.packages(&root);
    let whole = root.key_span("workflows").unwrap_or_default();
    let workflows = match root.present("workflows") {
        Some(node) => reader.workflows(node, whole),
        None => implicit_workflow(reader, &packages),
    };
    let sound = check::check(cx, &packages);
    if !sound {
        return None;
    }
    let expander = Expander {
        reader,
        packages: &packages,
        groups: reader.groups(&root, &packages),
        jobs: Cell::new(0),
    };
    let expanded = expander.workflows(&workflows, whole);
    let setup = reader.setup(&root);
    if let Some(setup) = setup.filter(|_| expanded.len() > 1) {
        let message = format!("a setup config has one workflow, not {}", expanded.len());
        reader.report(
            error(code::CONFLICTING_KEYS, whole, message)
                .label(setup, "this makes it a setup config")
                .help("keep the workflow that continues the pipeline"),
        );
    }
    Some(Expanded {
        setup: setup.is_some(),
        workflows: expanded,
    })
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
            Workflow::implicit("build", build.name_span),
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
    fn workflows(
        &self,
        workflows: &IndexMap<Rc<str>, Workflow>,
        whole: Span,
    ) -> Vec<ExpandedWorkflow> {
        let cx = self.reader.cx;
        if workflows.is_empty() && !cx.options.may_be_empty && cx.errors() == 0 {
            self.reader.report(
                error(code::NOTHING_TO_RUN, whole, "`workflows` is empty")
                    .help("add a workflow with `jobs`"),
            );
        }
        let expanded = workflows
            .iter()
            .filter_map(|(name, one)| self.workflow(name, one));
        expanded.collect()
    }

    /// Where a job comes from, for people. In a config that was processed, where it came from then.
    fn origin(&self, job: &str, definition: &Definition) -> String {
        let cx = self.reader.cx;
        let processed = !cx.templates.get();
        if let Some(origin) = origin_in(cx.line_before(definition.name_span)).filter(|_| processed)
        {
            return origin.to_owned();
        }
        let line = cx.line(definition.name_span);
        let package = self.packages.locate(Kind::Job, Home::default(), job);
        match package.map(|(home, _)| self.packages.at(home)) {
            Some(orb) if !orb.own => format!("job {job} of {}, line {line}", orb.name),
            _ => format!("job {job}, line {line}"),
        }
    }
}
