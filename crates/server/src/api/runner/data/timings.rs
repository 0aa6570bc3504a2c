//! `GET /runner/tasks/{id}/timings`

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use outrider_api::ErrorBody;
use outrider_model::TaskId;
use outrider_model::secret::LeaseToken;

use crate::api::auth::Runner;
use crate::api::extract::Held;
use crate::{ApiError, Core};

/// The test results by which the tasks of the job split their tests: JSON lines in zstd frames. All
/// tasks of a job get the same.
#[utoipa::path(get, path = "/runner/tasks/{id}/timings", operation_id = "timings", tag = "runner protocol",
    params(
        ("id" = TaskId, Path, description = "The task."),
        ("outrider-lease" = LeaseToken, Header, description = "Proof that the sender holds the lease."),
    ),
    responses(
        (status = 200, content_type = "application/zstd", body = Vec<u8>),
        (status = 204, description = "No earlier job of the name has test results."),
        (status = 409, description = "The lease is no longer held: stop that work.", body = ErrorBody),
    ))]
pub async fn handler(
    _: Runner,
    State(core): State<Arc<Core>>,
    Held(by): Held,
) -> Result<Response, ApiError> {
    let Some(timings) = core.timings(by).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let headers = [
        (CONTENT_TYPE, "application/zstd".to_owned()),
        (CONTENT_LENGTH, timings.length.to_string()),
    ];
    Ok((headers, Body::from_stream(timings.pieces)).into_response())
}
