//! `GET /tasks/{id}/log`

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use outrider_api::ErrorBody;
use outrider_api::jobs::LogQuery;
use outrider_model::TaskId;

use crate::api::auth::Admin;
use crate::api::extract::{Id, Params};
use crate::core::{FollowedLog, Next};
use crate::{ApiError, Core};

/// A log as it is now, byte for byte. Where the server had to end it, its mark follows on a line of
/// its own.
#[utoipa::path(get, path = "/tasks/{id}/log", operation_id = "read_log", tag = "tasks",
    params(("id" = TaskId, Path, description = "The task."), LogQuery),
    responses(
        (status = 200, content_type = "text/plain", body = String),
        (status = 404, body = ErrorBody),
    ))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Id(id): Id<TaskId>,
    Params(query): Params<LogQuery>,
) -> Result<Response, ApiError> {
    let log = core
        .open_log(id, query.attempt, query.offset.unwrap_or(0))
        .await?;
    let body = Body::from_stream(stream::unfold(Some(log), read));
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, body).into_response())
}

type Piece = Result<Bytes, ApiError>;

async fn read(log: Option<FollowedLog>) -> Option<(Piece, Option<FollowedLog>)> {
    let mut log = log?;
    match log.next_now().await {
        Ok(Next::Bytes(bytes)) => Some((Ok(bytes), Some(log))),
        Ok(Next::End(Some(mark))) => Some((Ok(Bytes::from(format!("\n{mark}\n"))), None)),
        Ok(Next::End(None) | Next::Nothing) => None,
        Err(error) => Some((Err(error), None)),
    }
}
