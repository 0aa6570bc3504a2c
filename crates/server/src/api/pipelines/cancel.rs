//! `POST /pipelines/{id}/cancel`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use outrider_api::ErrorBody;
use outrider_api::pipelines::Canceled;
use outrider_model::PipelineId;
use outrider_store::CancelTarget;

use crate::api::auth::Admin;
use crate::api::extract::Id;
use crate::{ApiError, Core};

/// Ends what has not started and has what runs stopped. Canceling again changes nothing.
#[utoipa::path(post, path = "/pipelines/{id}/cancel", operation_id = "cancel_pipeline", tag = "pipelines",
    params(("id" = PipelineId, Path, description = "The pipeline.")),
    responses((status = 200, body = Canceled), (status = 404, body = ErrorBody)))]
pub async fn handler(
    admin: Admin,
    State(core): State<Arc<Core>>,
    Id(id): Id<PipelineId>,
) -> Result<Json<Canceled>, ApiError> {
    Ok(Json(
        core.cancel(CancelTarget::Pipeline(id), &admin.name).await?,
    ))
}
