//! A job of a workflow, with the values of its matrix in place.

use std::rc::Rc;

use outrider_model::plan::JobKind;

use super::filters::WrittenFilters;
use super::job::WithoutSteps;
use super::keys::INVOCATION;
use super::requires::Requires;
use super::workflow::Use;
use super::{JobType, Reader};
use crate::diagnostic::{code, error};
use crate::yaml::{Mapping, Node, Span, Value};

/// How a workflow uses a job.
pub(crate) struct Invocation {
    /// The job in `jobs`, the job group, or the name of an approval.
    pub(crate) job: Rc<str>,
    pub(crate) job_span: Span,
    pub(crate) name: Option<String>,
    /// The name of the whole matrix that it is a part of.
    pub(crate) alias: Option<Rc<str>>,
    /// Whether it says that it is an approval, or another type that needs no job.
    pub(crate) kind: Option<JobKind>,
    pub(crate) requires: Vec<Requires>,
    pub(crate) contexts: Vec<String>,
    pub(crate) filters: Option<WrittenFilters>,
    pub(crate) serial_group: Option<String>,
    pub(crate) override_with: Option<Node>,
    pub(crate) pre_steps: Option<Node>,
    pub(crate) post_steps: Option<Node>,
    /// The values of the job's parameters.
    pub(crate) arguments: Mapping,
}

const LONGEST_SERIAL_GROUP: usize = 512;

impl Reader<'_> {
    /// One use of a job, its body resolved.
    pub(crate) fn invocation(self, used: &Use, body: &Mapping) -> Invocation {
        let text = |key| {
            let node = body.present(key)?;
            self.name(node, &format!("`{key}`"))
        };
        let serial_group = body.present("serial-group");
        let context = body.get("context");
        Invocation {
            job: used.job.clone(),
            job_span: used.span,
            name: text("name"),
            alias: None,
            kind: body.present("type").and_then(|it| self.workflow_type(it)),
            requires: body
                .present("requires")
                .map(|it| self.requires(it))
                .unwrap_or_default(),
            contexts: context.map(|it| self.contexts(it)).unwrap_or_default(),
            filters: body.present("filters").and_then(|it| self.filters(it)),
            serial_group: serial_group.and_then(|it| self.serial_group(it)),
            override_with: body.present("override-with").cloned(),
            pre_steps: body.present("pre-steps").cloned(),
            post_steps: body.present("post-steps").cloned(),
            arguments: self.arguments(body),
        }
    }

    /// The keys that are not of the language: the values of the job's parameters.
    fn arguments(self, body: &Mapping) -> Mapping {
        let mut arguments = Mapping::default();
        for (key, entry) in &body.entries {
            match INVOCATION.support(key) {
                Some(support) => self.check_support(key, entry.key_span, support),
                None => {
                    arguments.entries.insert(key.clone(), entry.clone());
                }
            }
        }
        arguments
    }

    /// `type` in a workflow: of a job that needs no definition. A wrong one is reported, and taken
    /// for such a type.
    fn workflow_type(self, node: &Node) -> Option<JobKind> {
        match self.job_type(node) {
            Some(JobType::Build) => None,
            Some(JobType::WithoutSteps(WithoutSteps::Approval)) => Some(JobKind::Approval),
            Some(JobType::WithoutSteps(WithoutSteps::NoOp)) | None => Some(JobKind::NoOp),
            Some(JobType::WithoutSteps(_)) => {
                let message = "a job of this type is defined under `jobs`";
                let help = "write the `type` there, and remove it here";
                self.report(error(code::BAD_VALUE, node.span, message).help(help));
                Some(JobKind::NoOp)
            }
        }
    }

    /// `context`: one or several. An empty text, which an expression may give, is none.
    fn contexts(self, node: &Node) -> Vec<String> {
        let nodes = match &node.value {
            Value::Sequence(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let given = nodes.iter().filter(|node| {
            let scalar = node.as_scalar();
            !scalar.is_some_and(|scalar| scalar.text.is_empty())
        });
        given
            .filter_map(|node| self.name(node, "`context`"))
            .collect()
    }

    fn serial_group(self, node: &Node) -> Option<String> {
        let group = self.name(node, "`serial-group`")?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
        if group.len() <= LONGEST_SERIAL_GROUP && group.chars().all(fits) {
            return Some(group);
        }
        let message = format!("`{group}` cannot be a serial group");
        self.report(error(code::BAD_VALUE, node.span, message).help(format!(
            "use letters, digits, `.`, `_`, `/` and `-`, at most {LONGEST_SERIAL_GROUP} of them"
        )));
        None
    }
}
