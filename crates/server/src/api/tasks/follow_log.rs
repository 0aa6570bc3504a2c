//! `GET /tasks/{id}/log/follow`

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::response::sse::Event;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use outrider_api::ErrorBody;
use outrider_api::jobs::{LogEnd, LogPiece, LogQuery};
use outrider_model::TaskId;

use crate::api::auth::Admin;
use crate::api::extract::{Id, Params};
use crate::api::sse::{self, Step};
use crate::core::{FollowedLog, Next};
use crate::{ApiError, Core};

/// Follows a log to its end: server-sent events `log` whose data is a `LogPiece` and whose id is
/// the offset after it, then one event `end` whose data is a `LogEnd`. A task that waits for a
/// runner is waited for.
#[utoipa::path(get, path = "/tasks/{id}/log/follow", operation_id = "follow_log", tag = "tasks",
    params(
        ("id" = TaskId, Path, description = "The task."),
        LogQuery,
        ("last-event-id" = Option<u64>, Header, description = "The offset up to which the log is known."),
    ),
    responses(
        (status = 200, content_type = "text/event-stream", body = LogPiece),
        (status = 404, body = ErrorBody),
    ))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Id(id): Id<TaskId>,
    Params(query): Params<LogQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let offset = sse::last_event_id(&headers)?.or(query.offset).unwrap_or(0);
    let log = core.open_log(id, query.attempt, offset).await?;
    Ok(sse::stream(core, Some(log), step))
}

async fn step(log: Option<FollowedLog>) -> Result<Step<Option<FollowedLog>>, ApiError> {
    let Some(mut log) = log else {
        return Ok(Step::Done);
    };
    let (name, data, rest) = match log.next().await? {
        Next::Bytes(bytes) => {
            let piece = LogPiece {
                base64: STANDARD.encode(&bytes),
            };
            ("log", serde_json::to_string(&piece), true)
        }
        Next::End(mark) => {
            let end = LogEnd {
                length: log.offset(),
                mark,
            };
            ("end", serde_json::to_string(&end), false)
        }
        Next::Nothing => return Ok(Step::Done),
    };
    let data = data.map_err(|error| ApiError::internal("write an event", &error))?;
    let event = Event::default()
        .event(name)
        .id(log.offset().to_string())
        .data(data);
    Ok(Step::Event(event, rest.then_some(log)))
}
