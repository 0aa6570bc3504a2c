//! `GET /jobs/{id}/tests`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use outrider_api::ErrorBody;
use outrider_api::outputs::{JobTests, TestsQuery};
use outrider_model::JobId;

use crate::api::auth::Admin;
use crate::api::extract::{Id, Params};
use crate::{ApiError, Core};

/// The tests of a job, as its tasks reported them.
#[utoipa::path(get, path = "/jobs/{id}/tests", operation_id = "list_tests", tag = "jobs",
    params(("id" = JobId, Path, description = "The job."), TestsQuery),
    responses((status = 200, body = JobTests), (status = 404, body = ErrorBody)))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Id(id): Id<JobId>,
    Params(query): Params<TestsQuery>,
) -> Result<Json<JobTests>, ApiError> {
    Ok(Json(core.tests(id, &query).await?))
}
