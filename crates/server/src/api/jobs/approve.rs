//! `POST /jobs/{id}/approve`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use outrider_api::ErrorBody;
use outrider_api::jobs::JobDetail;
use outrider_model::JobId;

use crate::api::auth::Admin;
use crate::api::convert;
use crate::api::extract::Id;
use crate::{ApiError, Core};

/// Lets an approval job that is on hold pass. Approving it again changes nothing.
#[utoipa::path(post, path = "/jobs/{id}/approve", operation_id = "approve_job", tag = "jobs",
    params(("id" = JobId, Path, description = "The job.")),
    responses((status = 200, description = "The job as it is now.", body = JobDetail),
        (status = 404, body = ErrorBody),
        (status = 409, description = "It is not on hold.", body = ErrorBody)))]
pub async fn handler(
    admin: Admin,
    State(core): State<Arc<Core>>,
    Id(id): Id<JobId>,
) -> Result<Json<JobDetail>, ApiError> {
    core.approve(id, &admin.name).await?;
    Ok(Json(convert::job_detail(core.store.job(id).await?)))
}
