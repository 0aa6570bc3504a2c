//! Workflows.

use std::rc::Rc;

use indexmap::IndexMap;
use outrider_model::Outcome;

use super::Reader;
use super::keys::{INVOCATION, WORKFLOW};
use crate::diagnostic::{code, error, list};
use crate::yaml::{Entry, Mapping, Node, Span, Value};

/// A workflow as written.
pub(crate) struct Workflow {
    pub(crate) when: Option<Node>,
    pub(crate) unless: Option<Node>,
    pub(crate) jobs: Vec<Invocation>,
}

impl Workflow {
    /// A workflow of a single job.
    pub(crate) fn of_one(job: &str, span: Span) -> Self {
        Self {
            when: None,
            unless: None,
            jobs: vec![Invocation::new(job.into(), span)],
        }
    }
}

/// A job in a workflow.
#[derive(Clone)]
pub(crate) struct Invocation {
    /// The job in `jobs`.
    pub(crate) job: Rc<str>,
    pub(crate) job_span: Span,
    pub(crate) name: Option<String>,
    pub(crate) requires: Vec<Requires>,
    pub(crate) pre_steps: Option<Node>,
    pub(crate) post_steps: Option<Node>,
    /// The values of the job's parameters.
    pub(crate) arguments: Rc<Mapping>,
    /// Whether it uses something that was refused; then the job itself may well not exist.
    pub(crate) refused: bool,
}

impl Invocation {
    fn new(job: Rc<str>, job_span: Span) -> Self {
        Self {
            job,
            job_span,
            name: None,
            requires: vec![],
            pre_steps: None,
            post_steps: None,
            arguments: Rc::default(),
            refused: false,
        }
    }
}

/// An entry of `requires`.
#[derive(Clone)]
pub(crate) struct Requires {
    pub(crate) job: String,
    pub(crate) span: Span,
    /// In the order of [`Outcome::ALL`].
    pub(crate) accepts: Vec<Outcome>,
}

/// CircleCI's words for how a job may end. What it calls failed includes timeouts and failures of
/// the infrastructure.
pub(crate) const STATUSES: &[(&str, &[Outcome])] = &[
    ("success", &[Outcome::Passed]),
    (
        "failed",
        &[Outcome::Failed, Outcome::TimedOut, Outcome::Lost],
    ),
    ("canceled", &[Outcome::Canceled]),
    ("not_run", &[Outcome::NotRun]),
    ("terminal", &Outcome::ALL),
    ("unauthorized", &[]),
];

impl Reader<'_> {
    /// The workflows, or the one that was asked for: the others need not be right.
    pub(crate) fn workflows(self, node: &Node, at: Span) -> IndexMap<Rc<str>, Workflow> {
        let mut workflows = IndexMap::new();
        let Some(all) = self.mapping(node, "`workflows`") else {
            return workflows;
        };
        // Version 2 wants its own `version: 2` among the workflows.
        let is_version =
            |name: &str, entry: &Entry| name == "version" && entry.value.as_scalar().is_some();
        let all = || {
            all.entries
                .iter()
                .filter(|(name, entry)| !is_version(name, entry))
        };
        let only = self.cx.options.only_workflow.as_deref();
        if let Some(only) = only
            && !all().any(|(name, _)| **name == *only)
        {
            let message = format!("there is no workflow `{only}`");
            let names = list(all().map(|(name, _)| &**name));
            self.report(
                error(code::UNKNOWN_WORKFLOW, at, message).help(format!("there is {names}")),
            );
        }
        for (name, entry) in all().filter(|(name, _)| only.is_none_or(|only| ***name == *only)) {
            if let Some(workflow) = self.workflow(name, entry) {
                workflows.insert(name.clone(), workflow);
            }
        }
        workflows
    }

    fn workflow(self, name: &str, entry: &Entry) -> Option<Workflow> {
        let body = self.mapping(&entry.value, &format!("workflow `{name}`"))?;
        self.check_keys(body, &WORKFLOW);
        let jobs = self.required(body.present("jobs"), "jobs", entry.key_span)?;
        let jobs = self.sequence(jobs, "`jobs` of a workflow")?;
        if jobs.is_empty() {
            let message = format!("workflow `{name}` has no jobs");
            self.report(
                error(code::BAD_VALUE, entry.key_span, message).help("list some under `jobs`"),
            );
        }
        Some(Workflow {
            when: body.get("when").cloned(),
            unless: body.get("unless").cloned(),
            jobs: jobs.iter().filter_map(|job| self.invocation(job)).collect(),
        })
    }

    fn invocation(self, node: &Node) -> Option<Invocation> {
        let (job, job_span, body) = match &node.value {
            Value::Mapping(mapping) if mapping.entries.len() == 1 => {
                let (name, entry) = mapping.entries.first()?;
                (name.clone(), entry.key_span, &entry.value)
            }
            Value::Mapping(_) => {
                self.report(
                    error(
                        code::WRONG_TYPE,
                        node.span,
                        "a job of a workflow is a single key",
                    )
                    .help("start every job with its own `-`, and indent its keys one level more"),
                );
                return None;
            }
            _ => (
                self.name(node, "a job of a workflow")?.into(),
                node.span,
                &Node::null(node.span),
            ),
        };
        let mut invocation = Invocation::new(job, job_span);
        if !body.is_null() {
            let body = self.mapping(body, &format!("`{}`", invocation.job))?;
            self.invocation_body(body, &mut invocation);
        }
        Some(invocation)
    }

    fn invocation_body(self, body: &Mapping, into: &mut Invocation) {
        let mut arguments = Mapping::default();
        for (key, entry) in &body.entries {
            match INVOCATION.support(key) {
                Some(support) => {
                    self.check_support(key, entry.key_span, support);
                    into.refused |= support.is_error();
                }
                None => {
                    arguments.entries.insert(key.clone(), entry.clone());
                }
            }
        }
        into.name = body
            .present("name")
            .and_then(|node| self.name(node, "`name`"));
        into.requires = body
            .present("requires")
            .map(|it| self.requires(it))
            .unwrap_or_default();
        into.pre_steps = body.present("pre-steps").cloned();
        into.post_steps = body.present("post-steps").cloned();
        into.arguments = Rc::new(arguments);
    }

    fn requires(self, node: &Node) -> Vec<Requires> {
        let Some(items) = self.sequence(node, "`requires`") else {
            return vec![];
        };
        let mut all: Vec<Requires> = vec![];
        let mut seen = IndexMap::new();
        for requires in items.iter().filter_map(|item| self.requirement(item)) {
            match seen.insert(requires.job.clone(), requires.span) {
                Some(first) => self.report(
                    error(
                        code::DUPLICATE_REQUIREMENT,
                        requires.span,
                        format!("`{}` is required twice", requires.job),
                    )
                    .label(first, "first here")
                    .help("list several statuses in one entry: `- job: [success, failed]`"),
                ),
                None => all.push(requires),
            }
        }
        all
    }

    fn requirement(self, node: &Node) -> Option<Requires> {
        let (job, span, accepts) = match &node.value {
            Value::Mapping(mapping) if mapping.entries.len() == 1 => {
                let (job, entry) = mapping.entries.first()?;
                (
                    job.to_string(),
                    entry.key_span,
                    self.statuses(&entry.value)?,
                )
            }
            Value::Scalar(_) => (
                self.name(node, "an entry of `requires`")?,
                node.span,
                vec![Outcome::Passed],
            ),
            _ => {
                let message = "an entry of `requires` must be a job's name or `name: status`";
                self.report(error(code::WRONG_TYPE, node.span, message));
                return None;
            }
        };
        Some(Requires { job, span, accepts })
    }

    fn statuses(self, node: &Node) -> Option<Vec<Outcome>> {
        let read = |node: &Node| {
            let outcomes = self.choice(node, "the status of a required job", STATUSES)?;
            if outcomes.is_empty() {
                self.not_supported(node.span, "the status `unauthorized`");
            }
            Some(outcomes)
        };
        let accepted: Vec<&[Outcome]> = match &node.value {
            Value::Sequence(items) => items.iter().filter_map(read).collect(),
            _ => vec![read(node)?],
        };
        if accepted.is_empty() {
            let message = "the statuses of a required job must not be empty";
            self.report(error(code::BAD_VALUE, node.span, message));
            return None;
        }
        let accepted = accepted.concat();
        Some(
            Outcome::ALL
                .into_iter()
                .filter(|outcome| accepted.contains(outcome))
                .collect(),
        )
    }
}
