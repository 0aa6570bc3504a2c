//! Steps.

mod data;
mod run;

use std::rc::Rc;

use outrider_model::plan::Step as Planned;

use super::keys::{CONDITIONAL, STEPS};
use super::package::{Kind, Lookup, Packages};
use super::place::Support;
use super::{Definition, Reader};
use crate::diagnostic::{code, error};
use crate::yaml::{Home, Mapping, Node, Span, Value};

pub(crate) use run::{NO_OUTPUT_TIMEOUT, name_of};

/// A step as written.
pub(crate) enum Step<'a> {
    /// One that is built in.
    BuiltIn(Planned),
    /// `when` and `unless`.
    Conditional {
        negated: bool,
        condition: Node,
        steps: Node,
    },
    /// `steps: << parameters.x >>`: a list in the place of a step.
    Steps(Node),
    /// A command of the config or of an orb.
    Command(Call<'a>),
}

/// A use of a command.
pub(crate) struct Call<'a> {
    pub(crate) command: Command,
    pub(crate) definition: &'a Definition,
    pub(crate) span: Span,
    pub(crate) arguments: Option<Node>,
}

/// A command by the package that defines it and its name there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Command {
    pub(crate) home: Home,
    pub(crate) name: Rc<str>,
}

/// Built-in steps that need no keys.
const ALONE: &[&str] = &["checkout", "setup_remote_docker", "add_ssh_keys"];

impl Reader<'_> {
    /// One entry of `steps`. Commands go before what is built in, except where `shadowing` says that
    /// this is the command that took the place of the built-in step.
    pub(crate) fn step<'p>(
        self,
        node: &Node,
        packages: &'p Packages,
        shadowing: impl Fn(&Command) -> bool,
    ) -> Option<Step<'p>> {
        let (name, span, body) = match &node.value {
            Value::Scalar(_) if node.is_null() => {
                let draft = error(code::WRONG_TYPE, node.span, "this step is empty");
                self.report(draft.help("write a step behind the `-`, or remove it"));
                return None;
            }
            Value::Scalar(_) => (self.name(node, "a step")?.into(), node.span, None),
            Value::Mapping(mapping) => {
                let (name, entry) = self.only_entry(node, mapping)?;
                (name.clone(), entry.key_span, Some(&entry.value))
            }
            // Where a parameter of type `steps` stands without `steps:`.
            Value::Sequence(_) => return Some(Step::Steps(node.clone())),
            Value::Wrong => return None,
        };
        if self.unknown(node) {
            return None;
        }
        let body = body.filter(|body| !body.is_null());
        let built_in = STEPS.support(&name);
        match packages.find(Kind::Command, node.home, &name) {
            Lookup::Found(definition) => {
                let (home, own) = packages.locate(Kind::Command, node.home, &name)?;
                let command = Command {
                    home,
                    name: own.into(),
                };
                if built_in.is_none() || !shadowing(&command) {
                    return Some(Step::Command(Call {
                        command,
                        definition,
                        span,
                        arguments: body.cloned(),
                    }));
                }
            }
            Lookup::Unavailable => return None,
            Lookup::Absent => {}
        }
        match built_in {
            Some(Support::Refused(reason)) => {
                self.refused(span, &format!("the step `{name}`"), reason);
                None
            }
            Some(_) => self.built_in(&name, span, body),
            None => {
                self.unknown_step(&name, span, node.home, packages);
                None
            }
        }
    }

    fn built_in<'p>(self, name: &str, span: Span, body: Option<&Node>) -> Option<Step<'p>> {
        let step = match name {
            "when" | "unless" => return self.conditional(name, span, body),
            "steps" => return Some(Step::Steps(self.required(body, "steps", span)?.clone())),
            "run" | "deploy" => Planned::Run(self.run(span, body)?),
            _ => self.data_step(name, span, body)?,
        };
        Some(Step::BuiltIn(step))
    }

    fn only_entry<'n>(
        self,
        node: &Node,
        mapping: &'n Mapping,
    ) -> Option<(&'n Rc<str>, &'n crate::yaml::Entry)> {
        let first = mapping.entries.first();
        if mapping.entries.len() == 1 {
            return first;
        }
        // Keys that should stand one level further in. CircleCI does not look at them.
        let alone = |name: &str| STEPS.support(name).is_none() || ALONE.contains(&name);
        if first.is_some_and(|(name, entry)| entry.value.is_null() && alone(name)) {
            self.report_beside(mapping, "the step before it");
            return first;
        }
        let help = if mapping.entries.contains_key("run") || mapping.entries.contains_key("name") {
            "indent the keys of the step one level more than its name"
        } else {
            "start every step with its own `-`"
        };
        let message = format!("a step is a single key, not {}", mapping.entries.len());
        self.report(error(code::WRONG_TYPE, node.span, message).help(help));
        None
    }

    fn unknown_step(self, name: &str, span: Span, home: Home, packages: &Packages) {
        let command = Kind::Command;
        if name.contains('/') {
            packages.require(self, command, home, name, span);
            return;
        }
        let commands = packages.at(home).commands.keys().map(|name| &**name);
        let mut names: Vec<&str> = STEPS.names().collect();
        names.extend(commands);
        let help = self.cx.hint(name, names.into_iter(), |_| {
            "steps are `run`, `checkout`, `save_cache` and so on, and the config's `commands`"
                .into()
        });
        let message = format!("there is no step or command `{name}`");
        self.report(error(code::UNKNOWN_COMMAND, span, message).maybe_help(help));
    }

    fn conditional<'p>(self, name: &str, span: Span, body: Option<&Node>) -> Option<Step<'p>> {
        let body = self.mapping(
            self.required(body, "condition", span)?,
            &format!("`{name}`"),
        )?;
        self.check_keys(body, &CONDITIONAL);
        let condition = self
            .required(body.get("condition"), "condition", span)?
            .clone();
        let steps = self.required_key(body, "steps", span)?.clone();
        Some(Step::Conditional {
            negated: name == "unless",
            condition,
            steps,
        })
    }
}
