//! `GET /runner/tasks/{id}/blobs/{hash}`

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use outrider_api::{ErrorBody, ErrorCode};
use outrider_model::secret::LeaseToken;
use outrider_model::{BlobHash, TaskId};
use outrider_store::HeldLease;

use crate::api::auth::Runner;
use crate::api::extract::{Id, Lease};
use crate::api::range::{self, Wanted};
use crate::{ApiError, Core};

/// A blob that the task may read, or a range of it.
#[utoipa::path(get, path = "/runner/tasks/{id}/blobs/{hash}", operation_id = "get_blob", tag = "runner protocol",
    params(
        ("id" = TaskId, Path, description = "The task."),
        ("hash" = String, Path, description = "BLAKE3 of the blob."),
        ("range" = Option<String>, Header, description = "One range of bytes."),
        ("outrider-lease" = LeaseToken, Header, description = "Proof that the sender holds the lease."),
    ),
    responses(
        (status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 404, description = "There is no such blob that the task may read.", body = ErrorBody),
        (status = 409, description = "The lease is no longer held: stop that work.", body = ErrorBody),
        (status = 416, description = "The blob has no such bytes.", body = ErrorBody),
    ))]
pub async fn handler(
    _: Runner,
    State(core): State<Arc<Core>>,
    Id((task, hash)): Id<(TaskId, BlobHash)>,
    Lease(lease): Lease,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let by = HeldLease { task, lease };
    let blob = core.locate_blob(by, hash).await?.ok_or_else(|| {
        ApiError::new(
            ErrorCode::NotFound,
            format!("there is no blob {hash} that the task may read"),
        )
    })?;
    let wanted = Wanted::new(&headers, blob.size)?;
    let download = core.read_blobs(vec![blob], wanted.range()).await?;
    Ok(range::answer(wanted, download, "application/octet-stream"))
}
