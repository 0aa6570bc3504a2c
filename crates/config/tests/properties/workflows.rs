//! Workflows: what they use, when, and after what.

use super::generate::Generator;
use super::names::{Kind, Parameter, Place, Signature};
use super::tree::{Tree, map, raw, text};

const PATTERNS: &[&str] = &[
    "main",
    "/v\\d+(\\.\\d+)*/",
    "/release\\/.*/",
    "/.*/",
    "/^(?!main$).*/",
];
const EXPRESSIONS: &[&str] = &[
    "pipeline.git.branch == \"main\"",
    "not (pipeline.git.tag starts-with \"v\") and pipeline.number > 0",
    "pipeline.git.branch matches /release.*/ or pipeline.git.tag",
];
const STATUSES: &[&str] = &["success", "failed", "canceled", "not_run", "terminal"];

impl Generator<'_> {
    pub fn workflow(&mut self, at: Place<'_>) -> Tree {
        let mut workflow = Tree::Map(vec![]);
        match self.dice.below(8) {
            // A text alone would be an expression.
            5 => workflow.add("when", map([("not", self.condition(at))])),
            6 => workflow.add("unless", map([("not", self.condition(at))])),
            7 => workflow.add("when", text(*self.dice.pick(EXPRESSIONS))),
            _ => {}
        }
        if self.dice.one_in(8) {
            let branches = map([("branches", self.rule())]);
            let schedule = map([("cron", text("0 3 * * 1-5")), ("filters", branches)]);
            workflow.add("triggers", Tree::List(vec![map([("schedule", schedule)])]));
        }
        if self.dice.one_in(6) {
            workflow.add("max_auto_reruns", raw("3"));
        }
        let mut names = vec![];
        let jobs = (0..1 + self.dice.below(5)).map(|_| self.used(at, &mut names));
        workflow.add("jobs", Tree::List(jobs.collect()));
        workflow
    }

    /// A use of a job. `names` are what the next ones can require.
    fn used(&mut self, at: Place<'_>, names: &mut Vec<String>) -> Tree {
        let number = names.len();
        let mut body = Tree::Map(vec![]);
        self.order(names, &mut body);
        if self.dice.one_in(8) {
            let name = format!("approve{number}");
            body.add("type", raw("approval"));
            names.push(name.clone());
            return map([(&*name, body)]);
        }
        let job = self.dice.pick(&at.known.jobs).clone();
        let given = self.matrix(&job, number, &mut body);
        let named = !given.is_empty() || names.contains(&job.name) || self.dice.one_in(2);
        let name = if named {
            format!("n{number}")
        } else {
            job.name.clone()
        };
        if given.is_empty() && named {
            body.add("name", raw(&name));
        }
        names.push(name);
        for (name, value) in self.arguments(&job, at, &given) {
            body.add(name, value);
        }
        for key in ["pre-steps", "post-steps"] {
            if self.dice.one_in(5) {
                body.add(key, self.steps(at));
            }
        }
        map([(&*job.name, body)])
    }

    /// What a use waits for, and on which branches it runs.
    fn order(&mut self, names: &[String], body: &mut Tree) {
        let mut requires = vec![];
        for name in names {
            if self.dice.one_in(3) {
                requires.push(match self.dice.below(3) {
                    0 => raw(name),
                    1 => map([(&**name, raw(*self.dice.pick(STATUSES)))]),
                    _ => map([(&**name, Tree::List(vec![raw("success"), raw("failed")]))]),
                });
            }
        }
        if !requires.is_empty() {
            body.add("requires", Tree::List(requires));
        }
        match self.dice.below(8) {
            5 => body.add("filters", map([("branches", self.rule())])),
            6 => body.add(
                "filters",
                map([("branches", self.rule()), ("tags", self.rule())]),
            ),
            7 => body.add("filters", text(*self.dice.pick(EXPRESSIONS))),
            _ => {}
        }
        match self.dice.below(6) {
            4 => body.add("context", raw("secrets")),
            5 => body.add(
                "context",
                Tree::List(vec![raw("secrets"), text("acme-prod")]),
            ),
            _ => {}
        }
        if self.dice.one_in(6) {
            body.add("serial-group", text("deploy/<< pipeline.project.slug >>x"));
        }
    }

    fn rule(&mut self) -> Tree {
        let mut rule = Tree::Map(vec![]);
        let both = self.dice.below(3);
        if both != 1 {
            rule.add("only", text(*self.dice.pick(PATTERNS)));
        }
        if both != 0 {
            let patterns = (0..2).map(|_| text(*self.dice.pick(PATTERNS)));
            rule.add("ignore", Tree::List(patterns.collect()));
        }
        rule
    }

    /// A matrix over one or two parameters of a job, if it has such; their names.
    fn matrix(&mut self, job: &Signature, number: usize, body: &mut Tree) -> Vec<String> {
        let fitting = |it: &&Parameter| {
            matches!(
                it.kind,
                Kind::String | Kind::Boolean | Kind::Integer | Kind::Enum
            )
        };
        let fitting: Vec<_> = job.parameters.iter().filter(fitting).collect();
        let count = self.dice.below(4).min(fitting.len());
        if count == 0 {
            return vec![];
        }
        let (mut parameters, mut excluded) = (Tree::Map(vec![]), Tree::Map(vec![]));
        let mut combinations = 1;
        for parameter in &fitting[..count] {
            let all: &[&str] = match parameter.kind {
                Kind::Boolean => &["true", "false"],
                Kind::Integer => &["1", "2", "3"],
                Kind::Enum => &["always", "on_fail"],
                _ => &["a", "b", "\"1.0\""],
            };
            let values = &all[..1 + self.dice.below(all.len())];
            combinations *= values.len();
            excluded.add(&parameter.name, raw(*self.dice.pick(values)));
            let values = values.iter().map(|value| raw(*value)).collect();
            parameters.add(&parameter.name, Tree::List(values));
        }
        let mut matrix = map([("parameters", parameters)]);
        matrix.add("alias", raw(format!("n{number}")));
        if combinations > 1 && self.dice.one_in(2) {
            matrix.add("exclude", Tree::List(vec![excluded]));
        }
        body.add("matrix", matrix);
        let names = fitting[..count].iter().map(|it| it.name.clone());
        let names: Vec<_> = names.collect();
        let values = names.iter().map(|name| format!("-<< matrix.{name} >>"));
        body.add(
            "name",
            text(format!("m{number}{}", values.collect::<String>())),
        );
        names
    }
}
