//! What CircleCI's own command line asks about configs.
//!
//! A config that does not compile is an answer like any other, with status 200.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Body of `POST /api/v3/configs/compile`, as version 1 of the command line sends it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CompileConfig {
    /// What is asked.
    pub data: CompileConfigData,
}

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CompileConfigData {
    /// What is asked.
    pub attributes: CompileConfigAttributes,
}

/// A config, and for which pipeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CompileConfigAttributes {
    /// The YAML.
    pub config: String,
    /// The pipeline's parameters.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub pipeline_parameters: Option<BTreeMap<String, Value>>,
    /// The pipeline's values, by their names with `pipeline.` before them.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub pipeline_values: Option<BTreeMap<String, Value>>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigCompilation {
    /// What came out.
    pub data: ConfigCompilationData,
    /// What is wrong.
    pub meta: ConfigCompilationMeta,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigCompilationData {
    /// What came out.
    pub attributes: ConfigCompilationAttributes,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigCompilationAttributes {
    /// Always `ended`: the answer is there at once.
    pub phase: String,
    /// `succeeded` or `failed`.
    pub outcome: String,
    /// The expanded config; empty if it failed.
    pub compiled_config: String,
}

/// What is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigCompilationMeta {
    /// One for each thing that is wrong.
    pub messages: Vec<ConfigMessage>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigMessage {
    /// Where and what.
    pub title: String,
}

/// Body of `POST /api/v2/compile-config-with-defaults`, as version 0 of the command line sends it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CompileConfigWithDefaults {
    /// The YAML.
    pub config_yaml: String,
    /// For which pipeline.
    #[serde(default)]
    pub options: CompileConfigOptions,
}

/// For which pipeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CompileConfigOptions {
    /// The pipeline's parameters.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub pipeline_parameters: Option<BTreeMap<String, Value>>,
    /// The pipeline's values, by their names with `pipeline.` before them; parameters may be among
    /// them as `pipeline.parameters.…`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub pipeline_values: Option<BTreeMap<String, Value>>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ConfigCompilationWithDefaults {
    /// Whether it compiles.
    pub valid: bool,
    /// What was sent.
    pub source_yaml: String,
    /// The expanded config; empty if it is not valid.
    pub output_yaml: String,
    /// One for each thing that is wrong.
    pub errors: Vec<ConfigError>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigError {
    /// Where and what.
    pub message: String,
}
