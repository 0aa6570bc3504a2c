//! `POST /runner/tasks/{id}/caches`

use std::sync::Arc;

use axum::extract::State;
use outrider_api::ErrorBody;
use outrider_api::data::{SaveCache, SavedCache};
use outrider_model::TaskId;
use outrider_model::secret::LeaseToken;

use crate::api::auth::Runner;
use crate::api::extract::{Held, Json};
use crate::{ApiError, Core};

/// Keeps a cache whose blobs are all in the store, unless there is one with its key.
#[utoipa::path(post, path = "/runner/tasks/{id}/caches", operation_id = "save_cache", tag = "runner protocol",
    params(
        ("id" = TaskId, Path, description = "The task."),
        ("outrider-lease" = LeaseToken, Header, description = "Proof that the sender holds the lease."),
    ),
    request_body = SaveCache,
    responses(
        (status = 200, body = SavedCache),
        (status = 507, description = "There is no room for another cache.", body = ErrorBody),
        (status = 409, description = "The lease is no longer held: stop that work.", body = ErrorBody),
    ))]
pub async fn handler(
    _: Runner,
    State(core): State<Arc<Core>>,
    Held(by): Held,
    Json(request): Json<SaveCache>,
) -> Result<axum::Json<SavedCache>, ApiError> {
    let saved = core.save_cache(by, request).await?;
    Ok(axum::Json(SavedCache { saved }))
}
