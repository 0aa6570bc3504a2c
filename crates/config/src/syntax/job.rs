//! The body of a job, expanded and with its executor's keys.

use indexmap::IndexMap;
use outrider_model::ClassName;
use outrider_model::plan::{EnvironmentKind, JobKind};

use super::Reader;
use super::keys::RETENTION;
use crate::diagnostic::{code, error};
use crate::yaml::{Mapping, Node, Span};

/// A job as far as it does not depend on other definitions.
pub(crate) struct Job {
    pub(crate) environment_kind: Option<EnvironmentKind>,
    pub(crate) shell: Option<String>,
    pub(crate) working_directory: String,
    pub(crate) environment: IndexMap<String, String>,
    pub(crate) parallelism: u32,
    pub(crate) class: ClassName,
    /// As written.
    pub(crate) resource_class: Option<String>,
    pub(crate) cache_retention_days: Option<u32>,
    pub(crate) steps: Option<Node>,
}

/// The type of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobType {
    Build,
    WithoutSteps(WithoutSteps),
}

/// Types of jobs that runners know nothing of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WithoutSteps {
    Approval,
    NoOp,
    Release,
    Lock,
    Unlock,
}

/// Keys that say in what a job runs. A job with one of its own takes none from its executor.
pub(crate) const KINDS: &[&str] = &["docker", "machine", "macos"];

/// Where jobs work that say nothing else.
pub(crate) const WORKING_DIRECTORY: &str = "~/project";

impl Reader<'_> {
    /// Reads a job, or (leniently) an executor.
    pub(crate) fn job(self, name: &str, body: &Mapping) -> Job {
        if let Some(kind) = body.present("type") {
            self.job_type(kind);
        }
        let machine = body.present("machine").and_then(|node| self.machine(node));
        let docker = body.present("docker").and_then(|node| self.docker(node));
        let macos = body.present("macos").and_then(|node| self.macos(node));
        self.check_one_kind(name, body);
        let within = machine.as_ref();
        let class = body
            .present("resource_class")
            .or(within.and_then(|it| it.resource_class.as_ref()));
        let (class, resource_class) = self.class(class);
        let shell = body
            .present("shell")
            .or(within.and_then(|it| it.shell.as_ref()));
        let directory = body.present("working_directory");
        let image = within.map(|machine| machine.image.clone());
        Job {
            environment_kind: docker
                .or(macos)
                .or(image.map(|image| EnvironmentKind::Machine { image })),
            shell: shell.and_then(|node| self.optional(node, "`shell`")),
            working_directory: directory
                .and_then(|node| self.optional(node, "`working_directory`"))
                .unwrap_or_else(|| WORKING_DIRECTORY.to_owned()),
            environment: body
                .get("environment")
                .map(|it| self.environment(it))
                .unwrap_or_default(),
            parallelism: self.parallelism(body.present("parallelism")),
            class,
            resource_class,
            cache_retention_days: body.present("retention").and_then(|it| self.retention(it)),
            steps: body.present("steps").cloned(),
        }
    }

    fn check_one_kind(self, name: &str, body: &Mapping) {
        let written = |key| {
            body.present(key)
                .and(body.key_span(key))
                .map(|at| (key, at))
        };
        let mut kinds: Vec<_> = KINDS.iter().copied().filter_map(written).collect();
        kinds.sort_by_key(|(_, at)| *at);
        if let [(first, at), (second, other), ..] = kinds[..] {
            let message = format!("`{name}` has both `{first}` and `{second}`");
            self.report(
                error(code::CONFLICTING_KEYS, other, message)
                    .label(at, "the other one")
                    .help("keep the one that the job should run in"),
            );
        }
    }

    /// Reports a class in a `machine` and another one beside it.
    pub(crate) fn check_one_class(self, body: &Mapping) {
        let machine = body.present("machine").and_then(Node::as_mapping);
        let inner = machine.and_then(|machine| machine.key_span("resource_class"));
        if let Some((inner, outer)) = inner.zip(body.key_span("resource_class")) {
            let message = "`resource_class` is there twice, in `machine` and beside it";
            self.report(
                error(code::CONFLICTING_KEYS, inner.max(outer), message)
                    .label(inner.min(outer), "the other one")
                    .help("keep the one beside `machine`"),
            );
        }
    }

    /// `retention`: how many days caches are kept.
    fn retention(self, node: &Node) -> Option<u32> {
        const LONGEST: u32 = 30;
        let mapping = self.mapping(node, "`retention`")?;
        self.check_keys(mapping, &RETENTION);
        let caches = mapping.present("caches")?;
        let text = self.name(caches, "`caches`")?;
        let days = text.strip_suffix('d').and_then(|days| days.parse().ok());
        let days = days.filter(|days| (1..=LONGEST).contains(days));
        if days.is_none() && !self.unknown(caches) {
            let message = format!("caches cannot be kept for `{text}`");
            let help = format!("write a number of days from `1d` to `{LONGEST}d`");
            self.report(error(code::BAD_DURATION, caches.span, message).help(help));
        }
        days
    }

    /// `type` of a job.
    pub(crate) fn job_type(self, node: &Node) -> Option<JobType> {
        use JobType::WithoutSteps as No;
        const TYPES: &[(&str, JobType)] = &[
            ("build", JobType::Build),
            ("approval", No(WithoutSteps::Approval)),
            ("no-op", No(WithoutSteps::NoOp)),
            ("release", No(WithoutSteps::Release)),
            ("lock", No(WithoutSteps::Lock)),
            ("unlock", No(WithoutSteps::Unlock)),
        ];
        self.choice(node, "the type of a job", TYPES)
    }

    /// A job of a type that has no steps. `None` if one of its keys is missing.
    pub(crate) fn without_steps(
        self,
        kind: WithoutSteps,
        body: &Mapping,
        at: Span,
    ) -> Option<JobKind> {
        let text = |key: &str| {
            let node = self.required_key(body, key, at)?;
            self.name(node, &format!("`{key}`"))
        };
        let key = || text("key");
        match kind {
            WithoutSteps::Approval => Some(JobKind::Approval),
            WithoutSteps::NoOp => Some(JobKind::NoOp),
            WithoutSteps::Release => {
                text("plan_name").map(|plan_name| JobKind::Release { plan_name })
            }
            WithoutSteps::Lock => key().map(|key| JobKind::Lock { key }),
            WithoutSteps::Unlock => key().map(|key| JobKind::Unlock { key }),
        }
    }

    fn parallelism(self, node: Option<&Node>) -> u32 {
        let most = self.cx.options.limits.parallelism;
        node.and_then(|node| self.integer(node, "`parallelism`", (1, most)))
            .unwrap_or(1)
    }

    /// Where a job is queued, and the class as written. Sizes of the cloud have no slash.
    fn class(self, node: Option<&Node>) -> (ClassName, Option<String>) {
        let default = || self.cx.options.default_class.clone();
        let Some(node) = node else {
            return (default(), None);
        };
        let Some(written) = self.name(node, "`resource_class`") else {
            return (default(), None);
        };
        if !written.contains('/') || self.unknown(node) {
            return (default(), Some(written));
        }
        match written.parse() {
            Ok(class) => (class, Some(written)),
            Err(_) => {
                self.report_class(node.span, &written);
                (default(), Some(written))
            }
        }
    }

    fn report_class(self, span: Span, written: &str) {
        let message = format!("`{written}` is not the name of a resource class");
        self.report(error(code::BAD_CLASS, span, message).help(
            "write namespace/name, with a-z 0-9 _ - before the slash and a-z A-Z 0-9 : _ + - \
             after it, for example `acme/linux`",
        ));
    }
}
