//! The runner's side: starts the tool, and makes the calls that it asks for.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt, try_unfold};
use outrider_api::client::ClientError;
use outrider_api::runner::HeldLease;
use outrider_api::{ErrorCode, ErrorDetail};
use outrider_executor::{BoxFuture, ExecResult, ExecutorError, Inside, Output, Tool, ToolRequest};
use outrider_model::BlobHash;
use outrider_model::plan::Step;
use outrider_model::report::Exit;
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;

use super::VERB;
use super::allowed::is_allowed;
use super::protocol::{self, Call, CallError, Down, Order, Up, nonsense};
use super::transfers::Transfers;
use crate::DataApi;
use crate::attempt::{StepContext, ended_as, failure};
use crate::data::{DataTask, Places};
use crate::driver::Failure;

/// So many calls are made at once, each with a blob at most.
const AT_ONCE: usize = 8;
/// How long a tool that was told to stop has to end in order, and one that says it is done to end.
const GRACE: Duration = Duration::from_secs(5);

/// How a step ended.
type Ended = Result<ExecResult, Failure>;

/// Runs a step that moves data in an environment.
pub async fn run(context: &StepContext, inside: &dyn Inside, step: &Step) -> Ended {
    let request = ToolRequest {
        arguments: vec![VERB.to_owned()],
        environment: BTreeMap::new(),
    };
    let started = inside.start_tool(request, Arc::clone(&context.output) as _);
    let tool = started.await.map_err(|error| failure(&error))?;
    let Tool {
        stdin,
        stdout,
        ended,
    } = tool;
    let session = Session {
        context,
        step,
        api: Arc::clone(&context.workshop.data),
        by: HeldLease {
            task: context.task.task,
            lease: context.task.lease,
        },
        downloads: Transfers::default(),
        uploads: Transfers::default(),
        writer: Mutex::new(stdin),
    };
    tokio::select! {
        said = session.serve(stdout) => {
            // Its input ends, and so does the tool.
            drop(session);
            closing(context, said, ended).await
        }
        () = session.stop() => Ok(ended_as(Exit::Signal(15), None)),
    }
}

/// How a step ended whose tool says this, or nothing.
pub(crate) async fn closing(
    context: &StepContext,
    said: io::Result<Option<Result<Exit, String>>>,
    ended: BoxFuture<Result<ExecResult, ExecutorError>>,
) -> Ended {
    let gone = tokio::time::timeout(GRACE, ended).await.ok();
    let usage = match &gone {
        Some(Ok(result)) => result.usage,
        _ => None,
    };
    let problem = match (said, gone) {
        (Ok(Some(Ok(exit))), _) => return Ok(ended_as(exit, usage)),
        (Ok(Some(Err(text))), _) => return Err(Failure::Infrastructure(text)),
        _ if context.stop.is_cancelled() => return Ok(ended_as(Exit::Signal(15), usage)),
        (_, Some(Err(error))) => return Err(failure(&error)),
        (_, Some(Ok(result))) if result.out_of_memory.is_some() => return Ok(result),
        (Ok(None), Some(Ok(result))) => match result.exit {
            Exit::Code(code) => format!("the step was ended from inside, with code {code}"),
            Exit::Signal(signal) => format!("the step was ended from inside, by signal {signal}"),
        },
        (Ok(None), None) => "the step was cut off from inside".to_owned(),
        (Err(error), _) => format!("the step was disturbed from inside: {error}"),
    };
    context.say(&problem).await;
    Ok(ended_as(Exit::Code(1), usage))
}

/// A tool at work.
struct Session<'a> {
    context: &'a StepContext,
    step: &'a Step,
    api: Arc<dyn DataApi>,
    by: HeldLease,
    downloads: Transfers,
    uploads: Transfers,
    writer: Mutex<Box<dyn AsyncWrite + Send + Unpin>>,
}

impl Session<'_> {
    /// Answers until the tool says how the step ended. Nothing if it is gone before.
    async fn serve(
        &self,
        stdout: Box<dyn AsyncRead + Send + Unpin>,
    ) -> io::Result<Option<Result<Exit, String>>> {
        let start = Down::Start(Box::new(self.order()));
        self.send(&start, &[]).await?;
        let frames = try_unfold(stdout, async |mut stdout| {
            let frame = protocol::read(&mut stdout).await?;
            io::Result::Ok(frame.map(|frame| (frame, stdout)))
        });
        let mut frames = std::pin::pin!(frames);
        let mut calls = FuturesUnordered::new();
        loop {
            let frame = tokio::select! {
                Some(answered) = calls.next() => {
                    let () = answered?;
                    continue;
                }
                frame = frames.next(), if calls.len() < AT_ONCE => frame.transpose()?,
            };
            match frame {
                None => return Ok(None),
                Some((Up::Ended(ended), _)) => return Ok(Some(ended)),
                Some((Up::Say, text)) => self.context.output.write(text).await,
                Some((Up::Call { call, request }, body)) => {
                    if !is_allowed(self.step, self.context.step, &request) {
                        return Err(nonsense("a call that is not of this step"));
                    }
                    calls.push(self.answer(call, *request, body));
                }
            }
        }
    }

    /// Returns when a step that was told to stop has not ended.
    async fn stop(&self) {
        self.context.stop.cancelled().await;
        let _ = tokio::time::timeout(GRACE, self.send(&Down::Stop, &[])).await;
        tokio::time::sleep(GRACE).await;
    }

    fn order(&self) -> Order {
        let context = self.context;
        let task = DataTask::of(context, Places::inside(context));
        // The job has these already. What the runner masks besides is not for it.
        let settings = &context.workshop.settings;
        let own = settings.secrets.iter().map(|secret| secret.reveal());
        let own = own.filter(|own| task.variables.values().any(|value| value == own));
        let key = context.task.continuation_key.iter().map(|key| key.reveal());
        let given = context.secrets.variables.iter();
        let given = given.map(|variable| variable.value.as_str());
        let masked = own.chain(key).chain(given).map(str::to_owned).collect();
        Order {
            task,
            step: self.step.clone(),
            masked,
        }
    }

    async fn answer(&self, call: u64, request: Call, body: Bytes) -> io::Result<()> {
        let (answer, body) = match self.perform(request, body).await {
            Ok((answer, body)) => (Ok(answer), body),
            Err(error) => (Err(CallError::from(error)), Bytes::new()),
        };
        self.send(&Down::Answer { call, answer }, &body).await
    }

    async fn perform(&self, call: Call, body: Bytes) -> Result<(Value, Bytes), ClientError> {
        let (api, by) = (&*self.api, self.by);
        match call {
            Call::AnnounceBlobs(request) => {
                let mut answer = api.announce_blobs(by, &request).await?;
                let blobs = request.blobs.iter().map(|blob| blob.hash);
                self.uploads.keep(blobs, &mut answer.uploads);
                json(&answer)
            }
            Call::LocateBlobs(request) => {
                let mut answer = api.locate_blobs(by, &request).await?;
                self.downloads.keep(request.hashes, &mut answer.downloads);
                json(&answer)
            }
            Call::PutBlob(blob) => {
                if body.len() as u64 != blob.size || hash(&body) != blob.hash {
                    return Err(refused(400, "these are not the bytes of this blob"));
                }
                let to = self.uploads.get(blob.hash).ok_or_else(unknown)?;
                json(&api.put_blob(by, blob, &to, body).await?)
            }
            Call::GetBlob(blob, range) => {
                let from = self.downloads.get(blob).ok_or_else(unknown)?;
                let bytes = api.get_blob(by, blob, &from, range).await?;
                Ok((Value::Null, bytes))
            }
            Call::ReportDamage(request) => json(&api.report_damage(by, &request).await?),
            Call::FindChunks(request) => json(&api.find_chunks(by, &request).await?),
            Call::IndexPacks(request) => json(&api.index_packs(by, &request).await?),
            Call::FindCache(request) => json(&api.find_cache(by, &request).await?),
            Call::SaveCache(request) => json(&api.save_cache(by, &request).await?),
            Call::AddLayer(request) => json(&api.add_layer(by, &request).await?),
            Call::Workspace => json(&api.workspace(by).await?),
            Call::StoreArtifacts(request) => json(&api.store_artifacts(by, &request).await?),
            Call::StoreTestResults(request) => json(&api.store_test_results(by, &request).await?),
        }
    }

    async fn send(&self, down: &Down, body: &[u8]) -> io::Result<()> {
        let mut writer = self.writer.lock().await;
        protocol::write(&mut *writer, down, body).await
    }
}

fn hash(bytes: &[u8]) -> BlobHash {
    BlobHash(*blake3::hash(bytes).as_bytes())
}

fn json(answer: &impl Serialize) -> Result<(Value, Bytes), ClientError> {
    let answer = serde_json::to_value(answer).map_err(|error| refused(500, &error.to_string()))?;
    Ok((answer, Bytes::new()))
}

/// As if its URL had ended: it is asked for again.
fn unknown() -> ClientError {
    refused(403, "nothing is known of this blob")
}

fn refused(status: u16, message: &str) -> ClientError {
    ClientError::Refused {
        status,
        detail: Box::new(ErrorDetail {
            code: ErrorCode::Forbidden,
            message: message.to_owned(),
            advice: None,
            diagnostics: Vec::new(),
            rendered: None,
            missing_orbs: Vec::new(),
            request_id: None,
        }),
    }
}
