//! `POST /runner/tasks/{id}/blobs/announce`

use std::sync::Arc;

use axum::extract::State;
use outrider_api::ErrorBody;
use outrider_api::data::{AnnounceBlobs, AnnouncedBlobs};
use outrider_model::TaskId;
use outrider_model::secret::LeaseToken;

use crate::api::auth::Runner;
use crate::api::extract::{Held, Json};
use crate::{ApiError, Core};

/// A task is about to send blobs: says where to, and which are here already.
#[utoipa::path(post, path = "/runner/tasks/{id}/blobs/announce", operation_id = "announce_blobs", tag = "runner protocol",
    params(
        ("id" = TaskId, Path, description = "The task."),
        ("outrider-lease" = LeaseToken, Header, description = "Proof that the sender holds the lease."),
    ),
    request_body = AnnounceBlobs,
    responses(
        (status = 200, body = AnnouncedBlobs),
        (status = 409, description = "The lease is no longer held: stop that work.", body = ErrorBody),
    ))]
pub async fn handler(
    _: Runner,
    State(core): State<Arc<Core>>,
    Held(by): Held,
    Json(request): Json<AnnounceBlobs>,
) -> Result<axum::Json<AnnouncedBlobs>, ApiError> {
    let uploads = core.announce_blobs(by, &request.blobs).await?;
    Ok(axum::Json(AnnouncedBlobs { uploads }))
}
