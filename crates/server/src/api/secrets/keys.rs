//! `GET /secrets/keys`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use outrider_api::secrets::SealingKeys;

use crate::api::auth::Admin;
use crate::{ApiError, Core};

/// The ids of the keys that seal secrets, and how many each has sealed.
#[utoipa::path(get, path = "/secrets/keys", operation_id = "list_sealing_keys", tag = "secrets",
    responses((status = 200, body = SealingKeys)))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
) -> Result<Json<SealingKeys>, ApiError> {
    Ok(Json(SealingKeys {
        items: core.sealing_keys().await?,
    }))
}
