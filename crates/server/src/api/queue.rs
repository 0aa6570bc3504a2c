//! `GET /queue`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use outrider_api::runners::Queue;

use super::auth::Admin;
use super::convert;
use crate::{ApiError, Core};

/// How much is queued and running, by class.
#[utoipa::path(get, path = "/queue", operation_id = "queue", tag = "runners",
    responses((status = 200, body = Queue)))]
pub async fn handler(_: Admin, State(core): State<Arc<Core>>) -> Result<Json<Queue>, ApiError> {
    let depths = core.store.queue_depths().await?;
    Ok(Json(Queue {
        items: depths.into_iter().map(convert::queue_depth).collect(),
    }))
}
