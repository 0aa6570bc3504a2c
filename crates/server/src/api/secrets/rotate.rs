//! `POST /secrets/rotate`

use std::sync::Arc;

use axum::extract::State;
use outrider_api::secrets::{RotateSecrets, RotatedSecrets};

use crate::api::auth::Admin;
use crate::api::extract::Json;
use crate::{ApiError, Core};

/// Seals some of the secrets anew that another key than the first has sealed. Call it with `next` of
/// its answer until there is none.
#[utoipa::path(post, path = "/secrets/rotate", operation_id = "rotate_secrets", tag = "secrets",
    request_body = RotateSecrets, responses((status = 200, body = RotatedSecrets)))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Json(request): Json<RotateSecrets>,
) -> Result<axum::Json<RotatedSecrets>, ApiError> {
    Ok(axum::Json(core.rotate_secrets(request.after).await?))
}
