//! `GET /runner/tasks/{id}/secrets`

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header::CACHE_CONTROL;
use outrider_api::ErrorBody;
use outrider_api::data::TaskSecrets;
use outrider_model::TaskId;
use outrider_model::secret::LeaseToken;

use crate::api::auth::Runner;
use crate::api::extract::Held;
use crate::{ApiError, Core};

/// The secrets of a task: nothing, if its pipeline is not trusted.
#[utoipa::path(get, path = "/runner/tasks/{id}/secrets", operation_id = "task_secrets", tag = "runner protocol",
    params(
        ("id" = TaskId, Path, description = "The task."),
        ("outrider-lease" = LeaseToken, Header, description = "Proof that the sender holds the lease."),
    ),
    responses(
        (status = 200, body = TaskSecrets),
        (status = 409, description = "The lease is no longer held, or the task cannot have its secrets: the code says which.", body = ErrorBody),
    ))]
pub async fn handler(
    _: Runner,
    State(core): State<Arc<Core>>,
    Held(by): Held,
) -> Result<([(HeaderName, &'static str); 1], axum::Json<TaskSecrets>), ApiError> {
    let secrets = core.task_secrets(by.task, by.lease).await?;
    Ok(([(CACHE_CONTROL, "no-store")], axum::Json(secrets)))
}
