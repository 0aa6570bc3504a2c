//! What surrounds every request: its id, its line in the log, its place in the metrics.
//!
//! It stands between hyper and the router, not in a layer of the router: a layer's boxes would be
//! part of every claim that waits.

use std::convert::Infallible;
use std::sync::Arc;

use axum::http::{HeaderValue, Request};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use hyper::body::Incoming;
use outrider_api::ErrorBody;
use outrider_api::paths::REQUEST_ID_HEADER;
use outrider_model::{BlobHash, RequestId};
use tokio::time::Instant;
use tower_service::Service;
use tracing::Instrument;

use crate::{ApiError, Core};

/// Marks the answer to a request for which there is no route.
#[derive(Clone, Copy, Debug)]
pub struct Unmatched;

/// All routes, and what surrounds their requests.
#[derive(Clone)]
pub struct Observed {
    core: Arc<Core>,
    router: Router,
}

impl Observed {
    /// Surrounds these routes.
    pub const fn new(core: Arc<Core>, router: Router) -> Self {
        Self { core, router }
    }

    /// Gives a request an id, which is in its answer and in all log lines about it, and answers it.
    pub fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response, Infallible>> + Send + use<> {
        let core = Arc::clone(&self.core);
        let started = Instant::now();
        let id = RequestId::new(core.clock.now(), core.random.as_ref());
        let route = route(request.uri().path());
        let span = tracing::info_span!("request", %id, method = %request.method(), route);
        let answering = self.router.clone().call(request).instrument(span.clone());
        async move {
            let response = answering.await?;
            Ok(span.in_scope(|| answered(&core, id, &route, started, response)))
        }
    }
}

fn answered(
    core: &Core,
    id: RequestId,
    route: &str,
    started: Instant,
    mut response: Response,
) -> Response {
    let id = id.to_string();
    let unmatched = response.extensions_mut().remove::<Unmatched>().is_some();
    let route = if unmatched { "unmatched" } else { route };
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let error = error.into_detail(Some(id.clone()));
        response = (response.status(), Json(ErrorBody { error })).into_response();
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID_HEADER, value);
    }
    let status = response.status().as_u16();
    let elapsed = started.elapsed();
    core.metrics
        .observe_request(route, status, elapsed.as_secs_f64());
    tracing::debug!(status, ms = elapsed.as_secs_f64() * 1e3, "answered");
    response
}

/// The path with `{id}` for each id in it, and likewise: few different ones, so that metrics stay
/// few.
fn route(path: &str) -> String {
    let is_id = |part: &str| part.len() == 36 && part.bytes().filter(|c| *c == b'-').count() == 4;
    let is_hash = |part: &str| part.parse::<BlobHash>().is_ok();
    let (path, file) = match path.split_once(ARTIFACT) {
        Some((task, _)) if path.contains("/tasks/") => (task, "/artifacts/{path}"),
        _ => (path, ""),
    };
    let parts = path.split('/').map(|part| match part {
        id if is_id(id) => "{id}",
        hash if is_hash(hash) => "{hash}",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/") + file
}

/// Behind this stands the path of an artifact.
const ARTIFACT: &str = "/artifacts/";

#[cfg(test)]
mod tests {
    #[test]
    fn ids_do_not_make_routes() {
        let path = "/api/v1/tasks/01957f3e-6c1a-7d2e-9c55-0a4f6b1d2e3f/log";
        assert_eq!(super::route(path), "/api/v1/tasks/{id}/log");
        let blob = format!("/api/v1/runner/tasks/x/blobs/{}", "0f".repeat(32));
        assert_eq!(super::route(&blob), "/api/v1/runner/tasks/x/blobs/{hash}");
        let artifact = "/api/v1/tasks/01957f3e-6c1a-7d2e-9c55-0a4f6b1d2e3f/artifacts/a/b.html";
        let route = "/api/v1/tasks/{id}/artifacts/{path}";
        assert_eq!(super::route(artifact), route);
        assert_eq!(super::route("/healthz"), "/healthz");
    }
}
