//! `POST /api/v2/compile-config-with-defaults`

use std::sync::Arc;

use axum::extract::State;
use outrider_api::ErrorBody;
use outrider_api::configs::{
    CompileConfigWithDefaults, ConfigCompilationWithDefaults, ConfigError,
};

use crate::api::auth::Admin;
use crate::api::extract::Json;
use crate::{ApiError, Core};

/// Expands a config, for `circleci config validate` and `process` before version 1. Runs nothing.
/// That command line first sends nothing at all, and takes any error but 404 for a server that can
/// do it.
#[utoipa::path(post, path = "/api/v2/compile-config-with-defaults",
    operation_id = "compile_config_with_defaults", tag = "configs",
    request_body = CompileConfigWithDefaults,
    responses(
        (status = 200, description = "Also if the config does not compile.", body = ConfigCompilationWithDefaults),
        (status = 400, body = ErrorBody),
    ))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Json(request): Json<CompileConfigWithDefaults>,
) -> Result<axum::Json<ConfigCompilationWithDefaults>, ApiError> {
    let parameters = request.options.pipeline_parameters.unwrap_or_default();
    let values = request.options.pipeline_values.unwrap_or_default();
    let source_yaml = request.config_yaml.clone();
    let processed = core
        .process_config(request.config_yaml, parameters, values)
        .await?;
    let (valid, output_yaml, errors) = match processed {
        Ok(compiled) => (true, compiled, vec![]),
        Err(errors) => (false, String::new(), errors),
    };
    let errors = errors.into_iter().map(|message| ConfigError { message });
    Ok(axum::Json(ConfigCompilationWithDefaults {
        valid,
        source_yaml,
        output_yaml,
        errors: errors.collect(),
    }))
}
