//! `PUT /runner/tasks/{id}/blobs/{hash}`

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use outrider_api::ErrorBody;
use outrider_model::secret::LeaseToken;
use outrider_model::{BlobHash, TaskId};
use outrider_store::HeldLease;

use crate::api::auth::Runner;
use crate::api::extract::{Id, Lease};
use crate::{ApiError, Core};

/// A body that is silent for so long has broken off: others wait for its place.
const SILENCE: Duration = Duration::from_secs(30);

/// Takes a blob that was announced. The answer comes when it is synced to disk; nothing is stored
/// unless all of it came and is what its name says.
#[utoipa::path(put, path = "/runner/tasks/{id}/blobs/{hash}", operation_id = "put_blob", tag = "runner protocol",
    params(
        ("id" = TaskId, Path, description = "The task."),
        ("hash" = String, Path, description = "BLAKE3 of the body."),
        ("outrider-lease" = LeaseToken, Header, description = "Proof that the sender holds the lease."),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 204, description = "It is stored."),
        (status = 400, description = "The body broke off.", body = ErrorBody),
        (status = 409, description = "The lease is no longer held, or the blob was not announced.", body = ErrorBody),
        (status = 422, description = "The body is not what was announced.", body = ErrorBody),
        (status = 507, description = "The blob store is full.", body = ErrorBody),
    ))]
pub async fn handler(
    _: Runner,
    State(core): State<Arc<Core>>,
    Id((task, hash)): Id<(TaskId, BlobHash)>,
    Lease(lease): Lease,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let by = HeldLease { task, lease };
    core.put_blob(by, hash, arriving(body)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn arriving(body: Body) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(body.into_data_stream(), |mut body| async move {
        match tokio::time::timeout(SILENCE, body.next()).await {
            Ok(Some(Ok(bytes))) => Ok(Some((bytes, body))),
            Ok(Some(Err(error))) => Err(io::Error::other(error)),
            Ok(None) => Ok(None),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    })
}
