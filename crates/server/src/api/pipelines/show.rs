//! `GET /pipelines/{id}`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use outrider_api::ErrorBody;
use outrider_api::pipelines::PipelineDetail;
use outrider_model::PipelineId;

use crate::api::auth::Admin;
use crate::api::convert;
use crate::api::extract::Id;
use crate::{ApiError, Core};

/// One pipeline with its workflows and jobs.
#[utoipa::path(get, path = "/pipelines/{id}", operation_id = "show_pipeline", tag = "pipelines",
    params(("id" = PipelineId, Path, description = "The pipeline.")),
    responses((status = 200, body = PipelineDetail), (status = 404, body = ErrorBody)))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Id(id): Id<PipelineId>,
) -> Result<Json<PipelineDetail>, ApiError> {
    Ok(Json(convert::pipeline_detail(
        core.store.pipeline(id).await?,
    )))
}
