//! `PUT /variables`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use outrider_api::ErrorBody;
use outrider_api::secrets::{OwnerQuery, SetVariable};

use super::owner;
use crate::api::auth::Admin;
use crate::api::extract::{Json, Params};
use crate::{ApiError, Core};

/// Sets a variable of a project or a context. Tasks that have started keep the value that they got.
#[utoipa::path(put, path = "/variables", operation_id = "set_variable", tag = "secrets",
    params(OwnerQuery), request_body = SetVariable,
    responses(
        (status = 204),
        (status = 400, body = ErrorBody),
        (status = 404, description = "There is no such context.", body = ErrorBody),
        (status = 409, description = "There are too many already.", body = ErrorBody),
    ))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Params(query): Params<OwnerQuery>,
    Json(request): Json<SetVariable>,
) -> Result<StatusCode, ApiError> {
    let owner = owner(query.project, query.context)?;
    core.set_variable(owner, request).await?;
    Ok(StatusCode::NO_CONTENT)
}
