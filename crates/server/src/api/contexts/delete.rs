//! `DELETE /contexts`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use outrider_api::ErrorBody;
use outrider_api::secrets::ContextName;

use crate::api::auth::Admin;
use crate::api::extract::Params;
use crate::{ApiError, Core};

/// Deletes a context and its variables. Jobs that name it fail from then on.
#[utoipa::path(delete, path = "/contexts", operation_id = "delete_context", tag = "secrets",
    params(ContextName), responses((status = 204), (status = 404, body = ErrorBody)))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Params(query): Params<ContextName>,
) -> Result<StatusCode, ApiError> {
    core.delete_context(query.name).await?;
    Ok(StatusCode::NO_CONTENT)
}
