//! Continuing a pipeline with the config that one of its own jobs has made.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use outrider_api::ErrorCode;
use outrider_api::continuation::ContinuePipeline;
use outrider_config::{Options, ParameterValue, SourceFile};
use outrider_store::{Continuable, Continuation};

use super::pipelines::{compile, values};
use super::{Core, orbs};
use crate::ApiError;

/// What a continuation is called in diagnostics.
const CONFIG_NAME: &str = "configuration";

/// Bounds on parameters, as CircleCI has them.
const MOST_PARAMETERS: usize = 100;
const LONGEST_NAME: usize = 128;
const LONGEST_VALUE: usize = 512;

impl Core {
    /// Compiles a config and adds its workflows to the pipeline that the key is for, once.
    pub async fn continue_pipeline(&self, request: ContinuePipeline) -> Result<(), ApiError> {
        let key = request.continuation_key.hash();
        let known = self.store.continuable(key, self.clock.now()).await?;
        let known = known.ok_or_else(|| {
            let message = "there is no such continuation key: a running job of a setup config has \
                           one, in `CIRCLE_CONTINUATION_KEY`";
            ApiError::new(ErrorCode::NotFound, message)
        })?;
        let source = SourceFile::new(CONFIG_NAME, request.configuration.clone());
        let options = Options {
            parameters: parameters(&known, request.parameters)?,
            orbs: self.orbs_for(&source, orbs::given(request.orbs)?).await?,
            values: values(&known.trigger, Some(known.reserved)),
            // The parameters may say that nothing is left to do.
            may_be_empty: true,
            ..Options::new(self.settings.default_class.clone())
        };
        let (_, compiled) = compile(source, options).await?;
        let new = Continuation {
            key,
            plan: self.in_its_class(compiled.plan),
            config: request.configuration,
        };
        let woken = self.store.continue_pipeline(new, self.clock.now()).await?;
        self.hub.wake(&woken);
        self.watchers.touch_any();
        Ok(())
    }
}

/// Those that the pipeline was triggered with, and those that are given now. None can be both.
fn parameters(
    known: &Continuable,
    given: BTreeMap<String, serde_json::Value>,
) -> Result<IndexMap<String, ParameterValue>, ApiError> {
    if given.len() > MOST_PARAMETERS {
        let count = given.len();
        return Err(refused(format!(
            "there are {count} parameters, more than {MOST_PARAMETERS}"
        )));
    }
    let triggered = known.parameters.iter();
    let mut parameters: IndexMap<_, _> = triggered
        .map(|(name, value)| (name.clone(), ParameterValue::Text(value.clone())))
        .collect();
    for (name, value) in given {
        if known.parameters.contains_key(&name) {
            return Err(refused(format!(
                "conflicting pipeline parameters: the pipeline was triggered with {name}, which is \
                 handed on and cannot be given again"
            )));
        }
        let value = parameter(&name, value)?;
        parameters.insert(name, value);
    }
    Ok(parameters)
}

fn parameter(name: &str, value: serde_json::Value) -> Result<ParameterValue, ApiError> {
    let length = value.as_str().map_or(0, str::len);
    if name.len() > LONGEST_NAME || length > LONGEST_VALUE {
        return Err(refused(format!(
            "the parameter {name:.LONGEST_NAME$} is too long: a name has at most {LONGEST_NAME} \
             bytes, a value {LONGEST_VALUE}"
        )));
    }
    serde_json::from_value(value).map_err(|_| {
        refused(format!(
            "the parameter {name} is neither a boolean, an integer nor a string"
        ))
    })
}

fn refused(message: String) -> ApiError {
    ApiError::new(ErrorCode::BadRequest, message)
}
