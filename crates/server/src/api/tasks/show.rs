//! `GET /tasks/{id}`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use outrider_api::ErrorBody;
use outrider_api::jobs::TaskDetail;
use outrider_model::TaskId;

use crate::api::auth::Admin;
use crate::api::convert;
use crate::api::extract::Id;
use crate::{ApiError, Core};

/// One task with its attempts and their steps.
#[utoipa::path(get, path = "/tasks/{id}", operation_id = "show_task", tag = "tasks",
    params(("id" = TaskId, Path, description = "The task.")),
    responses((status = 200, body = TaskDetail), (status = 404, body = ErrorBody)))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Id(id): Id<TaskId>,
) -> Result<Json<TaskDetail>, ApiError> {
    Ok(Json(convert::task_detail(core.store.task(id).await?)))
}
