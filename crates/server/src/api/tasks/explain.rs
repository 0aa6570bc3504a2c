//! `GET /tasks/{id}/explain`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use outrider_api::ErrorBody;
use outrider_api::jobs::Explanation;
use outrider_model::TaskId;

use crate::api::auth::Admin;
use crate::api::convert;
use crate::api::extract::Id;
use crate::{ApiError, Core};

/// Why a task waits, or why it ended as it did, and what to do about it.
#[utoipa::path(get, path = "/tasks/{id}/explain", operation_id = "explain_task", tag = "tasks",
    params(("id" = TaskId, Path, description = "The task.")),
    responses((status = 200, body = Explanation), (status = 404, body = ErrorBody)))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Id(id): Id<TaskId>,
) -> Result<Json<Explanation>, ApiError> {
    let connected_since = core.clock.now() - core.settings.timings.connected;
    let explanation = core.store.explain(id, connected_since).await?;
    let (summary, advice) = match (&explanation.end, &explanation.wait) {
        (Some(end), _) => (end.to_string(), end.advice().to_owned()),
        (None, Some(wait)) => (wait.to_string(), wait.advice()),
        (None, None) => ("it passed".to_owned(), "Nothing to do.".to_owned()),
    };
    Ok(Json(Explanation {
        task: convert::task_detail(explanation.task),
        summary,
        advice,
        wait: explanation.wait,
        end: explanation.end,
    }))
}
