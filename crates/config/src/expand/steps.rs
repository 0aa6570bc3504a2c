//! Steps: conditions decided, commands put in their place.

use std::rc::Rc;

use outrider_model::plan::Step as Planned;

use super::Expander;
use super::bind::bind;
use super::logic;
use super::substitute::{Scope, substitute};
use crate::diagnostic::{code, error};
use crate::syntax::{Call, Command, Step};
use crate::yaml::{Mapping, Node};

/// What a step costs besides its texts.
const COST: usize = 256;

impl Expander<'_> {
    /// The steps of a resolved list, appended to `plan`.
    pub(super) fn steps(&self, node: &Node, plan: &mut Vec<Planned>) {
        self.list(node, &mut vec![], 0, plan);
    }

    fn list(&self, node: &Node, within: &mut Vec<Command>, depth: usize, plan: &mut Vec<Planned>) {
        let cx = self.reader.cx;
        if depth > cx.options.limits.step_depth {
            let message = format!(
                "steps nest more than {} levels deep",
                cx.options.limits.step_depth
            );
            cx.stop(
                error(code::TOO_DEEP, node.span, message).help("flatten commands and conditions"),
            );
            return;
        }
        let Some(items) = self.reader.sequence(node, "`steps`") else {
            return;
        };
        for item in items.iter() {
            if !cx.spend(COST, item.span) {
                return;
            }
            // A command may shadow a built-in step and call it.
            let shadowing = |command: &Command| within.contains(command);
            if let Some(step) = self.reader.step(item, self.packages, shadowing) {
                self.step(step, within, depth, plan);
            }
        }
    }

    fn step(
        &self,
        step: Step<'_>,
        within: &mut Vec<Command>,
        depth: usize,
        plan: &mut Vec<Planned>,
    ) {
        match step {
            Step::BuiltIn(step) => plan.push(step),
            Step::Conditional {
                negated,
                condition,
                steps,
            } => {
                if logic::holds(self.reader, &condition) == Some(!negated) {
                    self.list(&steps, within, depth + 1, plan);
                }
            }
            Step::Steps(steps) => self.list(&steps, within, depth + 1, plan),
            Step::Command(call) => {
                if let Some(body) = self.command(&call) {
                    within.push(call.command);
                    let cx = self.reader.cx;
                    cx.used_at(call.span, || self.list(&body, within, depth + 1, plan));
                    within.pop();
                }
            }
        }
    }

    /// The steps of a command, with its parameters in place.
    fn command(&self, call: &Call<'_>) -> Option<Node> {
        let name = &call.command.name;
        let what = format!("command `{name}`");
        let empty = Rc::<Mapping>::default();
        let arguments = match &call.arguments {
            Some(node) => self
                .reader
                .mapping(node, &format!("what `{name}` is given"))?,
            None => &empty,
        };
        let Call {
            definition, span, ..
        } = call;
        let values = bind(self.reader, &what, &definition.parameters, arguments, *span);
        let steps = definition.body.as_mapping()?.present("steps")?;
        let cx = self.reader.cx;
        Some(cx.used_at(*span, || substitute(cx, steps, Scope::Parameters(&values))))
    }
}
