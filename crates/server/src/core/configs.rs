//! Configs that are looked at and not run.

use std::collections::BTreeMap;

use outrider_config::{Diagnostics, Options, Orbs, ParameterValue, PipelineValues, SourceFile};
use serde_json::Value;

use super::Core;
use crate::ApiError;

/// Where a caller may put parameters among the values.
const PARAMETERS: &str = "pipeline.parameters.";

impl Core {
    /// A config with everything in place, or what is wrong with it: a line for each thing. The
    /// compiler's limits bound the work.
    pub async fn process_config(
        &self,
        config: String,
        parameters: BTreeMap<String, Value>,
        values: BTreeMap<String, Value>,
    ) -> Result<Result<String, Vec<String>>, ApiError> {
        let mut options = Options::new(self.settings.default_class.clone());
        for (name, value) in values {
            match name.strip_prefix(PARAMETERS) {
                Some(parameter) => {
                    options
                        .parameters
                        .insert(parameter.to_owned(), typed(value));
                }
                None => set(&mut options.values, &name, &value),
            }
        }
        options.parameters.extend(
            parameters
                .into_iter()
                .map(|(name, value)| (name, typed(value))),
        );
        let source = SourceFile::new("config.yml", config);
        options.orbs = self.orbs_for(&source, Orbs::new()).await?;
        // Off the threads that serve others.
        tokio::task::spawn_blocking(move || {
            outrider_config::expand(&source, &options)
                .map(|config| outrider_config::process(&config.expanded))
                .map_err(|diagnostics| lines(&diagnostics))
        })
        .await
        .map_err(|error| ApiError::internal("expand the config", &error))
    }
}

/// A parameter as it was sent. What cannot be one is text, which the compiler refuses by its type.
fn typed(value: Value) -> ParameterValue {
    match value {
        Value::Bool(value) => ParameterValue::Boolean(value),
        Value::String(text) => ParameterValue::String(text),
        other => match other.as_i64() {
            Some(integer) => ParameterValue::Integer(integer),
            None => ParameterValue::Text(other.to_string()),
        },
    }
}

fn set(values: &mut PipelineValues, name: &str, value: &Value) {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    values.set(name, text);
}

fn lines(diagnostics: &Diagnostics) -> Vec<String> {
    let errors = diagnostics
        .iter()
        .filter(|one| one.severity == outrider_config::Severity::Error);
    errors
        .map(|one| {
            let file = diagnostics.file(&one.location);
            let file = file.map_or("config.yml", |file| &file.name);
            let (line, column) = (one.location.line, one.location.column);
            let help = one.help.iter().map(|help| format!(" ({help})"));
            let help: String = help.collect();
            format!("{file}:{line}:{column}: {}{help}", one.message)
        })
        .collect()
}
