//! Steps.

use std::rc::Rc;
use std::time::Duration;

use indexmap::IndexMap;
use outrider_model::plan::{CheckoutMethod, CheckoutStep, RunStep, When};

use super::keys::{CHECKOUT, CONDITIONAL, RUN, STEPS};
use super::place::Support;
use super::{Definition, Reader};
use crate::diagnostic::{code, error};
use crate::yaml::{Mapping, Node, Span, Value};

/// A step as written.
pub(crate) enum Step {
    Run(RunStep),
    Checkout(CheckoutStep),
    /// `when` and `unless`.
    Conditional {
        negated: bool,
        condition: Node,
        steps: Node,
    },
    /// `steps: << parameters.x >>`: a list in the place of a step.
    Steps(Node),
    /// A command of the config.
    Command {
        name: Rc<str>,
        span: Span,
        arguments: Option<Node>,
    },
}

/// How long a step may write nothing that says nothing else.
pub(crate) const NO_OUTPUT_TIMEOUT: Duration = Duration::from_secs(600);
const LONGEST_RERUN_DELAY: Duration = Duration::from_secs(600);
/// How much of a command stands for its name.
const LONGEST_NAME: usize = 80;

impl Reader<'_> {
    /// One entry of `steps`. The commands of the config go before what is built in, except where
    /// `shadowing` says that this is the command that took the place of the built-in step.
    pub(crate) fn step(
        self,
        node: &Node,
        commands: &IndexMap<Rc<str>, Definition>,
        shadowing: impl Fn(&str) -> bool,
    ) -> Option<Step> {
        let (name, span, body) = match &node.value {
            Value::Scalar(_) => (self.name(node, "a step")?.into(), node.span, None),
            Value::Mapping(mapping) => {
                let (name, entry) = self.only_entry(node, mapping)?;
                (name.clone(), entry.key_span, Some(&entry.value))
            }
            Value::Sequence(_) => {
                self.report(
                    error(
                        code::WRONG_TYPE,
                        node.span,
                        "a step must be text or a mapping, not a list",
                    )
                    .help("write `- steps: << parameters.name >>` to insert a list of steps"),
                );
                return None;
            }
        };
        if self.unknown(node) {
            return None;
        }
        let body = body.filter(|body| !body.is_null());
        if commands.contains_key(&name) && !(STEPS.support(&name).is_some() && shadowing(&name)) {
            return Some(Step::Command {
                name,
                span,
                arguments: body.cloned(),
            });
        }
        match &*name {
            "run" => self.run(span, body).map(Step::Run),
            "checkout" => self.checkout(body).map(Step::Checkout),
            "when" | "unless" => self.conditional(&name, span, body),
            "steps" => Some(Step::Steps(self.required(body, "steps", span)?.clone())),
            _ => self.refuse_step(&name, span, commands),
        }
    }

    fn only_entry<'n>(
        self,
        node: &Node,
        mapping: &'n Mapping,
    ) -> Option<(&'n Rc<str>, &'n crate::yaml::Entry)> {
        if mapping.entries.len() == 1 {
            return mapping.entries.first();
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

    fn refuse_step(
        self,
        name: &str,
        span: Span,
        commands: &IndexMap<Rc<str>, Definition>,
    ) -> Option<Step> {
        if let Some(support) = STEPS.support(name) {
            let what = format!("the step `{name}`");
            match support {
                Support::Refused(reason) => self.refused(span, &what, reason),
                _ => self.not_supported(span, &what),
            }
        } else if name.contains('/') {
            self.not_supported(span, &format!("`{name}`: a command of an orb"));
        } else {
            let mut names: Vec<&str> = STEPS.names().collect();
            names.extend(commands.keys().map(|name| &**name));
            let help = self.cx.hint(name, names.into_iter(), |_| {
                "steps are `run`, `checkout`, `when`, `unless` and the config's `commands`".into()
            });
            let message = format!("there is no step or command `{name}`");
            self.report(error(code::UNKNOWN_COMMAND, span, message).maybe_help(help));
        }
        None
    }

    /// The value of a key that must be there.
    pub(crate) fn required<'n>(
        self,
        node: Option<&'n Node>,
        key: &str,
        of: Span,
    ) -> Option<&'n Node> {
        if node.is_none() {
            self.report(
                error(code::MISSING_KEY, of, format!("`{key}` is missing"))
                    .help(format!("add `{key}:` with a value")),
            );
        }
        node
    }

    fn conditional(self, name: &str, span: Span, body: Option<&Node>) -> Option<Step> {
        let body = self.mapping(
            self.required(body, "condition", span)?,
            &format!("`{name}`"),
        )?;
        self.check_keys(body, &CONDITIONAL);
        let condition = self
            .required(body.get("condition"), "condition", span)?
            .clone();
        let steps = self.required(body.present("steps"), "steps", span)?.clone();
        Some(Step::Conditional {
            negated: name == "unless",
            condition,
            steps,
        })
    }

    fn checkout(self, body: Option<&Node>) -> Option<CheckoutStep> {
        const METHODS: &[(&str, Option<CheckoutMethod>)] = &[
            ("blobless", Some(CheckoutMethod::Blobless)),
            ("full", Some(CheckoutMethod::Full)),
            ("shallow", None),
        ];
        let Some(body) = body else {
            return Some(CheckoutStep::default());
        };
        let body = self.mapping(body, "`checkout`")?;
        self.check_keys(body, &CHECKOUT);
        let path = body
            .present("path")
            .and_then(|path| self.name(path, "`path`"));
        let method = body.present("method").and_then(|node| {
            let method = self.choice(node, "`method`", METHODS)?;
            if method.is_none() {
                self.not_supported(node.span, "`method: shallow`");
            }
            method
        });
        Some(CheckoutStep {
            name: None,
            path,
            method: method.unwrap_or_default(),
        })
    }

    fn run(self, span: Span, body: Option<&Node>) -> Option<RunStep> {
        let body = self.required(body, "command", span)?;
        let Value::Mapping(mapping) = &body.value else {
            return Some(plain_run(self.name(body, "`run`")?));
        };
        self.check_keys(mapping, &RUN);
        let text = |key: &str| {
            mapping
                .present(key)
                .and_then(|node| self.name(node, &format!("`{key}`")))
        };
        let (name, shell, directory) = (text("name"), text("shell"), text("working_directory"));
        let background = mapping.present("background");
        let timeout = mapping.present("no_output_timeout");
        let (max_auto_reruns, auto_rerun_delay) = self.reruns(mapping);
        let step = RunStep {
            shell,
            working_directory: directory,
            environment: mapping
                .get("environment")
                .map(|node| self.environment(node))
                .unwrap_or_default(),
            background: background
                .and_then(|node| self.boolean(node, "`background`"))
                .unwrap_or(false),
            no_output_timeout: timeout
                .and_then(|node| self.duration(node, "`no_output_timeout`"))
                .unwrap_or(NO_OUTPUT_TIMEOUT),
            when: mapping
                .present("when")
                .and_then(|node| self.when(node))
                .unwrap_or_default(),
            max_auto_reruns,
            auto_rerun_delay,
            ..plain_run(self.name(
                self.required(mapping.present("command"), "command", span)?,
                "`command`",
            )?)
        };
        Some(RunStep {
            name: name.unwrap_or_else(|| step.name.clone()),
            ..step
        })
    }

    fn when(self, node: &Node) -> Option<When> {
        const WHEN: &[(&str, When)] = &[
            ("on_success", When::OnSuccess),
            ("on_fail", When::OnFail),
            ("always", When::Always),
        ];
        self.choice(node, "`when`", WHEN)
    }

    fn reruns(self, mapping: &Mapping) -> (u32, Duration) {
        let reruns = mapping
            .present("max_auto_reruns")
            .and_then(|node| self.integer(node, "`max_auto_reruns`", (1, 5)));
        let Some(node) = mapping.present("auto_rerun_delay") else {
            return (reruns.unwrap_or(0), Duration::ZERO);
        };
        if !mapping.entries.contains_key("max_auto_reruns") {
            let message = "`auto_rerun_delay` does nothing without `max_auto_reruns`";
            self.report(
                error(code::MISSING_KEY, node.span, message).help("add `max_auto_reruns: 1`"),
            );
        }
        let delay = self
            .duration(node, "`auto_rerun_delay`")
            .unwrap_or_default();
        if delay > LONGEST_RERUN_DELAY {
            self.report(error(
                code::BAD_VALUE,
                node.span,
                "`auto_rerun_delay` must be at most 10m",
            ));
        }
        (reruns.unwrap_or(0), delay)
    }
}

/// `run: command`.
fn plain_run(command: String) -> RunStep {
    RunStep {
        name: name_of(&command),
        command,
        shell: None,
        environment: IndexMap::new(),
        background: false,
        working_directory: None,
        no_output_timeout: NO_OUTPUT_TIMEOUT,
        when: When::OnSuccess,
        max_auto_reruns: 0,
        auto_rerun_delay: Duration::ZERO,
    }
}

/// The first line of a command that says something, cut to a length that fits a screen.
pub(crate) fn name_of(command: &str) -> String {
    let mut lines = command
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or(command);
    let long = first.chars().count() > LONGEST_NAME;
    if !long && lines.next().is_none() {
        return first.to_owned();
    }
    let shown: String = first
        .chars()
        .take(if long { LONGEST_NAME - 1 } else { LONGEST_NAME })
        .collect();
    if long {
        format!("{}…", shown.trim_end())
    } else {
        format!("{shown} …")
    }
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn a_command_is_named_by_its_first_line() {
        assert_eq!(name_of("cargo test"), "cargo test");
        assert_eq!(name_of("\n  make\n  make install\n"), "make …");
        assert_eq!(name_of(&"ä".repeat(100)).chars().count(), 80);
    }
}
