//! `GET /ssh-keys`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use outrider_api::secrets::{ProjectQuery, SshKeyList};

use crate::api::auth::Admin;
use crate::api::extract::Params;
use crate::{ApiError, Core};

/// The SSH keys of a project, by fingerprint. The private keys are never told.
#[utoipa::path(get, path = "/ssh-keys", operation_id = "list_ssh_keys", tag = "secrets",
    params(ProjectQuery), responses((status = 200, body = SshKeyList)))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Params(query): Params<ProjectQuery>,
) -> Result<Json<SshKeyList>, ApiError> {
    Ok(Json(SshKeyList {
        items: core.ssh_keys(query.project).await?,
    }))
}
