//! `GET /variables`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use outrider_api::ErrorBody;
use outrider_api::secrets::{OwnerQuery, Variable, VariableList};

use super::owner;
use crate::api::auth::Admin;
use crate::api::extract::Params;
use crate::{ApiError, Core};

/// The variables of a project or a context, by name. Their values are never told.
#[utoipa::path(get, path = "/variables", operation_id = "list_variables", tag = "secrets",
    params(OwnerQuery),
    responses((status = 200, body = VariableList), (status = 404, body = ErrorBody)))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Params(query): Params<OwnerQuery>,
) -> Result<Json<VariableList>, ApiError> {
    let records = core.variables(owner(query.project, query.context)?).await?;
    let items = records.into_iter().map(|record| Variable {
        name: record.name,
        created_at: record.created_at,
        updated_at: record.updated_at,
        key_id: record.key_id,
    });
    Ok(Json(VariableList {
        items: items.collect(),
    }))
}
