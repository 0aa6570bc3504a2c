//! `GET /runner/tasks/{id}/workspace`

use std::sync::Arc;

use axum::extract::State;
use outrider_api::ErrorBody;
use outrider_api::data::Workspace;
use outrider_model::TaskId;
use outrider_model::secret::LeaseToken;

use crate::api::auth::Runner;
use crate::api::extract::Held;
use crate::{ApiError, Core};

/// What the jobs before this one have added to the workspace.
#[utoipa::path(get, path = "/runner/tasks/{id}/workspace", operation_id = "workspace", tag = "runner protocol",
    params(
        ("id" = TaskId, Path, description = "The task."),
        ("outrider-lease" = LeaseToken, Header, description = "Proof that the sender holds the lease."),
    ),
    responses(
        (status = 200, body = Workspace),
        (status = 409, description = "The lease is no longer held: stop that work.", body = ErrorBody),
    ))]
pub async fn handler(
    _: Runner,
    State(core): State<Arc<Core>>,
    Held(by): Held,
) -> Result<axum::Json<Workspace>, ApiError> {
    let layers = core.workspace(by).await?;
    Ok(axum::Json(Workspace { layers }))
}
