//! `GET /jobs/{id}`

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

/// One job with its tasks.
#[utoipa::path(get, path = "/jobs/{id}", operation_id = "show_job", tag = "jobs",
    params(("id" = JobId, Path, description = "The job.")),
    responses((status = 200, body = JobDetail), (status = 404, body = ErrorBody)))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Id(id): Id<JobId>,
) -> Result<Json<JobDetail>, ApiError> {
    Ok(Json(convert::job_detail(core.store.job(id).await?)))
}
