//! `DELETE /tokens/{id}`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use outrider_api::ErrorBody;
use outrider_model::TokenId;

use crate::api::auth::Admin;
use crate::api::extract::Id;
use crate::{ApiError, Core};

/// A token is good no longer, from this answer on. Revoking again changes nothing.
#[utoipa::path(delete, path = "/tokens/{id}", operation_id = "revoke_token", tag = "tokens",
    params(("id" = TokenId, Path, description = "The token.")),
    responses((status = 204), (status = 404, body = ErrorBody)))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Id(id): Id<TokenId>,
) -> Result<StatusCode, ApiError> {
    core.revoke_token(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
