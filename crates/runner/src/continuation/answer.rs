//! The runner's side: makes the call for the job.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use outrider_api::client::ClientError;
use outrider_api::continuation::{ContinuePipeline, Message};
use outrider_executor::{ExecutorError, Inside, Output, Tool, ToolRequest};
use outrider_model::secret::ContinuationKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::{Down, Up, VERB};
use crate::ServerApi;
use crate::backoff::chain;
use crate::inside::protocol;

/// How long the tool may take to listen.
const START: Duration = Duration::from_secs(60);

/// The way of one job to the server.
pub struct Continuation {
    /// The server, as the job sees it.
    pub url: String,
    /// To be polled as long as the job may call. Dropping it ends the tool.
    pub answering: BoxFuture<'static, ()>,
}

impl Continuation {
    /// Opens it in an environment whose job has this key.
    pub async fn open(
        inside: &dyn Inside,
        api: Arc<dyn ServerApi>,
        key: ContinuationKey,
        complaints: Arc<dyn Output>,
    ) -> Result<Self, ExecutorError> {
        let request = ToolRequest {
            arguments: vec![VERB.to_owned()],
            environment: BTreeMap::new(),
        };
        let Tool {
            stdin,
            mut stdout,
            ended,
        } = inside.start_tool(request, complaints).await?;
        let listening = timeout(START, protocol::read(&mut stdout)).await;
        let Ok(Ok(Some((Up::Listening { port }, _)))) = listening else {
            let message = "nothing could listen in the container for the call that continues the \
                           pipeline";
            return Err(ExecutorError::infrastructure(message, None));
        };
        let answering = async move {
            tokio::select! {
                answered = answer(&*api, &key, stdout, stdin) => if let Err(error) = answered {
                    tracing::warn!("jobs cannot continue their pipeline any more: {error}");
                },
                _ = ended => {}
            }
        };
        Ok(Self {
            url: format!("http://127.0.0.1:{port}"),
            answering: answering.boxed(),
        })
    }
}

/// Answers until the tool is gone.
async fn answer(
    api: &dyn ServerApi,
    key: &ContinuationKey,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    while let Some((up, _)) = protocol::read(&mut from).await? {
        let Up::Call(request) = up else {
            return Err(protocol::nonsense("it listens twice"));
        };
        let down = call(api, key, &request).await;
        protocol::write(&mut to, &down, &[]).await?;
    }
    Ok(())
}

async fn call(api: &dyn ServerApi, key: &ContinuationKey, request: &ContinuePipeline) -> Down {
    if request.continuation_key.reveal() != key.reveal() {
        return Down::new(404, "this is not the continuation key of this job");
    }
    match api.continue_pipeline(request).await {
        Ok(body) => Down { status: 200, body },
        Err(ClientError::Refused { status, detail }) => Down {
            status,
            body: Message {
                message: detail.message,
                missing_orbs: detail.missing_orbs,
            },
        },
        Err(error) => Down::new(503, chain(&error)),
    }
}
