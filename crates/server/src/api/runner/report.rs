//! `POST /runner/report`

use std::sync::Arc;

use axum::extract::State;
use outrider_api::runner::{ReportRequest, ReportResponse};

use crate::api::auth::Runner;
use crate::api::extract::Json;
use crate::{ApiError, Core};

/// Takes what happened to tasks: started, steps, short pieces of logs, finished. Each report stands
/// or falls for itself, and each can be repeated safely.
#[utoipa::path(post, path = "/runner/report", operation_id = "report", tag = "runner protocol",
    request_body = ReportRequest, responses((status = 200, body = ReportResponse)))]
pub async fn handler(
    _: Runner,
    State(core): State<Arc<Core>>,
    Json(request): Json<ReportRequest>,
) -> Result<axum::Json<ReportResponse>, ApiError> {
    Ok(axum::Json(ReportResponse {
        answers: core.report(request.reports).await?,
    }))
}
