//! `GET /jobs/{id}/artifacts`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use outrider_api::ErrorBody;
use outrider_api::outputs::ArtifactList;
use outrider_model::JobId;

use crate::api::auth::Admin;
use crate::api::extract::Id;
use crate::{ApiError, Core};

/// The artifacts of a job: of the newest attempt of each of its tasks.
#[utoipa::path(get, path = "/jobs/{id}/artifacts", operation_id = "list_artifacts", tag = "jobs",
    params(("id" = JobId, Path, description = "The job.")),
    responses((status = 200, body = ArtifactList), (status = 404, body = ErrorBody)))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Id(id): Id<JobId>,
) -> Result<Json<ArtifactList>, ApiError> {
    let artifacts = core.artifacts(id).await?;
    Ok(Json(ArtifactList { artifacts }))
}
