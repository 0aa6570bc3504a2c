//! `POST /pipelines`

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use outrider_api::paths::IDEMPOTENCY_KEY_HEADER;
use outrider_api::pipelines::{SubmitPipeline, SubmittedPipeline};
use outrider_api::{ErrorBody, ErrorCode};

use crate::api::auth::Admin;
use crate::api::extract::Json;
use crate::{ApiError, Core};

/// Compiles a config and queues it. With the header `idempotency-key` it can be repeated safely.
#[utoipa::path(post, path = "/pipelines", operation_id = "submit_pipeline", tag = "pipelines",
    request_body = SubmitPipeline,
    params(("idempotency-key" = Option<String>, Header, description = "The caller's own name for this pipeline.")),
    responses(
        (status = 201, description = "Committed and queued.", body = SubmittedPipeline),
        (status = 422, description = "The config does not compile.", body = ErrorBody),
    ))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    headers: HeaderMap,
    Json(request): Json<SubmitPipeline>,
) -> Result<(StatusCode, axum::Json<SubmittedPipeline>), ApiError> {
    let key = idempotency_key(&headers)?;
    let submitted = core.submit_pipeline(request, key).await?;
    Ok((StatusCode::CREATED, axum::Json(submitted)))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY_HEADER) else {
        return Ok(None);
    };
    let key = value
        .to_str()
        .ok()
        .filter(|key| (1..=255).contains(&key.len()));
    key.map(|key| Some(key.to_owned())).ok_or_else(|| {
        ApiError::new(
            ErrorCode::BadRequest,
            "an idempotency-key has 1 to 255 ASCII characters",
        )
    })
}
