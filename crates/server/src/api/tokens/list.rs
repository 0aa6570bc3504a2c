//! `GET /tokens`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use outrider_api::tokens::TokenList;

use crate::api::auth::Admin;
use crate::api::convert;
use crate::{ApiError, Core};

/// All tokens, the newest first, revoked ones included. No secret is among it.
#[utoipa::path(get, path = "/tokens", operation_id = "list_tokens", tag = "tokens",
    responses((status = 200, body = TokenList)))]
pub async fn handler(_: Admin, State(core): State<Arc<Core>>) -> Result<Json<TokenList>, ApiError> {
    let tokens = core.tokens().await?;
    Ok(Json(TokenList {
        items: tokens.into_iter().map(convert::token).collect(),
    }))
}
