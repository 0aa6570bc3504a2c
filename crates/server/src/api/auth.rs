//! Who is calling, and whether they may.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use outrider_api::ErrorCode;
use outrider_api::paths::LEASE_HEADER;
use outrider_model::ClassName;
use outrider_model::secret::{LeaseToken, Token};

use crate::{ApiError, Core, Identity};

/// Header by which CircleCI's command line sends its token.
const CIRCLE_TOKEN: &str = "circle-token";

/// A caller with an admin token.
pub struct Admin {
    /// The token's nickname: who did it.
    pub name: String,
}

/// A caller with a class token.
pub struct Runner {
    /// The class that it may serve.
    pub class: ClassName,
}

impl FromRequestParts<Arc<Core>> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, core: &Arc<Core>) -> Result<Self, ApiError> {
        match core.identify(&token(parts)?).await? {
            Identity::Admin { name } => Ok(Self { name }),
            Identity::Runner { class } => Err(ApiError::new(
                ErrorCode::Forbidden,
                format!("this is a runner's token for the class {class}: it can only run tasks"),
            )
            .advise("Use an admin token: the file admin-token in the server's data folder.")),
        }
    }
}

impl FromRequestParts<Arc<Core>> for Runner {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, core: &Arc<Core>) -> Result<Self, ApiError> {
        match core.identify(&token(parts)?).await? {
            Identity::Runner { class } => Ok(Self { class }),
            Identity::Admin { .. } => Err(ApiError::new(
                ErrorCode::Forbidden,
                "this is an admin token: a runner needs the token of a class",
            )
            .advise("Make one with `outrider token create --class acme/linux`.")),
        }
    }
}

/// The token of a request: `Authorization: Bearer`, or one of the ways of CircleCI's command line,
/// which are `Circle-Token` and, as curl sends it, `Authorization: Basic` with the token as user.
fn token(parts: &Parts) -> Result<Token, ApiError> {
    let header = |name| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let authorization: Option<&str> = header(AUTHORIZATION.as_str());
    let bearer = authorization.and_then(|value| value.strip_prefix("Bearer "));
    let basic = authorization.and_then(|value| value.strip_prefix("Basic "));
    let token = bearer
        .or_else(|| header(CIRCLE_TOKEN))
        .map(str::to_owned)
        .or_else(|| user(basic?));
    token
        .map(|token| token.trim().to_owned())
        .filter(|token| !token.is_empty())
        .map(Token::presented)
        .ok_or_else(|| {
            ApiError::new(ErrorCode::Unauthorized, "the request carries no token").advise(
                "Send `Authorization: Bearer TOKEN`; the command line reads OUTRIDER_TOKEN.",
            )
        })
}

/// The user in basic credentials.
fn user(credentials: &str) -> Option<String> {
    let decoded = STANDARD.decode(credentials.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    Some(text.split(':').next()?.to_owned())
}

/// The lease of a request about a task.
pub fn lease(headers: &HeaderMap) -> Result<LeaseToken, ApiError> {
    let value = headers
        .get(LEASE_HEADER)
        .and_then(|value| value.to_str().ok());
    value.and_then(|text| text.parse().ok()).ok_or_else(|| {
        ApiError::new(
            ErrorCode::BadRequest,
            format!("the header {LEASE_HEADER} carries no lease"),
        )
    })
}
