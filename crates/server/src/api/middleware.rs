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
///
/// Not an `async fn`: the future would keep the request beside the future that consumes it, and a
/// waiting claim pays for each byte.
pub fn observe(
    State(core): State<Arc<Core>>,
    request: Request,
    next: Next,
) -> impl Future<Output = Response> + Send {
    let started = Instant::now();
    let id = RequestId::new(core.clock.now(), core.random.as_ref()).to_string();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let name = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let span = tracing::info_span!("request", id, method = %request.method(), route = name);
    let answering = next.run(request).instrument(span.clone());
    async move {
        let response = answering.await;
        let name = route.as_ref().map_or("unmatched", MatchedPath::as_str);
        span.in_scope(|| answered(&core, &id, name, started, response))
    }
}

fn answered(
    core: &Core,
    id: &str,
    route: &str,
    started: Instant,
    mut response: Response,
) -> Response {
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let body = ErrorBody {
            error: error.into_detail(Some(id.to_owned())),
        };
        response = (response.status(), Json(body)).into_response();
    }
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID_HEADER, value);
    }
    let status = response.status().as_u16();
    let elapsed = started.elapsed();
    core.metrics
        .observe_request(route, status, elapsed.as_secs_f64());
    tracing::debug!(status, ms = elapsed.as_secs_f64() * 1e3, "answered");
    response
}
