//! `DELETE /ssh-keys`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use outrider_api::ErrorBody;
use outrider_api::secrets::SshKeyQuery;
use outrider_store::{SecretId, SecretKind, SecretOwner};

use crate::api::auth::Admin;
use crate::api::extract::Params;
use crate::{ApiError, Core};

/// Deletes an SSH key of a project.
#[utoipa::path(delete, path = "/ssh-keys", operation_id = "delete_ssh_key", tag = "secrets",
    params(SshKeyQuery), responses((status = 204), (status = 404, body = ErrorBody)))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Params(query): Params<SshKeyQuery>,
) -> Result<StatusCode, ApiError> {
    let id = SecretId {
        owner: SecretOwner::Project(query.project),
        kind: SecretKind::SshKey,
        name: query.fingerprint,
    };
    core.delete_secret(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
