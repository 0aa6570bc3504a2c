//! `POST /runner/tasks/{id}/blobs/locate`

use std::sync::Arc;

use axum::extract::State;
use outrider_api::ErrorBody;
use outrider_api::data::{LocateBlobs, LocatedBlobs};
use outrider_model::TaskId;
use outrider_model::secret::LeaseToken;

use crate::api::auth::Runner;
use crate::api::extract::{Held, Json};
use crate::{ApiError, Core};

/// Says where blobs come from that the task may read.
#[utoipa::path(post, path = "/runner/tasks/{id}/blobs/locate", operation_id = "locate_blobs", tag = "runner protocol",
    params(
        ("id" = TaskId, Path, description = "The task."),
        ("outrider-lease" = LeaseToken, Header, description = "Proof that the sender holds the lease."),
    ),
    request_body = LocateBlobs,
    responses(
        (status = 200, body = LocatedBlobs),
        (status = 409, description = "The lease is no longer held: stop that work.", body = ErrorBody),
    ))]
pub async fn handler(
    _: Runner,
    State(core): State<Arc<Core>>,
    Held(by): Held,
    Json(request): Json<LocateBlobs>,
) -> Result<axum::Json<LocatedBlobs>, ApiError> {
    let downloads = core.locate_blobs(by, request.hashes).await?;
    Ok(axum::Json(LocatedBlobs { downloads }))
}
