//! Checks definitions as they stand, used or not.

use std::rc::Rc;

use indexmap::IndexMap;

use super::bind::bind;
use super::substitute::{Scope, Values, substitute};
use super::{executor, graph, logic};
use crate::context::Context;
use crate::diagnostic::{code, error};
use crate::syntax::{Call, Command, Definition, JobType, Packages, Reader, Step, Type};
use crate::yaml::{Mapping, Node, Span, Value};

/// Reports what is wrong with definitions whatever their parameters will be. Orbs from elsewhere
/// are taken as they are: what is wrong with them counts only where it is used. False if commands
/// call each other in a circle, so that they must not be expanded.
pub(super) fn check(cx: &Context<'_>, packages: &Packages) -> bool {
    let checker = Checker {
        reader: Reader { cx, lenient: true },
        packages,
    };
    let own = || packages.iter().filter(|(_, package)| package.own);
    for (_, package) in own() {
        for (name, job) in &package.jobs {
            checker.job(name, job);
        }
        for (name, executor) in &package.executors {
            checker.references(executor);
            if let Some(body) = executor.body.as_mapping() {
                let _ = checker.reader.job(name, body);
                checker.reader.check_one_class(body);
            }
        }
    }
    let commands = own().flat_map(|(home, package)| {
        let commands = package.commands.iter();
        commands.map(move |(name, definition)| {
            let name = name.clone();
            (Command { home, name }, definition)
        })
    });
    let calls = commands.map(|(command, definition)| {
        let calls = checker.command(&command, definition);
        (command, calls)
    });
    checker.circles(&calls.collect())
}

/// The calls that commands make: of which commands, and where.
type Calls = IndexMap<Command, Vec<(Command, Span)>>;

struct Checker<'a> {
    reader: Reader<'a>,
    packages: &'a Packages,
}

impl Checker<'_> {
    fn job(&self, name: &str, job: &Definition) {
        self.references(job);
        let Some(body) = job.body.as_mapping() else {
            return;
        };
        let read = self.reader.job(name, body);
        self.reader.check_one_class(body);
        if let Some(node) = body.present("executor")
            && !self.reader.unknown(node)
            && let Some(reference) = executor::reference(self.reader, node)
            && !reference.name.contains("<<")
            && let Some(found) = executor::lookup(self.reader, self.packages, &reference)
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
        let kind = body.present("type");
        match kind.map(|node| self.reader.job_type(node)) {
            Some(Some(JobType::WithoutSteps(kind))) => {
                self.reader.without_steps(kind, body, job.name_span);
            }
            None | Some(Some(JobType::Build)) if read.steps.is_none() => {
                self.no_steps("job", name, job.name_span);
            }
            _ => {}
        }
        if let Some(steps) = read.steps {
            self.steps(&steps, &mut vec![], None);
        }
    }

    /// Checks a command and lists the commands that it calls.
    fn command(&self, command: &Command, definition: &Definition) -> Vec<(Command, Span)> {
        self.references(definition);
        let mut calls = vec![];
        let body = definition.body.as_mapping();
        match body.and_then(|body| body.present("steps")) {
            Some(steps) => self.steps(steps, &mut calls, Some(command)),
            None => self.no_steps("command", &command.name, definition.name_span),
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

    fn steps(&self, node: &Node, calls: &mut Vec<(Command, Span)>, within: Option<&Command>) {
        if self.reader.unknown(node) {
            return;
        }
        let Some(items) = self.reader.sequence(node, "`steps`") else {
            return;
        };
        for item in items.iter() {
            let shadowing = |command: &Command| within == Some(command);
            match self.reader.step(item, self.packages, shadowing) {
                Some(Step::Conditional {
                    condition, steps, ..
                }) => {
                    logic::holds(self.reader, &condition);
                    self.steps(&steps, calls, within);
                }
                Some(Step::Steps(steps)) => self.steps(&steps, calls, within),
                Some(Step::Command(call)) => self.call(call, calls, within),
                Some(Step::BuiltIn(_)) | None => {}
            }
        }
    }

    fn call(&self, call: Call<'_>, calls: &mut Vec<(Command, Span)>, within: Option<&Command>) {
        let Call {
            command,
            definition,
            span,
            arguments,
        } = call;
        let empty = Rc::<Mapping>::default();
        let name = &command.name;
        let arguments = match &arguments {
            Some(node) => self
                .reader
                .mapping(node, &format!("what `{name}` is given")),
            None => Some(&empty),
        };
        let what = format!("command `{name}`");
        calls.push((command, span));
        let Some(arguments) = arguments else { return };
        bind(self.reader, &what, &definition.parameters, arguments, span);
        // Lists that are handed over hold steps.
        for (name, argument) in &arguments.entries {
            let declared = definition.parameters.get(name).and_then(Option::as_ref);
            if declared.is_some_and(|declared| declared.kind == Type::Steps)
                && matches!(argument.value.value, Value::Sequence(_))
            {
                self.steps(&argument.value, calls, within);
            }
        }
    }

    fn circles(&self, calls: &Calls) -> bool {
        let calls_of = calls;
        let edges = calls.values().map(|calls| {
            let called = calls.iter();
            called
                .filter_map(|(command, _)| calls_of.get_index_of(command))
                .collect()
        });
        let edges: Vec<Vec<usize>> = edges.collect();
        let Some(circle) = graph::find_cycle(&edges) else {
            return true;
        };
        let command = |at: usize| &calls[circle[at]];
        let names = circle.iter().filter_map(|at| calls.get_index(*at));
        let shown: Vec<_> = names
            .map(|(command, _)| format!("`{}`", command.name))
            .collect();
        let message = if shown.len() == 2 {
            format!("command {} calls itself", shown[0])
        } else {
            format!(
                "commands call each other in a circle: {}",
                shown.join(" -> ")
            )
        };
        let next = calls.get_index(circle[1]).map(|(command, _)| command);
        let place = command(0).iter().find(|(to, _)| Some(to) == next);
        let span = place.map(|(_, span)| *span).unwrap_or_default();
        let help = "remove one of these calls";
        self.reader
            .report(error(code::RECURSIVE_COMMAND, span, message).help(help));
        false
    }
}
