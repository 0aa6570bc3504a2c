//! `GET /runners`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use outrider_api::runners::{ListRunners, RunnerList};

use crate::api::auth::Admin;
use crate::api::convert;
use crate::api::extract::Params;
use crate::{ApiError, Core};

/// The runners that were heard of, also those that fell silent less than 12 hours ago.
#[utoipa::path(get, path = "/runners", operation_id = "list_runners", tag = "runners",
    params(ListRunners), responses((status = 200, body = RunnerList)))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Params(query): Params<ListRunners>,
) -> Result<Json<RunnerList>, ApiError> {
    let runners = core.store.runners(query.class).await?;
    Ok(Json(RunnerList {
        items: runners.into_iter().map(convert::runner).collect(),
    }))
}
