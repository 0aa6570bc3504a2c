//! `run`.

use std::time::Duration;

use indexmap::IndexMap;
use outrider_model::plan::{RunStep, When};

use crate::diagnostic::{code, error};
use crate::syntax::Reader;
use crate::syntax::keys::RUN;
use crate::yaml::{Mapping, Node, Span, Value};

/// How long a step may write nothing that says nothing else.
pub(crate) const NO_OUTPUT_TIMEOUT: Duration = Duration::from_secs(600);
const LONGEST_RERUN_DELAY: Duration = Duration::from_secs(600);
/// How much of a command stands for its name.
const LONGEST_NAME: usize = 80;

impl Reader<'_> {
    pub(super) fn run(self, span: Span, body: Option<&Node>) -> Option<RunStep> {
        let body = self.required(body, "command", span)?;
        let Value::Mapping(mapping) = &body.value else {
            return Some(plain_run(self.name(body, "`run`")?));
        };
        self.check_keys(mapping, &RUN);
        let text = |key: &str| {
            mapping
                .present(key)
                .and_then(|node| self.optional(node, &format!("`{key}`")))
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
            ..plain_run(self.name(self.required_key(mapping, "command", span)?, "`command`")?)
        };
        Some(RunStep {
            name: name.unwrap_or_else(|| step.name.clone()),
            ..step
        })
    }

    pub(super) fn when(self, node: &Node) -> Option<When> {
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
