//! Errors as callers see them. What the store or the disk said stays in the server's log.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use outrider_api::error::{Diagnostic, ErrorBody, ErrorCode, ErrorDetail};
use outrider_blobs::{BadBody, BlobsError, Trouble};
use outrider_model::IllegalTransition;
use outrider_store::StoreError;

/// Why a call was refused.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// What to do about it.
    pub advice: Option<String>,
    /// What is wrong with the config, if that is the matter.
    pub config: Option<Box<InvalidConfig>>,
}

/// What is wrong with a config.
#[derive(Clone, Debug, Default)]
pub struct InvalidConfig {
    /// Each thing.
    pub diagnostics: Vec<Diagnostic>,
    /// The same as text.
    pub rendered: String,
    /// The orbs that it uses and that nobody here has.
    pub missing_orbs: Vec<String>,
}

impl ApiError {
    /// An error with a code and a message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            advice: None,
            config: None,
        }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// The server failed: the log gets the cause, the caller an apology.
    pub fn internal(action: &str, cause: &dyn std::error::Error) -> Self {
        tracing::error!(error = chain(cause), "could not {action}");
        Self::new(
            ErrorCode::Internal,
            format!("the server could not {action}"),
        )
        .advise("The server's log says why, under the id of this request.")
    }

    /// The HTTP status.
    pub const fn status(&self) -> StatusCode {
        match self.code {
            ErrorCode::BadRequest => StatusCode::BAD_REQUEST,
            ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
            ErrorCode::Forbidden => StatusCode::FORBIDDEN,
            ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::StaleLease | ErrorCode::Conflict | ErrorCode::SecretsUnusable => {
                StatusCode::CONFLICT
            }
            ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::LogGap | ErrorCode::BadRange => StatusCode::RANGE_NOT_SATISFIABLE,
            ErrorCode::InvalidConfig | ErrorCode::WrongBytes => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        }
    }

    /// As it goes over the wire.
    pub fn into_detail(self, request_id: Option<String>) -> ErrorDetail {
        let config = self.config.map(|config| *config);
        let rendered = config.as_ref().map(|config| config.rendered.clone());
        let InvalidConfig {
            diagnostics,
            missing_orbs,
            ..
        } = config.unwrap_or_default();
        ErrorDetail {
            code: self.code,
            message: self.message,
            advice: self.advice,
            diagnostics,
            rendered,
            missing_orbs,
            request_id,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (
            status,
            Json(ErrorBody {
                error: self.clone().into_detail(None),
            }),
        )
            .into_response();
        // The middleware knows the request's id and writes the body again with it.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { kind: "token", .. } => {
                Self::new(ErrorCode::NotFound, error.to_string())
                    .advise("Check the id; `outrider token list` shows what there is.")
            }
            StoreError::NotFound {
                kind: "context", ..
            } => Self::new(ErrorCode::NotFound, error.to_string()).advise(
                "Make it with `outrider context create`; `outrider context list` shows what there is.",
            ),
            StoreError::NotFound {
                kind: "variable" | "SSH key",
                ..
            } => Self::new(ErrorCode::NotFound, error.to_string())
                .advise("Check the name; the `list` beside this command shows what there is."),
            StoreError::NotFound { .. } => Self::new(ErrorCode::NotFound, error.to_string())
                .advise("Check the id; `outrider pipeline list` shows what there is."),
            StoreError::Illegal(
                IllegalTransition::StaleLease { .. } | IllegalTransition::AlreadyFinished(_),
            ) => Self::new(ErrorCode::StaleLease, error.to_string()),
            StoreError::Illegal(_) | StoreError::Conflict(_) => {
                Self::new(ErrorCode::Conflict, error.to_string())
            }
            StoreError::DiskFull => {
                tracing::error!("the disk under the store is full: make room in the data folder");
                Self::new(ErrorCode::Unavailable, "the server's disk is full").advise(
                    "Make room in the server's data folder. Runners try again by themselves.",
                )
            }
            error => Self::internal("reach its store", &error),
        }
    }
}

impl From<BlobsError> for ApiError {
    fn from(error: BlobsError) -> Self {
        let message = error.to_string();
        match error {
            BlobsError::Missing(_) | BlobsError::OutOfRange(_) => {
                Self::new(ErrorCode::NotFound, message)
            }
            BlobsError::Body(BadBody::TooLarge(_)) => Self::new(ErrorCode::TooLarge, message),
            BlobsError::Body(BadBody::BrokeOff(_)) => Self::new(ErrorCode::BadRequest, message),
            BlobsError::Body(_) => Self::new(ErrorCode::WrongBytes, message)
                .advise("Nothing was stored: send it again."),
            BlobsError::Store(cause) => {
                let code = match cause.trouble {
                    Trouble::Full => ErrorCode::StorageFull,
                    _ => ErrorCode::Unavailable,
                };
                let advice = cause.trouble.advice();
                tracing::error!(
                    error = chain(&cause),
                    advice,
                    "the blob store does not work"
                );
                Self::new(code, message).advise(format!(
                    "For whoever runs the server: {advice}. Runners try again by themselves."
                ))
            }
        }
    }
}

/// An error and its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
