//! `POST /runner/tasks/{id}/blobs/damaged`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use outrider_api::ErrorBody;
use outrider_api::data::ReportDamage;
use outrider_model::TaskId;
use outrider_model::secret::LeaseToken;

use crate::api::auth::Runner;
use crate::api::extract::{Held, Json};
use crate::{ApiError, Core};

/// A blob is not what its name says. The server looks for itself, and drops what is wrong.
#[utoipa::path(post, path = "/runner/tasks/{id}/blobs/damaged", operation_id = "report_damage", tag = "runner protocol",
    params(
        ("id" = TaskId, Path, description = "The task."),
        ("outrider-lease" = LeaseToken, Header, description = "Proof that the sender holds the lease."),
    ),
    request_body = ReportDamage,
    responses(
        (status = 204, description = "Done."),
        (status = 409, description = "The lease is no longer held: stop that work.", body = ErrorBody),
    ))]
pub async fn handler(
    _: Runner,
    State(core): State<Arc<Core>>,
    Held(by): Held,
    Json(request): Json<ReportDamage>,
) -> Result<StatusCode, ApiError> {
    core.report_damage(by, request.hash).await?;
    Ok(StatusCode::NO_CONTENT)
}
