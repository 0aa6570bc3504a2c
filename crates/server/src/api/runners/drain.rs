//! `POST /runners/{id}/drain`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use outrider_model::RunnerId;

use crate::api::auth::Admin;
use crate::api::extract::Id;
use crate::{ApiError, Core};

/// The runner gets no more work, finishes what it has, and ends.
#[utoipa::path(post, path = "/runners/{id}/drain", operation_id = "drain_runner", tag = "runners",
    params(("id" = RunnerId, Path, description = "The runner.")), responses((status = 204)))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Id(id): Id<RunnerId>,
) -> Result<StatusCode, ApiError> {
    core.drain_runner(id);
    Ok(StatusCode::NO_CONTENT)
}
