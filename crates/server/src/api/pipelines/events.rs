//! `GET /pipelines/{id}/events`

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::response::sse::Event as SseEvent;
use outrider_api::pipelines::PipelineEvent;
use outrider_model::PipelineId;
use outrider_store::{Event, EventSeq, EventSubject};

use crate::api::auth::Admin;
use crate::api::extract::Id;
use crate::api::sse::{self, Step};
use crate::{ApiError, Core};

/// How many events are read at once.
const BATCH: u32 = 200;

/// Follows a pipeline: server-sent events `status` whose data is a `PipelineEvent`. The stream ends
/// after the event with which the pipeline ends.
#[utoipa::path(get, path = "/pipelines/{id}/events", operation_id = "follow_pipeline", tag = "pipelines",
    params(
        ("id" = PipelineId, Path, description = "The pipeline."),
        ("last-event-id" = Option<u64>, Header, description = "The last event that is known."),
    ),
    responses((status = 200, content_type = "text/event-stream", body = PipelineEvent)))]
pub async fn handler(
    _: Admin,
    State(core): State<Arc<Core>>,
    Id(id): Id<PipelineId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let after = EventSeq(sse::last_event_id(&headers)?.unwrap_or(0));
    core.store.pipeline(id).await?;
    let state = Following {
        core: Arc::clone(&core),
        id,
        after,
        ready: VecDeque::new(),
        done: false,
    };
    Ok(sse::stream(core, state, Following::step))
}

struct Following {
    core: Arc<Core>,
    id: PipelineId,
    after: EventSeq,
    ready: VecDeque<Event>,
    done: bool,
}

impl Following {
    async fn step(mut self) -> Result<Step<Self>, ApiError> {
        if self.done {
            return Ok(Step::Done);
        }
        if self.ready.is_empty() {
            self.ready = self
                .core
                .next_events(self.id, self.after, BATCH)
                .await?
                .into();
        }
        let Some(event) = self.ready.pop_front() else {
            return Ok(Step::Done);
        };
        self.after = event.seq;
        self.done = event.subject == EventSubject::Pipeline && event.status.outcome().is_some();
        let sent = SseEvent::default()
            .event("status")
            .id(event.seq.0.to_string())
            .json_data(on_the_wire(&event))
            .map_err(|error| ApiError::internal("write an event", &error))?;
        Ok(Step::Event(sent, self))
    }
}

fn on_the_wire(event: &Event) -> PipelineEvent {
    let (job, task) = match event.subject {
        EventSubject::Pipeline => (None, None),
        EventSubject::Job(job) => (Some(job), None),
        EventSubject::Task(job, task) => (Some(job), Some(task)),
    };
    PipelineEvent {
        seq: event.seq.0,
        at: event.at,
        job,
        task,
        status: event.status,
    }
}
