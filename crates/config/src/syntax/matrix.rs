//! `matrix` of a job of a workflow, as written.

use std::rc::Rc;

use indexmap::IndexMap;

use super::Reader;
use super::keys::MATRIX;
use crate::diagnostic::{code, error, list};
use crate::yaml::{Entry, Mapping, Node, Span, Value};

/// The values of each parameter, and what of their combinations is left out.
pub(crate) struct Matrix {
    /// Never empty.
    pub(crate) parameters: Axes,
    pub(crate) exclude: Vec<Exclusion>,
    pub(crate) alias: Option<String>,
}

/// By the names of the parameters, and in their order, as in CircleCI.
pub(crate) type Axes = IndexMap<Rc<str>, Axis>;

/// A parameter and all values that it takes.
pub(crate) struct Axis {
    pub(crate) name_span: Span,
    /// Never empty.
    pub(crate) values: Rc<Vec<Node>>,
}

/// An entry of `exclude`: one value of every parameter, in the order of the parameters.
pub(crate) struct Exclusion {
    pub(crate) span: Span,
    pub(crate) values: Vec<Node>,
}

impl Reader<'_> {
    pub(crate) fn matrix(self, node: &Node) -> Option<Matrix> {
        let body = self.mapping(node, "`matrix`")?;
        self.check_keys(body, &MATRIX);
        let parameters = self.required_key(body, "parameters", node.span)?;
        let parameters = self.matrix_parameters(parameters)?;
        let alias = body.present("alias");
        Some(Matrix {
            exclude: match body.present("exclude") {
                Some(exclude) => self.exclusions(exclude, &parameters)?,
                None => vec![],
            },
            alias: alias.and_then(|alias| self.name(alias, "`alias`")),
            parameters,
        })
    }

    fn matrix_parameters(self, node: &Node) -> Option<Axes> {
        let mapping = self.mapping(node, "`parameters` of a matrix")?;
        let read = |name: &Rc<str>, entry: &Entry| {
            let values = self.sequence(&entry.value, &format!("`{name}` of a matrix"))?;
            if values.is_empty() {
                let message = format!("`{name}` of the matrix has no value");
                self.report_empty(entry.key_span, &message);
                return None;
            }
            let axis = Axis {
                name_span: entry.key_span,
                values: values.clone(),
            };
            Some((name.clone(), axis))
        };
        if mapping.entries.is_empty() {
            self.report_empty(node.span, "the matrix has no parameters");
            return None;
        }
        let entries = mapping.entries.iter();
        let read: Vec<_> = entries.map(|(name, entry)| read(name, entry)).collect();
        let mut axes: Axes = read.into_iter().collect::<Option<_>>()?;
        axes.sort_keys();
        Some(axes)
    }

    fn report_empty(self, span: Span, message: &str) {
        let help = "list at least one value: `version: [\"1.0\", \"2.0\"]`";
        self.report(error(code::BAD_MATRIX, span, message).help(help));
    }

    fn exclusions(self, node: &Node, parameters: &Axes) -> Option<Vec<Exclusion>> {
        let items = self.sequence(node, "`exclude`")?.iter();
        let read: Vec<_> = items
            .map(|item| {
                let values = self.mapping(item, "an entry of `exclude`")?;
                let span = item.span;
                let values = self.exclusion(span, values, parameters)?;
                Some(Exclusion { span, values })
            })
            .collect();
        read.into_iter().collect()
    }

    fn exclusion(self, span: Span, values: &Mapping, parameters: &Axes) -> Option<Vec<Node>> {
        for (name, entry) in &values.entries {
            if !parameters.contains_key(name) {
                let names = parameters.keys().map(|name| &**name);
                let message = format!("the matrix has no parameter `{name}`");
                let help = self.cx.hint(name, names, |all| format!("it has {all}"));
                self.report(error(code::BAD_MATRIX, entry.key_span, message).maybe_help(help));
                return None;
            }
        }
        let missing = parameters.keys().filter(|name| values.get(name).is_none());
        let missing: Vec<_> = missing.map(|name| &**name).collect();
        if !missing.is_empty() {
            let message = "an entry of `exclude` must name every parameter of the matrix";
            let help = format!("add {}", list(missing));
            self.report(error(code::BAD_MATRIX, span, message).help(help));
            return None;
        }
        parameters
            .keys()
            .map(|name| values.get(name).cloned())
            .collect()
    }
}

/// A value of a matrix as the name of its job shows it: an executor with parameters by its name.
pub(crate) fn shown(value: &Node) -> String {
    match &value.value {
        Value::Scalar(scalar) => scalar.text.to_string(),
        Value::Mapping(mapping) => mapping.get("name").map(shown).unwrap_or_default(),
        Value::Sequence(_) | Value::Wrong => String::new(),
    }
}
