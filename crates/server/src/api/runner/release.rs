//! `POST /runner/release`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use outrider_api::runner::ReleaseRequest;

use crate::api::auth::Runner;
use crate::api::extract::Json;
use crate::{ApiError, Core};

/// Gives claimed tasks back to the queue before their first step.
#[utoipa::path(post, path = "/runner/release", operation_id = "release", tag = "runner protocol",
    request_body = ReleaseRequest, responses((status = 204)))]
pub async fn handler(
    _: Runner,
    State(core): State<Arc<Core>>,
    Json(request): Json<ReleaseRequest>,
) -> Result<StatusCode, ApiError> {
    core.release(&request).await?;
    Ok(StatusCode::NO_CONTENT)
}
