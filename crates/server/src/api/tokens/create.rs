//! `POST /tokens`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use outrider_api::tokens::{CreateToken, CreatedToken};

use crate::api::auth::Admin;
use crate::api::extract::Json;
use crate::{ApiError, Core};

/// Makes a token. Its secret is in this answer and nowhere else: only a hash of it is kept.
#[utoipa::path(post, path = "/tokens", operation_id = "create_token", tag = "tokens",
    request_body = CreateToken, responses((status = 201, body = CreatedToken)))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Json(request): Json<CreateToken>,
) -> Result<(StatusCode, axum::Json<CreatedToken>), ApiError> {
    Ok((
        StatusCode::CREATED,
        axum::Json(core.create_token(&request).await?),
    ))
}
