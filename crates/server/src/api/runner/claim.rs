//! `POST /runner/claim`

use std::sync::Arc;

use axum::extract::State;
use outrider_api::runner::{ClaimRequest, ClaimResponse};
use outrider_model::claim::TaskPayload;
use serde_json::value::RawValue;

use crate::api::auth::Runner;
use crate::api::extract::Json;
use crate::{ApiError, Core};

/// Claims queued tasks of the token's class; waits for them if there are none.
#[utoipa::path(post, path = "/runner/claim", operation_id = "claim", tag = "runner protocol",
    request_body = ClaimRequest, responses((status = 200, body = ClaimResponse<TaskPayload>)))]
pub async fn handler(
    runner: Runner,
    State(core): State<Arc<Core>>,
    Json(request): Json<ClaimRequest>,
) -> Result<axum::Json<ClaimResponse<Box<RawValue>>>, ApiError> {
    Ok(axum::Json(core.claim(&runner.class, &request).await?))
}
