//! `POST /ssh-keys`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use outrider_api::ErrorBody;
use outrider_api::secrets::{AddSshKey, ProjectQuery, SshKeyInfo};

use crate::api::auth::Admin;
use crate::api::extract::{Json, Params};
use crate::{ApiError, Core};

/// Adds an SSH key to a project. The same key again replaces its host.
#[utoipa::path(post, path = "/ssh-keys", operation_id = "add_ssh_key", tag = "secrets",
    params(ProjectQuery), request_body = AddSshKey,
    responses((status = 201, body = SshKeyInfo), (status = 400, body = ErrorBody)))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Params(query): Params<ProjectQuery>,
    Json(request): Json<AddSshKey>,
) -> Result<(StatusCode, axum::Json<SshKeyInfo>), ApiError> {
    let added = core.add_ssh_key(query.project, request).await?;
    Ok((StatusCode::CREATED, axum::Json(added)))
}
