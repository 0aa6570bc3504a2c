//! `GET /contexts`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use outrider_api::secrets::{Context, ContextList};

use crate::api::auth::Admin;
use crate::{ApiError, Core};

/// All contexts, by name.
#[utoipa::path(get, path = "/contexts", operation_id = "list_contexts", tag = "secrets",
    responses((status = 200, body = ContextList)))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
) -> Result<Json<ContextList>, ApiError> {
    let records = core.contexts().await?;
    let items = records.into_iter().map(|record| Context {
        name: record.name,
        variables: record.variables,
        created_at: record.created_at,
    });
    Ok(Json(ContextList {
        items: items.collect(),
    }))
}
