//! `POST /runner/goodbye`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use outrider_api::runner::GoodbyeRequest;

use crate::api::auth::Runner;
use crate::api::extract::Json;
use crate::{ApiError, Core};

/// A runner ends and leaves the inventory at once.
#[utoipa::path(post, path = "/runner/goodbye", operation_id = "goodbye", tag = "runner protocol",
    request_body = GoodbyeRequest, responses((status = 204)))]
pub async fn handler(
    _: Runner,
    State(core): State<Arc<Core>>,
    Json(request): Json<GoodbyeRequest>,
) -> Result<StatusCode, ApiError> {
    core.goodbye(request.runner).await?;
    Ok(StatusCode::NO_CONTENT)
}
