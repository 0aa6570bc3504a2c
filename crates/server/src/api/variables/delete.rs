//! `DELETE /variables`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use outrider_api::ErrorBody;
use outrider_api::secrets::VariableQuery;
use outrider_store::{SecretId, SecretKind};

use super::owner;
use crate::api::auth::Admin;
use crate::api::extract::Params;
use crate::{ApiError, Core};

/// Deletes a variable of a project or a context.
#[utoipa::path(delete, path = "/variables", operation_id = "delete_variable", tag = "secrets",
    params(VariableQuery), responses((status = 204), (status = 404, body = ErrorBody)))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Params(query): Params<VariableQuery>,
) -> Result<StatusCode, ApiError> {
    let id = SecretId {
        owner: owner(query.project, query.context)?,
        kind: SecretKind::Variable,
        name: query.name,
    };
    core.delete_secret(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
