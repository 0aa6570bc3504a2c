//! `POST /runner/tasks/{id}/caches/find`

use std::sync::Arc;

use axum::extract::State;
use outrider_api::ErrorBody;
use outrider_api::data::{CacheAnswer, FindCache};
use outrider_model::TaskId;
use outrider_model::secret::LeaseToken;

use crate::api::auth::Runner;
use crate::api::extract::{Held, Json};
use crate::{ApiError, Core};

/// Finds the newest cache whose key begins with the first of the keys that any fits.
#[utoipa::path(post, path = "/runner/tasks/{id}/caches/find", operation_id = "find_cache", tag = "runner protocol",
    params(
        ("id" = TaskId, Path, description = "The task."),
        ("outrider-lease" = LeaseToken, Header, description = "Proof that the sender holds the lease."),
    ),
    request_body = FindCache,
    responses(
        (status = 200, body = CacheAnswer),
        (status = 507, description = "There is no room for another cache.", body = ErrorBody),
        (status = 409, description = "The lease is no longer held: stop that work.", body = ErrorBody),
    ))]
pub async fn handler(
    _: Runner,
    State(core): State<Arc<Core>>,
    Held(by): Held,
    Json(request): Json<FindCache>,
) -> Result<axum::Json<CacheAnswer>, ApiError> {
    let cache = core.find_cache(by, request).await?;
    Ok(axum::Json(CacheAnswer { cache }))
}
