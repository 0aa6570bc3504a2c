//! Executors: by name, or by name with parameters.

use std::rc::Rc;

use super::Expander;
use super::bind::bind;
use super::substitute::{Scope, substitute};
use crate::syntax::{Definition, KINDS, Kind, Packages, Reader};
use crate::yaml::{Home, Mapping, Node, Span, Value};

/// An executor as a job names it.
pub(super) struct Reference {
    pub(super) name: Rc<str>,
    pub(super) home: Home,
    pub(super) span: Span,
    pub(super) arguments: Mapping,
}

/// The value of `executor`: a name, or a mapping with `name` and the executor's parameters.
pub(super) fn reference(reader: Reader<'_>, node: &Node) -> Option<Reference> {
    let Value::Mapping(mapping) = &node.value else {
        let name = reader.name(node, "`executor`")?.into();
        return Some(Reference {
            name,
            home: node.home,
            span: node.span,
            arguments: Mapping::default(),
        });
    };
    let name = reader.required(mapping.present("name"), "name", node.span)?;
    let mut arguments = Mapping::clone(mapping);
    arguments.entries.shift_remove("name");
    Some(Reference {
        name: reader.name(name, "`name`")?.into(),
        home: name.home,
        span: name.span,
        arguments,
    })
}

/// The executor of that name, where the name stands.
pub(super) fn lookup<'p>(
    reader: Reader<'_>,
    packages: &'p Packages,
    reference: &Reference,
) -> Option<&'p Definition> {
    let Reference {
        name, home, span, ..
    } = reference;
    let kind = Kind::Executor;
    packages.require(reader, kind, *home, name, *span)
}

impl Expander<'_> {
    /// The keys of a job's executor, expanded.
    fn executor(&self, node: &Node) -> Option<Rc<Mapping>> {
        let reference = reference(self.reader, node)?;
        let definition = lookup(self.reader, self.packages, &reference)?;
        let Reference {
            name,
            span,
            arguments,
            ..
        } = reference;
        let what = format!("executor `{name}`");
        let values = bind(self.reader, &what, &definition.parameters, &arguments, span);
        let body = self.reader.cx.used_at(span, || {
            substitute(self.reader.cx, &definition.body, Scope::Parameters(&values))
        });
        body.as_mapping().cloned()
    }

    /// A job with the keys of its executor: the job's own win whole, key by key. Environments are
    /// the exception; that of the executor comes back beside, to be merged by variable. `None` if
    /// the executor is wrong, which has been reported.
    pub(super) fn with_executor(&self, job: &Mapping) -> Option<(Mapping, Option<Node>)> {
        let mut merged = job.clone();
        let Some(named) = job.present("executor") else {
            return Some((merged, None));
        };
        let executor = self.executor(named)?;
        let own_kind = KINDS.iter().any(|kind| job.present(kind).is_some());
        // A `machine` may say what else stands in the job.
        let machine = job.present("machine").and_then(Node::as_mapping);
        for (key, entry) in &executor.entries {
            let replaced = own_kind && KINDS.contains(&&**key)
                || machine.is_some_and(|machine| machine.present(key).is_some());
            if !replaced && &**key != "environment" && job.present(key).is_none() {
                merged.entries.insert(key.clone(), entry.clone());
            }
        }
        Some((merged, executor.get("environment").cloned()))
    }
}
