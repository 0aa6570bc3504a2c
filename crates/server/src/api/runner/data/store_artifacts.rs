//! `POST /runner/tasks/{id}/artifacts`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use outrider_api::ErrorBody;
use outrider_api::data::StoreArtifacts;
use outrider_model::TaskId;
use outrider_model::secret::LeaseToken;

use crate::api::auth::Runner;
use crate::api::extract::{Held, Json};
use crate::{ApiError, Core};

/// Keeps files that people look at. Their blobs are all in the store.
#[utoipa::path(post, path = "/runner/tasks/{id}/artifacts", operation_id = "store_artifacts", tag = "runner protocol",
    params(
        ("id" = TaskId, Path, description = "The task."),
        ("outrider-lease" = LeaseToken, Header, description = "Proof that the sender holds the lease."),
    ),
    request_body = StoreArtifacts,
    responses(
        (status = 204, description = "Done."),
        (status = 409, description = "The lease is no longer held: stop that work.", body = ErrorBody),
    ))]
pub async fn handler(
    _: Runner,
    State(core): State<Arc<Core>>,
    Held(by): Held,
    Json(request): Json<StoreArtifacts>,
) -> Result<StatusCode, ApiError> {
    core.store_artifacts(by, request.artifacts).await?;
    Ok(StatusCode::NO_CONTENT)
}
