//! `POST /api/v2/pipeline/continue`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use outrider_api::continuation::{ContinuePipeline, Message};

use crate::error::chain;
use crate::{ApiError, Core};

/// Adds the workflows of another config to the pipeline that the key is for, once. The key is all
/// that it needs: it carries no token.
#[utoipa::path(post, path = "/api/v2/pipeline/continue", operation_id = "continue_pipeline",
    tag = "pipelines", request_body = ContinuePipeline, security(()),
    responses((status = 200, body = Message),
        (status = 400, description = "The config does not compile, or it is too late.", body = Message),
        (status = 404, description = "The key is unknown.", body = Message)))]
pub async fn handler(
    State(core): State<Arc<Core>>,
    request: Result<Json<ContinuePipeline>, JsonRejection>,
) -> Result<Json<Message>, Refusal> {
    let Json(request) = request?;
    core.continue_pipeline(request).await?;
    Ok(Json(Message {
        message: "Accepted.".to_owned(),
        missing_orbs: Vec::new(),
    }))
}

/// A refusal as CircleCI's API has it: 400 for all that the caller can mend.
pub struct Refusal {
    status: StatusCode,
    body: Message,
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        let status = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        let body = Message {
            message: format!("the body cannot be read: {}", chain(&rejection)),
            missing_orbs: Vec::new(),
        };
        Self { status, body }
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        let status = match error.status() {
            StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            status => status,
        };
        let body = match error.config {
            Some(config) => Message {
                message: format!("{}\n{}", error.message, config.rendered),
                missing_orbs: config.missing_orbs,
            },
            None => Message {
                message: error.message,
                missing_orbs: Vec::new(),
            },
        };
        Self { status, body }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}
