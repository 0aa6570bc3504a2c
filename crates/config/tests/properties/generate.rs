//! Whole configs that are right, from a row of numbers.

use super::dice::Dice;
use super::names::{Kind, Known, Parameter, Place, Signature};
use super::tree::{Tree, map, raw, text};

const TEXTS: &[&str] = &[
    "plain",
    "two words",
    "1.10",
    "yes",
    "012",
    "a: b # c",
    "é🦀",
    "- x",
    "one\ntwo\n",
    "a\\<<b",
    "'\"\\",
    "$HOME/x",
    " padded ",
    "~",
    "*a",
    "&b",
    "{{ .Branch }}",
];
const ENUM: &[&str] = &["always", "on_fail", "on_success"];

/// Makes a config. Twice with the same numbers, it makes the same one, but for `explicit`.
pub struct Generator<'a> {
    pub dice: Dice<'a>,
    /// Whether arguments are given where the default would do.
    pub explicit: bool,
}

/// A config, and the defaults of its pipeline parameters.
pub struct Generated {
    pub tree: Tree,
    pub parameters: Vec<Parameter>,
}

impl<'a> Generator<'a> {
    pub fn new(numbers: &'a [u16], explicit: bool) -> Self {
        Self {
            dice: Dice::new(numbers),
            explicit,
        }
    }

    pub fn config(mut self) -> Generated {
        let nothing = Known::default();
        let kinds = [Kind::String, Kind::Boolean, Kind::Integer, Kind::Enum];
        let at = Place {
            known: &nothing,
            parameters: &[],
            pipeline: None,
            depth: 0,
        };
        let mut parameters = self.parameters(&kinds, at);
        for Parameter { kind, default, .. } in &mut parameters {
            let value = default.take().unwrap_or_else(|| self.value(*kind, at));
            // In a value that is given from outside, nothing is escaped.
            let escaped = matches!(&value, Tree::Text(text) if text.contains("<<"));
            *default = Some(if escaped { text("<") } else { value });
        }
        let (package, known) = self.package(Some(&parameters), 0);
        let mut tree = map([("version", raw("2.1"))]);
        let setup = self.dice.one_in(8);
        if setup {
            tree.add("setup", raw("true"));
        }
        if !parameters.is_empty() {
            tree.add("parameters", declared(&parameters));
        }
        let at = Place {
            known: &known,
            pipeline: Some(&parameters),
            ..at
        };
        for (key, value) in package {
            tree.add(key, value);
        }
        let workflows = if setup { 1 } else { 1 + self.dice.below(3) };
        let workflows = (0..workflows).map(|number| (format!("w{number}"), self.workflow(at)));
        tree.add("workflows", Tree::Map(workflows.collect()));
        Generated { tree, parameters }
    }

    /// The definitions of the config or of an orb.
    fn package(
        &mut self,
        pipeline: Option<&[Parameter]>,
        depth: usize,
    ) -> (Vec<(String, Tree)>, Known) {
        let mut known = Known::default();
        let mut sections = vec![];
        if depth < 2 && self.dice.one_in(2) {
            let (orb, inside) = self.package(None, depth + 1);
            known.adopt("orb", inside);
            sections.push(("orbs".to_owned(), map([("orb", Tree::Map(orb))])));
        }
        let executors = self.definitions(pipeline, &mut known, Define::Executor);
        let commands = self.definitions(pipeline, &mut known, Define::Command);
        let jobs = self.definitions(pipeline, &mut known, Define::Job);
        sections.push(("executors".to_owned(), executors));
        sections.push(("commands".to_owned(), commands));
        sections.push(("jobs".to_owned(), jobs));
        (sections, known)
    }

    fn definitions(
        &mut self,
        pipeline: Option<&[Parameter]>,
        known: &mut Known,
        define: Define,
    ) -> Tree {
        let mut all = Tree::Map(vec![]);
        for number in 0..1 + self.dice.below(3) {
            let at = Place {
                known,
                parameters: &[],
                pipeline,
                depth: 0,
            };
            let parameters = self.parameters(define.kinds(), at);
            let at = at.within(&parameters);
            let mut body = match define {
                Define::Executor => self.executor(at),
                Define::Command => map([("steps", self.steps(at))]),
                Define::Job => self.job(at),
            };
            let has_type = matches!(&body, Tree::Map(keys) if keys[0].0 == "type");
            let parameters = if has_type { vec![] } else { parameters };
            if !parameters.is_empty() {
                body.add("parameters", declared(&parameters));
            }
            let name = format!("{}{number}", define.letter());
            all.add(&name, body);
            define.list(known).push(Signature {
                name,
                parameters,
                own: true,
            });
        }
        all
    }

    fn parameters(&mut self, kinds: &[Kind], at: Place<'_>) -> Vec<Parameter> {
        let count = self.dice.below(4);
        let parameters = (0..count).map(|number| {
            let kind = *self.dice.pick(kinds);
            let possible = kind != Kind::Executor || !at.known.executors.is_empty();
            let kind = if possible { kind } else { Kind::String };
            let default = self.dice.one_in(2).then(|| self.value(kind, at.deeper()));
            Parameter {
                name: format!("p{number}"),
                kind,
                default,
            }
        });
        parameters.collect()
    }

    /// Arguments for all parameters but these, where they need one.
    pub fn arguments(
        &mut self,
        of: &Signature,
        at: Place<'_>,
        but: &[String],
    ) -> Vec<(String, Tree)> {
        let mut arguments = vec![];
        for Parameter {
            name,
            kind,
            default,
        } in of.parameters.iter().filter(|it| !but.contains(&it.name))
        {
            match default {
                Some(default) if self.dice.one_in(2) => {
                    // The names in it mean something else outside of an orb.
                    if self.explicit && (of.own || kind.is_scalar()) {
                        arguments.push((name.clone(), default.clone()));
                    }
                }
                _ => arguments.push((name.clone(), self.value(*kind, at))),
            }
        }
        arguments
    }

    /// A value for a parameter, perhaps handed on from one of the same kind.
    pub fn value(&mut self, kind: Kind, at: Place<'_>) -> Tree {
        if let Some(name) = at.reference(kind).filter(|_| self.dice.one_in(3)) {
            return raw(format!("<< {name} >>"));
        }
        match kind {
            Kind::String if self.dice.one_in(8) => text(""),
            Kind::String => self.filled(at),
            Kind::Boolean => raw(*self.dice.pick(&["true", "false", "yes", "off"])),
            Kind::Integer => raw((1 + self.dice.below(5)).to_string()),
            Kind::Enum => text(*self.dice.pick(ENUM)),
            Kind::EnvVarName => raw(*self.dice.pick(&["TOKEN", "_x1"])),
            Kind::Executor => self.executor_use(at),
            Kind::Steps => self.steps(at.deeper()),
        }
    }

    /// A text that is never empty.
    pub fn filled(&mut self, at: Place<'_>) -> Tree {
        let mut result = format!("x {}", self.dice.pick(TEXTS));
        let scalars = at.parameters.iter().filter(|it| it.kind.is_scalar());
        let names = scalars.map(|it| format!("parameters.{}", it.name));
        let pipeline = at.pipeline.into_iter().flatten();
        let pipeline = pipeline.map(|it| format!("pipeline.parameters.{}", it.name));
        let mut names: Vec<_> = names.chain(pipeline).collect();
        if at.pipeline.is_some() {
            names.extend(["pipeline.git.branch", "pipeline.number"].map(str::to_owned));
        }
        if names.is_empty() {
            return text(result);
        }
        let name = self.dice.pick(&names);
        result += &match self.dice.below(6) {
            0..=2 => String::new(),
            3 => format!("<< {name} >>"),
            4 => format!("<<# {name} >>on<</ {name} >><<^ {name} >>off<</ {name} >>"),
            _ => format!("<< not {name} or {name} == \"a\" >>"),
        };
        text(result)
    }

    pub fn environment(&mut self, at: Place<'_>) -> Tree {
        let mut environment = map([("A", self.filled(at)), ("B", raw("1.10"))]);
        if let Some(name) = at.reference(Kind::EnvVarName) {
            environment.add(format!("<< {name} >>"), self.filled(at));
        }
        if self.dice.one_in(3) {
            environment.add("<<", map([("A", text("merged")), ("C", text("merged"))]));
        }
        environment
    }

    pub fn condition(&mut self, at: Place<'_>) -> Tree {
        let depth = at.depth;
        match self.dice.below(if depth > 3 { 4 } else { 7 }) {
            0 => self.value(Kind::Boolean, at),
            1 => map([("equal", Tree::List(vec![text("a"), self.filled(at)]))]),
            2 => {
                let value = self.value(Kind::Enum, at);
                let pattern = text("^on_.+$");
                map([("matches", map([("pattern", pattern), ("value", value)]))])
            }
            3 => self.value(Kind::String, at),
            4 => map([("not", self.condition(at.deeper()))]),
            operator => {
                let operands = vec![self.condition(at.deeper()), self.condition(at.deeper())];
                map([(["and", "or"][operator % 2], Tree::List(operands))])
            }
        }
    }

    /// The name of an executor, or with what it is given.
    fn executor_use(&mut self, at: Place<'_>) -> Tree {
        let executor = self.dice.pick(&at.known.executors).clone();
        let arguments = self.arguments(&executor, at, &[]);
        let short = self.dice.one_in(2);
        if arguments.is_empty() && short {
            return raw(executor.name);
        }
        let mut body = map([("name", raw(executor.name))]);
        for (name, value) in arguments {
            body.add(name, value);
        }
        body
    }

    fn executor(&mut self, at: Place<'_>) -> Tree {
        let (key, value) = match self.dice.below(5) {
            0 => ("machine", raw("true")),
            1 => ("machine", text("ubuntu-2404:current")),
            2 => ("machine", map([("image", self.filled(at))])),
            3 => ("macos", map([("xcode", text("16.1.0"))])),
            _ => ("docker", self.images(at)),
        };
        let mut body = map([(key, value)]);
        if self.dice.one_in(2) {
            body.add(
                "resource_class",
                raw(*self.dice.pick(&["acme/linux", "medium"])),
            );
        }
        for key in ["shell", "working_directory"] {
            if self.dice.one_in(4) {
                body.add(key, self.filled(at));
            }
        }
        if self.dice.one_in(3) {
            body.add("environment", self.environment(at));
        }
        body
    }

    fn images(&mut self, at: Place<'_>) -> Tree {
        let mut first = map([("image", self.filled(at))]);
        let (key, auth) = match self.dice.below(4) {
            0 => (
                "auth",
                map([("username", raw("u")), ("password", raw("$PASSWORD"))]),
            ),
            1 => (
                "aws_auth",
                map([("oidc_role_arn", raw("arn:aws:iam::1:role/r"))]),
            ),
            2 => ("gcp_auth", map([("service_account", raw("a@b"))])),
            _ => ("user", raw("root")),
        };
        first.add(key, auth);
        let mut second = map([("image", raw("postgres:17")), ("name", raw("db"))]);
        second.add("entrypoint", Tree::List(vec![raw("sh"), self.filled(at)]));
        second.add("command", self.filled(at));
        second.add("environment", self.environment(at));
        let both = self.dice.one_in(2);
        Tree::List([first].into_iter().chain(both.then_some(second)).collect())
    }

    fn job(&mut self, at: Place<'_>) -> Tree {
        match self.dice.below(16) {
            15 => return map([("type", raw("no-op"))]),
            14 => return map([("type", raw("lock")), ("key", raw("k"))]),
            13 => return map([("type", raw("unlock")), ("key", raw("k"))]),
            12 => return map([("type", raw("release")), ("plan_name", raw("r"))]),
            _ => {}
        }
        let mut job = if self.dice.one_in(2) {
            self.executor(at)
        } else {
            map([("executor", self.value(Kind::Executor, at))])
        };
        if self.dice.one_in(3) {
            job.add("parallelism", self.value(Kind::Integer, at));
        }
        if self.dice.one_in(6) {
            job.add("retention", map([("caches", raw("7d"))]));
        }
        job.add("steps", self.steps(at));
        job
    }
}

/// What a package defines.
#[derive(Clone, Copy)]
enum Define {
    Executor,
    Command,
    Job,
}

impl Define {
    fn letter(self) -> char {
        match self {
            Self::Executor => 'e',
            Self::Command => 'c',
            Self::Job => 'j',
        }
    }

    fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Executor => &[Kind::String, Kind::Enum, Kind::Boolean],
            Self::Command | Self::Job => &[
                Kind::String,
                Kind::Boolean,
                Kind::Integer,
                Kind::Enum,
                Kind::EnvVarName,
                Kind::Executor,
                Kind::Steps,
            ],
        }
    }

    fn list(self, known: &mut Known) -> &mut Vec<Signature> {
        match self {
            Self::Executor => &mut known.executors,
            Self::Command => &mut known.commands,
            Self::Job => &mut known.jobs,
        }
    }
}

fn declared(parameters: &[Parameter]) -> Tree {
    let declared = parameters.iter().map(|parameter| {
        let mut body = map([("type", raw(parameter.kind.word()))]);
        if parameter.kind == Kind::Enum {
            body.add(
                "enum",
                Tree::List(ENUM.iter().map(|it| text(*it)).collect()),
            );
        }
        if let Some(default) = &parameter.default {
            body.add("default", default.clone());
        }
        (parameter.name.clone(), body)
    });
    Tree::Map(declared.collect())
}
