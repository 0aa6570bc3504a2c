//! What the caller says about the pipeline.

use indexmap::IndexMap;
use outrider_model::ClassName;
use serde::{Deserialize, Serialize};

use crate::{Limits, Orbs};

/// Everything besides the source that decides what a config compiles to.
#[derive(Clone, Debug)]
pub struct Options {
    /// Values for the parameters that the config declares.
    pub parameters: IndexMap<String, ParameterValue>,
    /// What `<< pipeline.… >>` gives.
    pub values: PipelineValues,
    /// Where jobs are queued that name no class of one's own: those without `resource_class`, and
    /// those with a size of the cloud such as `medium`.
    pub default_class: ClassName,
    /// Compile this workflow only.
    pub only_workflow: Option<String>,
    /// Compile this job only, without what it requires. Its name is that in the workflow; if
    /// several workflows have it, the first one counts.
    pub only_job: Option<String>,
    /// Whether a config of which nothing runs is right: one that continues a pipeline may end it.
    pub may_be_empty: bool,
    /// The orbs at hand.
    pub orbs: Orbs,
    /// Bounds on the work.
    pub limits: Limits,
}

impl Options {
    /// Options with nothing but the class for jobs that name none.
    pub fn new(default_class: ClassName) -> Self {
        Self {
            parameters: IndexMap::new(),
            values: PipelineValues::default(),
            default_class,
            only_workflow: None,
            only_job: None,
            may_be_empty: false,
            orbs: Orbs::new(),
            limits: Limits::default(),
        }
    }
}

/// The value of a pipeline parameter. In JSON a boolean, an integer or a string.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ParameterValue {
    /// For parameters of type `boolean`.
    Boolean(bool),
    /// For parameters of type `integer`.
    Integer(i64),
    /// For parameters of type `string` or `enum`.
    String(String),
    /// Text from a command line: it is read as the declared type, whatever that is.
    #[serde(skip_deserializing)]
    Text(String),
}

/// What a config can read as `<< pipeline.id >>`, `<< pipeline.git.branch >>` and so on. What is
/// not given is empty; `id` and `number` have a stand-in, as in CircleCI's own offline tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PipelineValues {
    /// `pipeline.id`
    pub id: Option<String>,
    /// `pipeline.number`
    pub number: Option<u64>,
    /// `pipeline.project.slug`
    pub project_slug: Option<String>,
    /// `pipeline.project.type`: `github`, `gitlab` or `bitbucket`, if not given as `git_url` says
    pub project_type: Option<String>,
    /// `pipeline.project.git_url` and `pipeline.git.repo_url`
    pub git_url: Option<String>,
    /// `pipeline.git.branch`
    pub git_branch: Option<String>,
    /// `pipeline.git.branch.is_default`
    pub git_branch_is_default: bool,
    /// `pipeline.git.tag`
    pub git_tag: Option<String>,
    /// `pipeline.git.revision`
    pub git_revision: Option<String>,
    /// `pipeline.git.base_revision`
    pub git_base_revision: Option<String>,
    /// `pipeline.trigger_source` and `pipeline.trigger.type`, for example `api`
    pub trigger_source: Option<String>,
    /// Any others, by their name without `pipeline.`: `git.commit.subject`.
    pub others: IndexMap<String, String>,
}

/// A value with its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PipelineValue {
    Text(String),
    Literal(String),
}

/// Values that exist but that nobody gave: empty, never unknown.
const KNOWN: &[&str] = &[
    "config.file_path",
    "config.ref",
    "config.sha",
    "config.repository.name",
    "config.repository.url",
    "definition.id",
    "event.action",
    "event.name",
    "git.commit.author_login",
    "git.commit.body",
    "git.commit.subject",
    "git.commit.url",
    "git.repo_id",
    "git.repo_name",
    "git.repo_owner",
    "integration_source",
    "name",
    "schedule.id",
    "schedule.name",
    "trigger.id",
    "trigger.received_at",
];

/// Groups of values that depend on what triggered the pipeline.
const KNOWN_GROUPS: &[&str] = &[
    "deploy.",
    "event.context.github.",
    "event.github.",
    "trigger_parameters.",
];

const FIELDS: &[&str] = &[
    "id",
    "number",
    "project.slug",
    "project.type",
    "project.git_url",
    "git.repo_url",
    "git.branch",
    "git.branch.is_default",
    "git.tag",
    "git.revision",
    "git.base_revision",
    "trigger_source",
    "trigger.type",
];

impl PipelineValues {
    /// Sets a value by its name, with or without `pipeline.` before it.
    pub fn set(&mut self, name: &str, value: String) {
        let name = name.strip_prefix("pipeline.").unwrap_or(name);
        let field = match name {
            "id" => &mut self.id,
            "project.slug" => &mut self.project_slug,
            "project.type" => &mut self.project_type,
            "project.git_url" | "git.repo_url" => &mut self.git_url,
            "git.branch" => &mut self.git_branch,
            "git.tag" => &mut self.git_tag,
            "git.revision" => &mut self.git_revision,
            "git.base_revision" => &mut self.git_base_revision,
            "trigger_source" | "trigger.type" => &mut self.trigger_source,
            "number" => return self.number = value.parse().ok(),
            "git.branch.is_default" => return self.git_branch_is_default = value == "true",
            _ => {
                self.others.insert(name.to_owned(), value);
                return;
            }
        };
        *field = Some(value);
    }

    /// The value of `pipeline.<name>`; nothing if there is no such value.
    pub(crate) fn get(&self, name: &str) -> Option<PipelineValue> {
        if let Some(other) = self.others.get(name) {
            return Some(PipelineValue::Text(other.clone()));
        }
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Some(PipelineValue::Text(match name {
            "id" => self
                .id
                .clone()
                .unwrap_or_else(|| "00000000-0000-0000-0000-000000000000".into()),
            "number" => return Some(PipelineValue::Literal(self.number.unwrap_or(1).to_string())),
            "project.slug" => text(&self.project_slug),
            "project.type" => self.project_type(),
            "project.git_url" | "git.repo_url" => text(&self.git_url),
            "git.branch" => text(&self.git_branch),
            "git.branch.is_default" => {
                return Some(PipelineValue::Literal(
                    self.git_branch_is_default.to_string(),
                ));
            }
            "git.tag" => text(&self.git_tag),
            "git.revision" => text(&self.git_revision),
            "git.base_revision" => text(&self.git_base_revision),
            "trigger_source" | "trigger.type" => text(&self.trigger_source),
            _ if KNOWN.contains(&name) => String::new(),
            _ if KNOWN_GROUPS.iter().any(|group| name.starts_with(group)) => String::new(),
            _ => return None,
        }))
    }

    /// Orbs take it as an `enum`, so it is never empty.
    fn project_type(&self) -> String {
        let url = self.git_url.as_deref().unwrap_or_default();
        let hosts = ["gitlab", "bitbucket"];
        let host = hosts.into_iter().find(|host| url.contains(host));
        let guess = || host.unwrap_or("github").to_owned();
        self.project_type.clone().unwrap_or_else(guess)
    }

    /// The names of all values, for suggestions.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> + Clone {
        FIELDS.iter().chain(KNOWN).copied()
    }
}
