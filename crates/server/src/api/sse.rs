//! Server-sent events (WHATWG HTML, section 9.2): streams that are pulled, so that a reader that
//! stops reading holds up itself and nobody else.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use outrider_api::ErrorCode;

use crate::{ApiError, Core};

/// A comment goes out after this time without an event, so that both ends notice a dead peer.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What a stream sends next.
pub enum Step<S> {
    /// An event, and how to go on.
    Event(Event, S),
    /// Nothing more.
    Done,
}

/// A stream whose events are made one by one, when the reader has taken the one before. It ends
/// when the server does: the reader comes back with `Last-Event-ID`.
pub fn stream<S, F>(
    core: Arc<Core>,
    state: S,
    mut next: impl FnMut(S) -> F + Send + 'static,
) -> Response
where
    S: Send + 'static,
    F: Future<Output = Result<Step<S>, ApiError>> + Send + 'static,
{
    let events = stream::unfold(Some(state), move |state| {
        let pending = state.map(&mut next);
        let core = Arc::clone(&core);
        async move {
            let step = tokio::select! {
                step = pending? => step,
                () = core.shutdown.draining() => return None,
            };
            match step {
                Ok(Step::Event(event, state)) => Some((Ok::<_, axum::Error>(event), Some(state))),
                Ok(Step::Done) => None,
                Err(error) => {
                    tracing::warn!(%error, "a stream ended early");
                    None
                }
            }
        }
    });
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    ([("x-accel-buffering", "no")], sse).into_response()
}

/// Where a reader that comes back wants to go on.
pub fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| {
        ApiError::new(
            ErrorCode::BadRequest,
            "the header Last-Event-ID is not a number",
        )
    })
}
