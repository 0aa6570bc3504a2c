//! The API on the wire: one file per endpoint, with its documentation and its handler.

mod auth;
mod configs;
mod content_type;
mod contexts;
mod convert;
mod extract;
mod health;
mod jobs;
mod metrics;
mod observed;
mod pipelines;
mod queue;
mod range;
mod runner;
mod runners;
mod secrets;
mod sse;
mod ssh_keys;
mod tasks;
mod tokens;
mod variables;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use axum::{Extension, Json, Router};
use outrider_api::ErrorCode;
use outrider_api::paths::V1;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::observed::Unmatched;
use crate::{ApiError, Core};

pub(crate) use self::observed::Observed;

/// No request body is larger: a config of the largest size, or a piece of a log.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Outrider",
        description = "Pipelines, queue, runners and logs of an Outrider server. Every call but \
                       the health checks and the continuation needs `Authorization: Bearer TOKEN`. \
                       Errors under /api/v1 have one shape: `ErrorBody`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(
        outrider_api::ErrorBody,
        outrider_api::pipelines::PipelineEvent,
        outrider_api::jobs::LogPiece,
        outrider_api::jobs::LogEnd
    )),
    modifiers(&Bearer),
    security(("bearer" = []))
)]
struct Document;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("bearer", scheme);
    }
}

/// All routes, and the OpenAPI document that describes them.
fn versioned() -> (Router<Arc<Core>>, utoipa::openapi::OpenApi) {
    let routes = OpenApiRouter::new()
        .routes(routes!(
            pipelines::list::handler,
            pipelines::submit::handler
        ))
        .routes(routes!(pipelines::show::handler))
        .routes(routes!(pipelines::cancel::handler))
        .routes(routes!(pipelines::events::handler))
        .routes(routes!(jobs::show::handler))
        .routes(routes!(jobs::cancel::handler))
        .routes(routes!(jobs::approve::handler))
        .routes(routes!(jobs::artifacts::handler))
        .routes(routes!(jobs::tests::handler))
        .routes(routes!(tasks::show::handler))
        .routes(routes!(tasks::explain::handler))
        .routes(routes!(tasks::artifact::handler))
        .routes(routes!(tasks::log::handler))
        .routes(routes!(tasks::follow_log::handler))
        .routes(routes!(tokens::list::handler, tokens::create::handler))
        .routes(routes!(tokens::revoke::handler))
        .routes(routes!(runners::list::handler))
        .routes(routes!(runners::drain::handler))
        .routes(routes!(queue::handler))
        .routes(routes!(
            variables::list::handler,
            variables::set::handler,
            variables::delete::handler
        ))
        .routes(routes!(
            contexts::list::handler,
            contexts::create::handler,
            contexts::delete::handler
        ))
        .routes(routes!(
            ssh_keys::list::handler,
            ssh_keys::add::handler,
            ssh_keys::delete::handler
        ))
        .routes(routes!(secrets::keys::handler))
        .routes(routes!(secrets::rotate::handler))
        .routes(routes!(runner::claim::handler))
        .routes(routes!(runner::report::handler))
        .routes(routes!(runner::append_log::handler))
        .routes(routes!(runner::data::announce_blobs::handler))
        .routes(routes!(runner::data::locate_blobs::handler))
        .routes(routes!(runner::data::report_damage::handler))
        .routes(routes!(
            runner::data::put_blob::handler,
            runner::data::get_blob::handler
        ))
        .routes(routes!(runner::data::find_chunks::handler))
        .routes(routes!(runner::data::index_packs::handler))
        .routes(routes!(runner::data::find_cache::handler))
        .routes(routes!(runner::data::save_cache::handler))
        .routes(routes!(runner::data::add_layer::handler))
        .routes(routes!(runner::data::workspace::handler))
        .routes(routes!(runner::data::store_artifacts::handler))
        .routes(routes!(runner::data::store_test_results::handler))
        .routes(routes!(runner::data::timings::handler))
        .routes(routes!(runner::secrets::handler))
        .routes(routes!(runner::heartbeat::handler))
        .routes(routes!(runner::release::handler))
        .routes(routes!(runner::goodbye::handler));
    // What other programs than ours ask lies where they look for it.
    let foreign = OpenApiRouter::new()
        .routes(routes!(configs::compile::handler))
        .routes(routes!(configs::compile_with_defaults::handler))
        .routes(routes!(pipelines::continuation::handler));
    let (router, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .nest(V1, routes)
        .merge(foreign)
        .split_for_parts();
    // OpenAPI has no way to say that a parameter may have slashes.
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths
        .into_iter()
        .map(|(path, item)| (path.replace("{*", "{"), item))
        .collect();
    (router, document)
}

/// The OpenAPI 3.1 document of this version.
pub fn openapi() -> utoipa::openapi::OpenApi {
    versioned().1
}

/// Everything that the server answers to.
pub(crate) fn router(core: Arc<Core>) -> Observed {
    let (versioned, document) = versioned();
    let document = Arc::new(document);
    let router = Router::new()
        .merge(versioned)
        .route(
            &format!("{V1}/openapi.json"),
            get(move || async move { Json((*document).clone()) }),
        )
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::handler))
        .fallback(async || {
            let error = ApiError::new(ErrorCode::NotFound, "there is nothing at this path");
            (
                Extension(Unmatched),
                error.advise("The API is described at /api/v1/openapi.json."),
            )
        })
        .method_not_allowed_fallback(async || {
            ApiError::new(ErrorCode::BadRequest, "this path does not take this method")
                .advise("The API is described at /api/v1/openapi.json.")
        })
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(Arc::clone(&core));
    Observed::new(core, router)
}
