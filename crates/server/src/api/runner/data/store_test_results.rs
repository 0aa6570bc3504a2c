//! `POST /runner/tasks/{id}/test-results`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use outrider_api::ErrorBody;
use outrider_api::data::StoreTestResults;
use outrider_model::TaskId;
use outrider_model::secret::LeaseToken;

use crate::api::auth::Runner;
use crate::api::extract::{Held, Json};
use crate::{ApiError, Core};

/// Keeps what a step has read from test reports.
#[utoipa::path(post, path = "/runner/tasks/{id}/test-results", operation_id = "store_test_results", tag = "runner protocol",
    params(
        ("id" = TaskId, Path, description = "The task."),
        ("outrider-lease" = LeaseToken, Header, description = "Proof that the sender holds the lease."),
    ),
    request_body = StoreTestResults,
    responses(
        (status = 204, description = "Done."),
        (status = 409, description = "The lease is no longer held: stop that work.", body = ErrorBody),
    ))]
pub async fn handler(
    _: Runner,
    State(core): State<Arc<Core>>,
    Held(by): Held,
    Json(request): Json<StoreTestResults>,
) -> Result<StatusCode, ApiError> {
    core.store_test_results(by, request).await?;
    Ok(StatusCode::NO_CONTENT)
}
