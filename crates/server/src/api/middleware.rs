//! What surrounds every request: its id, its line in the log, its place in the metrics.

use std::sync::Arc;

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use outrider_api::ErrorBody;
use outrider_api::paths::REQUEST_ID_HEADER;
use outrider_model::RequestId;
use tokio::time::Instant;
use tracing::Instrument;

use crate::{ApiError, Core};

/// Gives a request an id, which is in its answer and in all log lines about it.
pub async fn observe(State(core): State<Arc<Core>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::new(core.clock.now(), core.random.as_ref()).to_string();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let span = tracing::info_span!("request", id, method = %request.method(), route);
    let mut response = next.run(request).instrument(span.clone()).await;

    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let body = ErrorBody {
            error: error.into_detail(Some(id.clone())),
        };
        response = (response.status(), Json(body)).into_response();
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID_HEADER, value);
    }
    let status = response.status().as_u16();
    let elapsed = started.elapsed();
    core.metrics
        .observe_request(route, status, elapsed.as_secs_f64());
    span.in_scope(|| tracing::debug!(status, ms = elapsed.as_secs_f64() * 1e3, "answered"));
    response
}
