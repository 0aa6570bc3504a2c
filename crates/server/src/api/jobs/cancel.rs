//! `POST /jobs/{id}/cancel`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use outrider_api::ErrorBody;
use outrider_api::pipelines::Canceled;
use outrider_model::JobId;
use outrider_store::CancelTarget;

use crate::api::auth::Admin;
use crate::api::extract::Id;
use crate::{ApiError, Core};

/// Ends a job's tasks that have not started and has those that run stopped. Canceling again changes nothing.
#[utoipa::path(post, path = "/jobs/{id}/cancel", operation_id = "cancel_job", tag = "jobs",
    params(("id" = JobId, Path, description = "The job.")),
    responses((status = 200, body = Canceled), (status = 404, body = ErrorBody)))]
pub async fn handler(
    admin: Admin,
    State(core): State<Arc<Core>>,
    Id(id): Id<JobId>,
) -> Result<Json<Canceled>, ApiError> {
    Ok(Json(core.cancel(CancelTarget::Job(id), &admin.name).await?))
}
