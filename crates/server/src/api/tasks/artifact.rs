//! `GET /tasks/{id}/artifacts/{path}`

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use outrider_api::ErrorBody;
use outrider_model::TaskId;
use outrider_store::ArtifactContent;

use crate::api::auth::Admin;
use crate::api::content_type::content_type;
use crate::api::extract::Id;
use crate::api::range::{self, Wanted};
use crate::{ApiError, Core};

/// A file that a task stored, or a range of it. Nothing in it can act in the name of whoever looks at
/// it: a browser treats it as if it came from nowhere.
#[utoipa::path(get, path = "/tasks/{id}/artifacts/{*path}", operation_id = "get_artifact", tag = "tasks",
    params(
        ("id" = TaskId, Path, description = "The task."),
        ("path" = String, Path, description = "The artifact's path, slashes included."),
        ("range" = Option<String>, Header, description = "One range of bytes."),
    ),
    responses(
        (status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 304, description = "It is what `If-None-Match` names."),
        (status = 404, body = ErrorBody),
        (status = 416, description = "It has no such bytes.", body = ErrorBody),
    ))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Id((task, path)): Id<(TaskId, String)>,
    mut headers: HeaderMap,
) -> Result<Response, ApiError> {
    let kind = content_type(&path);
    let content = core.artifact(task, path).await?;
    let tag = tag(&content);
    let says = |headers: &HeaderMap, name: HeaderName| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.map(|value| value.split(',').any(|one| one.trim() == tag))
    };
    let fixed = [
        (ETAG, tag.as_str()),
        (CACHE_CONTROL, "private, no-cache"),
        (CONTENT_SECURITY_POLICY, "sandbox"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    if says(&headers, IF_NONE_MATCH) == Some(true) {
        return Ok((StatusCode::NOT_MODIFIED, fixed).into_response());
    }
    // A part of what is there now does not go with parts of what was there before.
    if says(&headers, IF_RANGE) == Some(false) {
        headers.remove(RANGE);
    }
    let wanted = Wanted::new(&headers, content.size)?;
    let download = core.read_blobs(content.parts, wanted.range()).await?;
    Ok((fixed, range::answer(wanted, download, kind)).into_response())
}

/// Names the bytes, whatever the path.
fn tag(content: &ArtifactContent) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in &content.parts {
        hasher.update(&part.object.hash.0);
    }
    format!("\"{}\"", hasher.finalize().to_hex())
}
