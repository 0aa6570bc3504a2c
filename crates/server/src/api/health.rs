//! Health checks. They need no token and tell nothing but health.

use std::sync::Arc;

use axum::extract::State;
use outrider_api::ErrorCode;

use crate::{ApiError, Core};

/// `GET /healthz`: the process answers.
pub async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: it takes work: it is not ending, and its store can write.
pub async fn ready(State(core): State<Arc<Core>>) -> Result<&'static str, ApiError> {
    if core.shutdown.is_draining() {
        return Err(ApiError::new(
            ErrorCode::Unavailable,
            "the server is ending",
        ));
    }
    core.store.ready().await?;
    Ok("ok\n")
}
