//! Declarations of parameters, and the values that fit them.

use std::rc::Rc;

use indexmap::IndexMap;

use super::Reader;
use super::keys::{INVOCATION, PARAMETER};
use crate::diagnostic::{code, error, list, warning};
use crate::yaml::{Node, Plain, Scalar, Span, Value};

/// The type of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    String,
    Boolean,
    Integer,
    Enum(Vec<String>),
    Executor,
    Steps,
    EnvVarName,
}

/// One declared parameter.
#[derive(Clone, Debug)]
pub(crate) struct Declaration {
    pub(crate) name_span: Span,
    pub(crate) kind: Type,
    pub(crate) default: Option<Node>,
}

/// The parameters of one definition. One that is declared wrongly is kept as `None`: it has been
/// reported, and references to it are not undefined.
pub(crate) type Declarations = IndexMap<Rc<str>, Option<Declaration>>;

/// What may declare parameters; each allows other types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Declares {
    Pipeline,
    Job,
    Command,
    Executor,
}

const TYPES: &[&str] = &[
    "string",
    "boolean",
    "integer",
    "enum",
    "executor",
    "steps",
    "env_var_name",
];

impl Declares {
    fn types(self) -> &'static [&'static str] {
        match self {
            Self::Pipeline | Self::Executor => &TYPES[..4],
            Self::Job | Self::Command => TYPES,
        }
    }
}

impl Reader<'_> {
    /// A `parameters` mapping.
    pub(crate) fn declarations(self, node: Option<&Node>, by: Declares) -> Declarations {
        let mut declarations = Declarations::new();
        let Some(mapping) = node.and_then(|node| self.mapping(node, "`parameters`")) else {
            return declarations;
        };
        for (name, entry) in &mapping.entries {
            let sound = self.check_parameter_name(name, entry.key_span, by);
            let declaration = self.declaration(name, entry.key_span, &entry.value, by);
            declarations.insert(name.clone(), declaration.filter(|_| sound));
        }
        declarations
    }

    /// False if nothing can have this name, which is reported.
    fn check_parameter_name(self, name: &str, span: Span, by: Declares) -> bool {
        let help = "start with a letter, then use a-z, 0-9, `_` and `-`";
        let periods = by == Declares::Pipeline && !name.contains("..");
        let tail =
            |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.' && periods;
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(tail) {
            let message = format!("`{name}` cannot be a parameter");
            self.report(error(code::BAD_PARAMETER_NAME, span, message).help(help));
            return false;
        }
        if by == Declares::Job && INVOCATION.support(name).is_some() {
            let message = format!("a job cannot declare the parameter `{name}`");
            self.report(error(code::BAD_PARAMETER_NAME, span, message).help(format!(
                "`{name}` means something else where a workflow uses the job"
            )));
            return false;
        }
        if name.contains(|c: char| c.is_ascii_uppercase()) {
            // CircleCI's documentation forbids it, its compiler does not.
            let message = format!("`{name}` has capital letters");
            self.report(warning(code::BAD_PARAMETER_NAME, span, message).help(help));
        }
        true
    }

    fn declaration(
        self,
        name: &str,
        name_span: Span,
        node: &Node,
        by: Declares,
    ) -> Option<Declaration> {
        let mapping = self.mapping(node, &format!("parameter `{name}`"))?;
        self.check_keys(mapping, &PARAMETER);
        let Some(written) = mapping.present("type") else {
            let message = format!("parameter `{name}` has no `type`");
            self.report(error(code::MISSING_KEY, name_span, message).help(format!(
                "add `type:` and one of {}",
                list(by.types().iter().copied())
            )));
            return None;
        };
        let words: Vec<_> = by.types().iter().map(|word| (*word, *word)).collect();
        let kind = match self.choice(written, "the type of a parameter", &words)? {
            "string" => Type::String,
            "boolean" => Type::Boolean,
            "integer" => Type::Integer,
            "executor" => Type::Executor,
            "steps" => Type::Steps,
            "env_var_name" => Type::EnvVarName,
            _ => Type::Enum(self.enum_values(name, name_span, mapping.present("enum"))?),
        };
        let default = match mapping.get("default") {
            Some(default) => {
                let what = format!("the default of `{name}`");
                Some(self.argument(default, &kind, &what, name_span)?)
            }
            None => None,
        };
        Some(Declaration {
            name_span,
            kind,
            default,
        })
    }

    fn enum_values(self, name: &str, span: Span, node: Option<&Node>) -> Option<Vec<String>> {
        let Some(node) = node else {
            let message = format!("parameter `{name}` of type `enum` has no `enum`");
            self.report(
                error(code::MISSING_KEY, span, message).help("list its values: `enum: [a, b]`"),
            );
            return None;
        };
        let values = self.sequence(node, "`enum`")?;
        Some(
            values
                .iter()
                .filter_map(|value| self.text(value, "a value of `enum`"))
                .collect(),
        )
    }

    /// A value for a parameter, in the form in which it is substituted.
    pub(crate) fn argument(
        self,
        node: &Node,
        kind: &Type,
        what: &str,
        declared: Span,
    ) -> Option<Node> {
        if self.unknown(node) {
            return Some(node.clone());
        }
        let fitting = match (&node.value, kind) {
            (Value::Scalar(scalar), kind) => fit(scalar, kind).map(|(text, quoted)| {
                let mut fitting = Node::scalar(node.span, text, quoted).at_home(node.home);
                fitting.templated &= node.templated;
                fitting
            }),
            (Value::Sequence(_), Type::Steps) | (Value::Mapping(_), Type::Executor) => {
                Some(node.clone())
            }
            _ => None,
        };
        if fitting.is_none() {
            self.report_misfit(node, kind, what, declared);
        }
        fitting
    }

    fn report_misfit(self, node: &Node, kind: &Type, what: &str, declared: Span) {
        let scalar = node.as_scalar();
        let text = scalar.map(|scalar| &*scalar.text).unwrap_or_default();
        let bare = |scalar: &Scalar| Scalar {
            quoted: false,
            ..scalar.clone()
        };
        // A number or a boolean in quotes is text.
        let in_quotes = scalar.is_some_and(|scalar| fit(&bare(scalar), kind).is_some());
        let actual = if text.is_empty() {
            node.kind().to_owned()
        } else if in_quotes {
            format!("the text `{text}`")
        } else {
            format!("`{text}`")
        };
        let no_quotes = |kind| {
            in_quotes.then(|| {
                format!(
                    "remove the quotes; if it comes from another parameter, declare that one with \
                     `type: {kind}`"
                )
            })
        };
        let (wanted, help) = match kind {
            Type::String => ("text", None),
            Type::Boolean => ("`true` or `false`", no_quotes("boolean")),
            Type::Integer => ("an integer", no_quotes("integer")),
            Type::Executor => ("the name of an executor", None),
            Type::Steps => ("a list of steps", None),
            Type::EnvVarName => ("the name of an environment variable", None),
            Type::Enum(values) => {
                let values = || values.iter().map(String::as_str);
                let help = self
                    .cx
                    .hint(text, values(), |all| format!("it is one of {all}"));
                ("one of its `enum` values", help)
            }
        };
        let message = format!("{what} must be {wanted}, not {actual}");
        self.report(
            error(code::BAD_ARGUMENT, node.span, message)
                .label(declared, "declared here")
                .maybe_help(help),
        );
    }
}

/// The text of a scalar that fits a type, and whether it is text whatever it looks like.
fn fit(scalar: &Scalar, kind: &Type) -> Option<(Rc<str>, bool)> {
    let text = scalar.text.clone();
    match kind {
        // CircleCI wants quotes around a number; without them it may lose digits (1.10), we do not.
        Type::String => {
            let null = scalar.plain() == Plain::Null;
            (!null || text.is_empty()).then_some((text, true))
        }
        Type::Boolean => scalar
            .boolean()
            .map(|value| (value.to_string().into(), false)),
        Type::Integer => matches!(scalar.plain(), Plain::Integer(_)).then_some((text, false)),
        Type::Enum(values) => values
            .iter()
            .any(|value| **value == *text)
            .then_some((text, true)),
        Type::Executor => (!text.is_empty()).then_some((text, true)),
        Type::EnvVarName => is_variable_name(&text).then_some((text, true)),
        Type::Steps => None,
    }
}

fn is_variable_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
