//! Reading requests, with errors that say what is wrong.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use outrider_api::ErrorCode;
use outrider_api::paths::LEASE_HEADER;
use outrider_model::TaskId;
use outrider_model::secret::LeaseToken;
use outrider_store::HeldLease;
use serde::de::DeserializeOwned;

use crate::ApiError;
use crate::error::chain;

/// A JSON body.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let body = axum::Json::<T>::from_request(request, state).await;
        body.map(|axum::Json(value)| Self(value))
            .map_err(|rejection: JsonRejection| {
                if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                    return ApiError::new(ErrorCode::TooLarge, "the request is larger than 16 MiB");
                }
                ApiError::new(
                    ErrorCode::BadRequest,
                    format!("the body cannot be read: {}", chain(&rejection)),
                )
            })
    }
}

/// The query.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(value)| Self(value))
            .map_err(|rejection: QueryRejection| {
                ApiError::new(
                    ErrorCode::BadRequest,
                    format!("the query cannot be read: {}", chain(&rejection)),
                )
            })
    }
}

/// The id in the path.
pub struct Id<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(value)| Self(value))
            .map_err(|rejection: PathRejection| {
                ApiError::new(
                    ErrorCode::BadRequest,
                    format!("the path has no id: {}", chain(&rejection)),
                )
                .advise("An id looks like 01957f3e-6c1a-7d2e-9c55-0a4f6b1d2e3f.")
            })
    }
}

/// The lease in the header.
pub struct Lease(pub LeaseToken);

impl<S: Send + Sync> FromRequestParts<S> for Lease {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let value = parts
            .headers
            .get(LEASE_HEADER)
            .and_then(|value| value.to_str().ok());
        let lease = value.and_then(|text| text.parse().ok());
        lease.map(Self).ok_or_else(|| {
            ApiError::new(
                ErrorCode::BadRequest,
                format!("the header {LEASE_HEADER} carries no lease"),
            )
        })
    }
}

/// The task in the path, with the lease in the header.
pub struct Held(pub HeldLease);

impl<S: Send + Sync> FromRequestParts<S> for Held {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Id(task) = Id::<TaskId>::from_request_parts(parts, state).await?;
        let Lease(lease) = Lease::from_request_parts(parts, state).await?;
        Ok(Self(HeldLease { task, lease }))
    }
}
