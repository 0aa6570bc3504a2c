//! Which config, and for which pipeline.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use indexmap::IndexMap;
use outrider_config::{ExpandedConfig, Options, ParameterValue, PipelineValues, SourceFile};
use outrider_model::InvalidClassName;

use super::report;
use crate::args::key_value;
use crate::failure::{Failure, code};
use crate::orbs::OrbArgs;
use crate::run::{Facts, LOCAL_CLASS, default_config, read_config, text_of_config};

/// A config, and the values that it is expanded with.
#[derive(Args)]
pub struct ConfigArgs {
    /// The config; `-` reads it from stdin [default: .circleci/config.yml].
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// A pipeline parameter; repeat it for more.
    #[arg(short, long = "parameter", value_parser = key_value, value_name = "KEY=VALUE")]
    parameters: Vec<(String, String)>,
    /// Pipeline parameters as a JSON object, or @FILE with one.
    #[arg(long = "parameters", value_name = "JSON")]
    parameters_json: Option<String>,
    /// The branch that the pipeline runs on [default: the one that is checked out].
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// The tag that the pipeline runs on.
    #[arg(long, conflicts_with = "branch", value_name = "NAME")]
    pub tag: Option<String>,
    /// A pipeline value, for example git.base_revision=abc123; repeat it for more.
    #[arg(long = "pipeline-value", value_parser = key_value, value_name = "KEY=VALUE")]
    values: Vec<(String, String)>,
    #[command(flatten)]
    orbs: OrbArgs,
}

/// What is compiled.
pub struct Loaded {
    pub source: SourceFile,
    pub options: Options,
}

impl ConfigArgs {
    /// Reads the config, what git knows of the folder, and the orbs that it needs.
    pub async fn load(&self) -> Result<Loaded, Failure> {
        let path = self.path();
        let source = match &path {
            Some(path) => SourceFile::new(path.display().to_string(), read_config(path)?),
            None => from_stdin()?,
        };
        let class = LOCAL_CLASS.parse();
        let class =
            class.map_err(|error: InvalidClassName| Failure::internal("name a class", error))?;
        let options = Options {
            parameters: self.parameters()?,
            values: self.values(),
            orbs: self.orbs.resolve(&source, path.as_deref()).await?,
            ..Options::new(class)
        };
        Ok(Loaded { source, options })
    }

    /// Where the config is; nothing for stdin.
    fn path(&self) -> Option<PathBuf> {
        match &self.file {
            Some(path) if path == Path::new("-") => None,
            Some(path) => Some(path.clone()),
            None => Some(default_config(Path::new("."))),
        }
    }

    fn parameters(&self) -> Result<IndexMap<String, ParameterValue>, Failure> {
        let mut parameters = match &self.parameters_json {
            Some(json) => parameters_from_json(json)?,
            None => IndexMap::new(),
        };
        let single = self.parameters.iter();
        parameters
            .extend(single.map(|(key, value)| (key.clone(), ParameterValue::Text(value.clone()))));
        Ok(parameters)
    }

    fn values(&self) -> PipelineValues {
        let facts = Facts::of(Path::new("."));
        let branch = self.branch.clone().or(facts.branch);
        let mut values = PipelineValues {
            project_slug: Some(facts.project),
            git_branch: branch.filter(|_| self.tag.is_none()),
            git_tag: self.tag.clone(),
            git_revision: facts.revision,
            ..PipelineValues::default()
        };
        for (name, value) in &self.values {
            values.set(name, value.clone());
        }
        values
    }
}

impl Loaded {
    /// Expands the config. Warnings go to stderr.
    pub fn expand(&self) -> Result<ExpandedConfig, Failure> {
        let expanded = outrider_config::expand(&self.source, &self.options)
            .map_err(|diagnostics| report::invalid(&self.source, &diagnostics))?;
        report::warn(&self.source, &expanded.warnings);
        Ok(expanded)
    }
}

fn from_stdin() -> Result<SourceFile, Failure> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|error| Failure::new(code::NOT_FOUND, format!("cannot read stdin: {error}")))?;
    Ok(SourceFile::new("stdin", text_of_config("stdin", bytes)?))
}

fn parameters_from_json(json: &str) -> Result<IndexMap<String, ParameterValue>, Failure> {
    let text = match json.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).map_err(|error| {
            Failure::new(code::NOT_FOUND, format!("cannot read {path}: {error}"))
                .advise("Name a file with a JSON object after the @.")
        })?,
        None => json.to_owned(),
    };
    serde_json::from_str(&text).map_err(|error| {
        Failure::new(
            code::BAD_SETTINGS,
            format!("--parameters is not a JSON object of texts, integers and booleans: {error}"),
        )
        .advise(r#"Write for example --parameters '{"deploy": true, "level": 3}'."#)
    })
}
