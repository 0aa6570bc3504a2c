//! `GET /pipelines`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use outrider_api::ErrorCode;
use outrider_api::pipelines::{ListPipelines, PipelineList};
use outrider_store::PipelineFilter;

use crate::api::auth::Admin;
use crate::api::convert;
use crate::api::extract::Params;
use crate::{ApiError, Core};

/// The newest pipelines first.
#[utoipa::path(get, path = "/pipelines", operation_id = "list_pipelines", tag = "pipelines",
    params(ListPipelines), responses((status = 200, body = PipelineList)))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Params(query): Params<ListPipelines>,
) -> Result<Json<PipelineList>, ApiError> {
    let limit = query.limit.unwrap_or(20);
    if !(1..=200).contains(&limit) {
        return Err(ApiError::new(
            ErrorCode::BadRequest,
            "`limit` is a number from 1 to 200",
        ));
    }
    let filter = PipelineFilter {
        project: query.project,
        before: query.before,
        limit,
    };
    let pipelines = core.store.pipelines(filter).await?;
    Ok(Json(PipelineList {
        items: pipelines.into_iter().map(convert::pipeline).collect(),
    }))
}
