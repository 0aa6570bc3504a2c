//! From definitions and the workflows that use them to all that can run.

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

use crate::context::Context;
use crate::diagnostic::{code, error, list};
use crate::expanded::Expanded;
use crate::process::origin_in;
use crate::syntax::{Config, Definition, Reader, Version, Workflow};
use crate::yaml::{Document, Span};
use substitute::{Scope, Values, substitute};

/// Expands definitions. Everything it reads is resolved.
pub(crate) struct Expander<'a> {
    reader: Reader<'a>,
    config: &'a Config,
}

/// All that a document can run. What is wrong is reported; the result counts only if nothing was.
pub(crate) fn expand(cx: &Context<'_>, document: &Document) -> Option<Expanded> {
    let reader = Reader { cx, lenient: false };
    let root = reader.mapping(&document.root, "a config")?;
    let version = reader.version(root, document.root.span);
    cx.templates.set(version == Version::V2_1);
    reader.check_top(document, root, version);
    let root = pipeline::resolve(reader, root);
    let config = reader.config(&root);
    // Where no element is used, `<< parameters.x >>` has no meaning.
    let workflows_node = root
        .present("workflows")
        .map(|node| substitute(cx, node, Scope::Parameters(&Values::new())));
    let whole = root.key_span("workflows").unwrap_or_default();
    let workflows = match &workflows_node {
        Some(node) => reader.workflows(node, whole),
        None => implicit_workflow(reader, &config),
    };
    let sound = check::check(cx, &config);
    if !sound {
        return None;
    }
    Expander {
        reader,
        config: &config,
    }
    .workflows(&workflows, whole)
}

/// The name of the workflow of a config that has none, as in CircleCI.
const IMPLICIT: &str = "workflow";

/// Without workflows, a job called `build` runs on its own.
fn implicit_workflow(reader: Reader<'_>, config: &Config) -> IndexMap<Rc<str>, Workflow> {
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
    if let Some(build) = config.jobs.get("build") {
        return [(
            "workflow".into(),
            Workflow::of_one("build", build.name_span),
        )]
        .into();
    }
    let help = if config.jobs.is_empty() {
        "add `jobs` with a job called `build`, or `jobs` and `workflows`".to_owned()
    } else {
        let names = list(config.jobs.keys().map(|name| &**name));
        format!("add `workflows`, or call one of the jobs `build`; there is {names}")
    };
    let message = "the config has neither `workflows` nor a job called `build`";
    reader.report(error(code::NOTHING_TO_RUN, Span::default(), message).help(help));
    IndexMap::new()
}

impl Expander<'_> {
    fn workflows(&self, workflows: &IndexMap<Rc<str>, Workflow>, whole: Span) -> Option<Expanded> {
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
        if workflows.is_empty() && self.reader.cx.errors() == 0 {
            self.reader.report(
                error(code::NOTHING_TO_RUN, whole, "`workflows` is empty")
                    .help("add a workflow with `jobs`"),
            );
        }
        let expanded = workflows
            .iter()
            .filter_map(|(name, one)| self.workflow(name, one));
        Some(Expanded {
            setup: false,
            workflows: expanded.collect(),
        })
    }

    /// Where a job comes from, for people. In a config that was processed, where it came from then.
    fn origin(&self, job: &str, definition: &Definition) -> String {
        let cx = self.reader.cx;
        let processed = !cx.templates.get();
        match origin_in(cx.line_before(definition.name_span)).filter(|_| processed) {
            Some(origin) => origin.to_owned(),
            None => format!("job {job}, line {}", cx.line(definition.name_span)),
        }
    }
}
