//! What a generated config defines, and where something generated stands.

use super::tree::Tree;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    String,
    Boolean,
    Integer,
    Enum,
    EnvVarName,
    Executor,
    Steps,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Enum => "enum",
            Self::EnvVarName => "env_var_name",
            Self::Executor => "executor",
            Self::Steps => "steps",
        }
    }

    /// Whether a value may stand within a text.
    pub fn is_scalar(self) -> bool {
        !matches!(self, Self::Executor | Self::Steps)
    }
}

#[derive(Clone, Debug)]
pub struct Parameter {
    pub name: String,
    pub kind: Kind,
    pub default: Option<Tree>,
}

/// A command, an executor or a job, as it is called.
#[derive(Clone, Debug)]
pub struct Signature {
    pub name: String,
    pub parameters: Vec<Parameter>,
    /// Whether it is of the package that uses it, not of an orb there.
    pub own: bool,
}

/// What a package can use.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub executors: Vec<Signature>,
    pub commands: Vec<Signature>,
    pub jobs: Vec<Signature>,
}

impl Known {
    /// Adds what an orb offers under an alias.
    pub fn adopt(&mut self, alias: &str, orb: Self) {
        let renamed = |all: Vec<Signature>| {
            let own = all.into_iter().filter(|one| one.own);
            let renamed = own.map(|one| Signature {
                name: format!("{alias}/{}", one.name),
                own: false,
                ..one
            });
            renamed.collect::<Vec<_>>()
        };
        self.executors.extend(renamed(orb.executors));
        self.commands.extend(renamed(orb.commands));
        self.jobs.extend(renamed(orb.jobs));
    }
}

/// Where something stands, and so what it can speak of.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub known: &'a Known,
    pub parameters: &'a [Parameter],
    /// The parameters of the pipeline; nothing in an orb, which does not see the pipeline.
    pub pipeline: Option<&'a [Parameter]>,
    /// Levels of steps around it.
    pub depth: usize,
}

impl<'a> Place<'a> {
    pub fn within(self, parameters: &'a [Parameter]) -> Self {
        Self { parameters, ..self }
    }

    pub fn deeper(self) -> Self {
        let depth = self.depth + 1;
        Self { depth, ..self }
    }

    /// A reference to a parameter of some kind.
    pub fn reference(&self, kind: Kind) -> Option<String> {
        let found = |all: &[Parameter]| all.iter().find(|it| it.kind == kind).cloned();
        let own = found(self.parameters).map(|it| format!("parameters.{}", it.name));
        own.or_else(|| found(self.pipeline?).map(|it| format!("pipeline.parameters.{}", it.name)))
    }
}
