//! `POST /api/v3/configs/compile`

use std::sync::Arc;

use axum::extract::State;
use outrider_api::ErrorBody;
use outrider_api::configs::{
    CompileConfig, ConfigCompilation, ConfigCompilationAttributes, ConfigCompilationData,
    ConfigCompilationMeta, ConfigMessage,
};

use crate::api::auth::Admin;
use crate::api::extract::Json;
use crate::{ApiError, Core};

/// Expands a config, for `circleci config validate` and `process` from version 1 on. Runs nothing.
#[utoipa::path(post, path = "/api/v3/configs/compile", operation_id = "compile_config", tag = "configs",
    request_body = CompileConfig,
    responses(
        (status = 200, description = "Also if the config does not compile.", body = ConfigCompilation),
        (status = 400, body = ErrorBody),
    ))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Json(request): Json<CompileConfig>,
) -> Result<axum::Json<ConfigCompilation>, ApiError> {
    let asked = request.data.attributes;
    let parameters = asked.pipeline_parameters.unwrap_or_default();
    let values = asked.pipeline_values.unwrap_or_default();
    let processed = core
        .process_config(asked.config, parameters, values)
        .await?;
    let (outcome, compiled_config, errors) = match processed {
        Ok(compiled) => ("succeeded", compiled, vec![]),
        Err(errors) => ("failed", String::new(), errors),
    };
    let messages = errors.into_iter().map(|title| ConfigMessage { title });
    Ok(axum::Json(ConfigCompilation {
        data: ConfigCompilationData {
            attributes: ConfigCompilationAttributes {
                phase: "ended".to_owned(),
                outcome: outcome.to_owned(),
                compiled_config,
            },
        },
        meta: ConfigCompilationMeta {
            messages: messages.collect(),
        },
    }))
}
