//! Errors as the API sends them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of every answer with a status of 400 or above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorDetail {
    /// Stable; for programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// What to do about it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// What is wrong with the config, if that is the matter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
    /// The diagnostics as text, with the lines that they point at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendered: Option<String>,
    /// The orbs that the config uses and that nobody here has: the same call with them may do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_orbs: Vec<String>,
    /// How the server's log names this request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// 400: the request cannot be read.
    BadRequest,
    /// 401: no token, or not a valid one.
    Unauthorized,
    /// 403: the token does not allow this.
    Forbidden,
    /// 404: there is no such thing.
    NotFound,
    /// 409: the lease is no longer held; the runner stops that work at once.
    StaleLease,
    /// 409: it contradicts what is there.
    Conflict,
    /// 409: a task cannot have its secrets; trying again does not help before somebody acts.
    SecretsUnusable,
    /// 413: the request is larger than allowed.
    TooLarge,
    /// 416: the piece of a log does not start where the log ends.
    LogGap,
    /// 416: there are no such bytes.
    BadRange,
    /// 422: the body is not what was announced: send it again.
    WrongBytes,
    /// 422: the config does not compile; see `diagnostics`.
    InvalidConfig,
    /// 500: the server failed; its log knows more under the request's id.
    Internal,
    /// 507: there is no room for data of jobs.
    StorageFull,
    /// 503: the server is starting, stopping, or its disk is full. Try again.
    Unavailable,
}

/// One thing that is wrong with a config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Diagnostic {
    /// `error` or `warning`.
    pub severity: String,
    /// Stable; for programs.
    pub code: String,
    /// For people.
    pub message: String,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}
