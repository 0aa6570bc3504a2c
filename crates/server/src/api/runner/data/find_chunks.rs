//! `POST /runner/tasks/{id}/chunks/find`

use std::sync::Arc;

use axum::extract::State;
use outrider_api::ErrorBody;
use outrider_api::data::{FindChunks, FoundChunks};
use outrider_model::TaskId;
use outrider_model::secret::LeaseToken;

use crate::api::auth::Runner;
use crate::api::extract::{Held, Json};
use crate::{ApiError, Core};

/// Says which chunks are here already, and where. Their packs are kept until the task ends.
#[utoipa::path(post, path = "/runner/tasks/{id}/chunks/find", operation_id = "find_chunks", tag = "runner protocol",
    params(
        ("id" = TaskId, Path, description = "The task."),
        ("outrider-lease" = LeaseToken, Header, description = "Proof that the sender holds the lease."),
    ),
    request_body = FindChunks,
    responses(
        (status = 200, body = FoundChunks),
        (status = 409, description = "The lease is no longer held: stop that work.", body = ErrorBody),
    ))]
pub async fn handler(
    _: Runner,
    State(core): State<Arc<Core>>,
    Held(by): Held,
    Json(request): Json<FindChunks>,
) -> Result<axum::Json<FoundChunks>, ApiError> {
    let places = core.find_chunks(by, request.hashes).await?;
    Ok(axum::Json(FoundChunks { places }))
}
