//! Checks definitions as they stand, used or not.

use std::rc::Rc;

use super::bind::bind;
use super::substitute::{Scope, Values, substitute};
use super::{executor, graph, logic};
use crate::context::Context;
use crate::diagnostic::{code, error};
use crate::syntax::{Config, Definition, Reader, Step, Type};
use crate::yaml::{Mapping, Node, Span, Value};

/// Reports what is wrong with definitions whatever their parameters will be. False if commands
/// call each other in a circle, so that they must not be expanded.
pub(super) fn check(cx: &Context<'_>, config: &Config) -> bool {
    let checker = Checker {
        reader: Reader { cx, lenient: true },
        config,
    };
    for (name, job) in &config.jobs {
        checker.job(name, job);
    }
    for (name, executor) in &config.executors {
        checker.references(executor);
        if let Some(body) = executor.body.as_mapping() {
            let _ = checker.reader.job(name, body);
        }
    }
    let calls: Vec<_> = config
        .commands
        .iter()
        .map(|it| checker.command(it.0, it.1))
        .collect();
    checker.circles(&calls)
}

/// A call of a command: which one, and where.
type Call = (usize, Span);

struct Checker<'a> {
    reader: Reader<'a>,
    config: &'a Config,
}

impl Checker<'_> {
    fn job(&self, name: &str, job: &Definition) {
        self.references(job);
        let Some(body) = job.body.as_mapping() else {
            return;
        };
        let read = self.reader.job(name, body);
        if let Some(node) = body.present("executor")
            && !self.reader.unknown(node)
            && let Some(reference) = executor::reference(self.reader, node)
            && !reference.name.contains("<<")
            && let Some(found) = executor::lookup(self.reader, &self.config.executors, &reference)
        {
            let what = format!("executor `{}`", reference.name);
            let span = reference.span;
            bind(
                self.reader,
                &what,
                &found.parameters,
                &reference.arguments,
                span,
            );
        }
        let builds = body.present("type").is_none_or(|it| {
            it.as_scalar()
                .is_some_and(|scalar| &*scalar.text == "build")
        });
        match read.steps {
            Some(steps) => self.steps(&steps, &mut vec![], None),
            None if builds => self.no_steps("job", name, job.name_span),
            None => {}
        }
    }

    /// Checks a command and lists the commands that it calls.
    fn command(&self, name: &Rc<str>, command: &Definition) -> Vec<Call> {
        self.references(command);
        let mut calls = vec![];
        match command
            .body
            .as_mapping()
            .and_then(|body| body.present("steps"))
        {
            Some(steps) => self.steps(steps, &mut calls, Some(name)),
            None => self.no_steps("command", name, command.name_span),
        }
        calls
    }

    fn no_steps(&self, what: &str, name: &str, span: Span) {
        let message = format!("{what} `{name}` has no `steps`");
        self.reader.report(
            error(code::MISSING_KEY, span, message).help("add some: `steps: [run: echo hello]`"),
        );
    }

    /// Reports references to parameters that a definition does not declare: they are resolved
    /// here, without values.
    fn references(&self, definition: &Definition) {
        let declared: Values = definition
            .parameters
            .keys()
            .map(|name| (name.clone(), None))
            .collect();
        substitute(
            self.reader.cx,
            &definition.body,
            Scope::Parameters(&declared),
        );
    }

    fn steps(&self, node: &Node, calls: &mut Vec<Call>, within: Option<&str>) {
        if self.reader.unknown(node) {
            return;
        }
        let Some(items) = self.reader.sequence(node, "`steps`") else {
            return;
        };
        for item in items.iter() {
            let shadowing = |name: &str| within == Some(name);
            match self.reader.step(item, &self.config.commands, shadowing) {
                Some(Step::Conditional {
                    condition, steps, ..
                }) => {
                    logic::holds(self.reader, &condition);
                    self.steps(&steps, calls, within);
                }
                Some(Step::Steps(steps)) => self.steps(&steps, calls, within),
                Some(Step::Command {
                    name,
                    span,
                    arguments,
                }) => {
                    self.call(&name, span, arguments.as_ref(), calls, within);
                }
                Some(Step::Run(_) | Step::Checkout(_)) | None => {}
            }
        }
    }

    fn call(
        &self,
        name: &str,
        span: Span,
        arguments: Option<&Node>,
        calls: &mut Vec<Call>,
        within: Option<&str>,
    ) {
        let Some((index, _, command)) = self.config.commands.get_full(name) else {
            return;
        };
        calls.push((index, span));
        let empty = Rc::<Mapping>::default();
        let arguments = match arguments {
            Some(node) => self
                .reader
                .mapping(node, &format!("what `{name}` is given")),
            None => Some(&empty),
        };
        let Some(arguments) = arguments else { return };
        let what = format!("command `{name}`");
        bind(self.reader, &what, &command.parameters, arguments, span);
        // Lists that are handed over hold steps.
        for (name, argument) in &arguments.entries {
            let declared = command.parameters.get(name).and_then(Option::as_ref);
            if declared.is_some_and(|declared| declared.kind == Type::Steps)
                && matches!(argument.value.value, Value::Sequence(_))
            {
                self.steps(&argument.value, calls, within);
            }
        }
    }

    fn circles(&self, calls: &[Vec<Call>]) -> bool {
        let edges: Vec<Vec<usize>> = calls
            .iter()
            .map(|calls| calls.iter().map(|(to, _)| *to).collect())
            .collect();
        let Some(circle) = graph::find_cycle(&edges) else {
            return true;
        };
        let name = |at: usize| {
            self.config
                .commands
                .get_index(at)
                .map_or("", |(name, _)| &**name)
        };
        let shown: Vec<_> = circle.iter().map(|at| format!("`{}`", name(*at))).collect();
        let place = calls[circle[0]].iter().find(|(to, _)| *to == circle[1]);
        let message = if shown.len() == 2 {
            format!("command {} calls itself", shown[0])
        } else {
            format!(
                "commands call each other in a circle: {}",
                shown.join(" -> ")
            )
        };
        let span = place.map(|(_, span)| *span).unwrap_or_default();
        let help = "remove one of these calls";
        self.reader
            .report(error(code::RECURSIVE_COMMAND, span, message).help(help));
        false
    }
}
