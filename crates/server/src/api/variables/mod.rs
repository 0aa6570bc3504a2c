//! Variables of projects and contexts.

pub mod delete;
pub mod list;
pub mod set;

use outrider_store::SecretOwner;

use crate::ApiError;
use outrider_api::ErrorCode;

/// Whose variables a query is about.
fn owner(project: Option<String>, context: Option<String>) -> Result<SecretOwner, ApiError> {
    match (project, context) {
        (Some(project), None) => Ok(SecretOwner::Project(project)),
        (None, Some(context)) => Ok(SecretOwner::Context(context)),
        _ => Err(ApiError::new(
            ErrorCode::BadRequest,
            "the query names one project or one context",
        )
        .advise("Ask for ?project=acme/shop or ?context=deploy.")),
    }
}
