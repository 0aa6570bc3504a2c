//! `GET /metrics`, for Prometheus. It needs no token: it names classes and counts, nothing else.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use crate::{ApiError, Core};

/// All metrics in the OpenMetrics text format.
pub async fn handler(State(core): State<Arc<Core>>) -> Result<impl IntoResponse, ApiError> {
    let text = core.render_metrics().await?;
    Ok((
        [(
            CONTENT_TYPE,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )],
        text,
    ))
}
