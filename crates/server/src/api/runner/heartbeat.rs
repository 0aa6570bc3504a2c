//! `POST /runner/heartbeat`

use std::sync::Arc;

use axum::extract::State;
use outrider_api::runner::{HeartbeatRequest, HeartbeatResponse};

use crate::api::auth::Runner;
use crate::api::extract::Json;
use crate::{ApiError, Core};

/// Renews leases at once, then holds the answer back for as long as the caller allows, or until
/// there is something that it must know: a cancellation, a lost lease, a wish to drain.
#[utoipa::path(post, path = "/runner/heartbeat", operation_id = "heartbeat", tag = "runner protocol",
    request_body = HeartbeatRequest, responses((status = 200, body = HeartbeatResponse)))]
pub async fn handler(
    _: Runner,
    State(core): State<Arc<Core>>,
    Json(request): Json<HeartbeatRequest>,
) -> Result<axum::Json<HeartbeatResponse>, ApiError> {
    Ok(axum::Json(core.heartbeat(&request).await?))
}
