//! `POST /contexts`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use outrider_api::ErrorBody;
use outrider_api::secrets::ContextName;

use crate::api::auth::Admin;
use crate::api::extract::Json;
use crate::{ApiError, Core};

/// Makes a context. Making it again changes nothing.
#[utoipa::path(post, path = "/contexts", operation_id = "create_context", tag = "secrets",
    request_body = ContextName,
    responses(
        (status = 204),
        (status = 400, body = ErrorBody),
        (status = 409, description = "There are too many already.", body = ErrorBody),
    ))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Json(request): Json<ContextName>,
) -> Result<StatusCode, ApiError> {
    core.create_context(request.name).await?;
    Ok(StatusCode::NO_CONTENT)
}
