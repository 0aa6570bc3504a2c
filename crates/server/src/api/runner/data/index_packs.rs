//! `POST /runner/tasks/{id}/chunks/index`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use outrider_api::ErrorBody;
use outrider_api::data::IndexPacks;
use outrider_model::TaskId;
use outrider_model::secret::LeaseToken;

use crate::api::auth::Runner;
use crate::api::extract::{Held, Json};
use crate::{ApiError, Core};

/// Says what lies in packs that the task has stored: before a commit that would be too long with
/// all of it. A chunk that is known already stays where it is.
#[utoipa::path(post, path = "/runner/tasks/{id}/chunks/index", operation_id = "index_packs", tag = "runner protocol",
    params(
        ("id" = TaskId, Path, description = "The task."),
        ("outrider-lease" = LeaseToken, Header, description = "Proof that the sender holds the lease."),
    ),
    request_body = IndexPacks,
    responses(
        (status = 204, description = "Done."),
        (status = 409, description = "The lease is no longer held: stop that work.", body = ErrorBody),
    ))]
pub async fn handler(
    _: Runner,
    State(core): State<Arc<Core>>,
    Held(by): Held,
    Json(request): Json<IndexPacks>,
) -> Result<StatusCode, ApiError> {
    core.index_packs(by, request.packs).await?;
    Ok(StatusCode::NO_CONTENT)
}
