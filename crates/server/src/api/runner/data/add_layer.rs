//! `POST /runner/tasks/{id}/layers`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use outrider_api::ErrorBody;
use outrider_api::data::AddLayer;
use outrider_model::TaskId;
use outrider_model::secret::LeaseToken;

use crate::api::auth::Runner;
use crate::api::extract::{Held, Json};
use crate::{ApiError, Core};

/// Adds to the workspace what a step persists. The blobs are all in the store.
#[utoipa::path(post, path = "/runner/tasks/{id}/layers", operation_id = "add_layer", tag = "runner protocol",
    params(
        ("id" = TaskId, Path, description = "The task."),
        ("outrider-lease" = LeaseToken, Header, description = "Proof that the sender holds the lease."),
    ),
    request_body = AddLayer,
    responses(
        (status = 204, description = "Done."),
        (status = 409, description = "The lease is no longer held: stop that work.", body = ErrorBody),
    ))]
pub async fn handler(
    _: Runner,
    State(core): State<Arc<Core>>,
    Held(by): Held,
    Json(request): Json<AddLayer>,
) -> Result<StatusCode, ApiError> {
    core.add_layer(by, request).await?;
    Ok(StatusCode::NO_CONTENT)
}
