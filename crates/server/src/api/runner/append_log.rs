//! `PUT /runner/tasks/{id}/log`

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use bytes::{Buf, Bytes};
use http_body_util::{BodyExt, Limited};
use outrider_api::runner::{AppendLogQuery, AppendLogResponse};
use outrider_api::{ErrorBody, ErrorCode};
use outrider_model::TaskId;
use outrider_model::report::ReportAnswer;
use outrider_model::secret::LeaseToken;

use crate::api::auth::{Runner, lease};
use crate::api::extract::{Id, Params};
use crate::{ApiError, Core};

/// The largest piece of a log.
const LARGEST_PIECE: usize = 8 * 1024 * 1024;

/// Appends a piece to a log where it ends; what overlaps is taken as sent before. The answer comes
/// when the piece is synced to disk.
#[utoipa::path(put, path = "/runner/tasks/{id}/log", operation_id = "append_log", tag = "runner protocol",
    params(
        ("id" = TaskId, Path, description = "The task."),
        AppendLogQuery,
        ("outrider-lease" = LeaseToken, Header, description = "Proof that the sender holds the lease."),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, body = AppendLogResponse),
        (status = 409, description = "The lease is no longer held: stop that work.", body = ErrorBody),
        (status = 416, description = "The piece starts after the end of the log.", body = ErrorBody),
    ))]
pub async fn handler(
    _: Runner,
    State(core): State<Arc<Core>>,
    Id(task): Id<TaskId>,
    Params(query): Params<AppendLogQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<AppendLogResponse>, ApiError> {
    let lease = lease(&headers)?;
    let pieces = pieces(body).await?;
    match core.append_log(task, lease, query.offset, pieces).await? {
        ReportAnswer::Accepted { log_length, stop } => {
            Ok(Json(AppendLogResponse { log_length, stop }))
        }
        ReportAnswer::Stale { message } => Err(ApiError::new(ErrorCode::StaleLease, message)),
        ReportAnswer::LogGap { log_length } => Err(ApiError::new(
            ErrorCode::LogGap,
            format!("the log has {log_length} bytes: send from there"),
        )),
        ReportAnswer::LogMismatch {} => Err(ApiError::new(
            ErrorCode::LogGap,
            "the log has 0 bytes: send from there",
        )),
    }
}

/// The body as it came off the socket, in pieces that are not copied together.
async fn pieces(body: Body) -> Result<Vec<Bytes>, ApiError> {
    let collected = Limited::new(body, LARGEST_PIECE)
        .collect()
        .await
        .map_err(
            |error| match error.downcast_ref::<http_body_util::LengthLimitError>() {
                Some(_) => ApiError::new(ErrorCode::TooLarge, "a piece of a log has at most 8 MiB"),
                None => ApiError::new(ErrorCode::BadRequest, "the body did not arrive whole"),
            },
        )?;
    let mut buffer = collected.aggregate();
    let mut pieces = Vec::new();
    while buffer.has_remaining() {
        let length = buffer.chunk().len();
        pieces.push(buffer.copy_to_bytes(length));
    }
    Ok(pieces)
}
