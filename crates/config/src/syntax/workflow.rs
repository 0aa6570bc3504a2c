//! Workflows.

use std::rc::Rc;

use indexmap::IndexMap;

use super::Reader;
use super::keys::WORKFLOW;
use crate::diagnostic::{code, error, list};
use crate::yaml::{Entry, Node, Span, Value};

/// A workflow as written: everything in it may still hold `<< matrix.… >>` or `\<<`.
pub(crate) struct Workflow {
    pub(crate) when: Option<Node>,
    pub(crate) unless: Option<Node>,
    pub(crate) triggers: Option<Node>,
    pub(crate) max_auto_reruns: Option<Node>,
    pub(crate) jobs: Vec<Use>,
    /// Whether it is the workflow of a config that has none.
    pub(crate) implicit: bool,
}

impl Workflow {
    /// The workflow of a config that has none.
    pub(crate) fn implicit(job: &str, span: Span) -> Self {
        Self {
            when: None,
            unless: None,
            triggers: None,
            max_auto_reruns: None,
            jobs: vec![Use {
                job: job.into(),
                span,
                body: Node::null(span),
            }],
            implicit: true,
        }
    }
}

/// An entry of `jobs` in a workflow or a job group, as written.
pub(crate) struct Use {
    /// The job, the job group, or the name of an approval.
    pub(crate) job: Rc<str>,
    pub(crate) span: Span,
    pub(crate) body: Node,
}

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
        let jobs = self.required_key(body, "jobs", entry.key_span)?;
        let jobs = self.uses(jobs, &format!("workflow `{name}`"), entry.key_span)?;
        if let Some((when, unless)) = body.key_span("when").zip(body.key_span("unless")) {
            let message = format!("workflow `{name}` has both `when` and `unless`");
            self.report(
                error(code::CONFLICTING_KEYS, when.max(unless), message)
                    .label(when.min(unless), "the other one")
                    .help("say both in one `when`, with `and` and `not`"),
            );
        }
        Some(Workflow {
            when: body.get("when").cloned(),
            unless: body.get("unless").cloned(),
            triggers: body.present("triggers").cloned(),
            max_auto_reruns: body.present("max_auto_reruns").cloned(),
            jobs,
            implicit: false,
        })
    }

    /// `jobs` of a workflow or a job group.
    pub(crate) fn uses(self, node: &Node, of: &str, at: Span) -> Option<Vec<Use>> {
        let jobs = self.sequence(node, &format!("`jobs` of {of}"))?;
        if jobs.is_empty() {
            let message = format!("{of} has no jobs");
            self.report(error(code::BAD_VALUE, at, message).help("list some under `jobs`"));
        }
        Some(jobs.iter().filter_map(|job| self.one_use(job)).collect())
    }

    fn one_use(self, node: &Node) -> Option<Use> {
        match &node.value {
            Value::Mapping(mapping) if mapping.entries.len() == 1 => {
                let (name, entry) = mapping.entries.first()?;
                Some(Use {
                    job: name.clone(),
                    span: entry.key_span,
                    body: entry.value.clone(),
                })
            }
            // Keys that should stand one level further in. CircleCI does not look at them.
            Value::Mapping(mapping) if mapping.get_index(0).is_some_and(Node::is_null) => {
                self.report_beside(mapping, "the job before it");
                let (name, entry) = mapping.entries.first()?;
                Some(Use {
                    job: name.clone(),
                    span: entry.key_span,
                    body: entry.value.clone(),
                })
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
                None
            }
            _ => Some(Use {
                job: self.name(node, "a job of a workflow")?.into(),
                span: node.span,
                body: Node::null(node.span),
            }),
        }
    }
}
