//! The tool's side: takes the call where the job makes it.

use std::io;
use std::net::Ipv4Addr;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use outrider_api::continuation::{CONTINUE_PATH, ContinuePipeline, Message};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use super::{Down, Up};
use crate::inside::protocol;

/// The longest call, in bytes. A config is bounded by less.
const LONGEST: usize = 6 << 20;

/// A call, and who waits for its answer.
type Asked = (Box<ContinuePipeline>, oneshot::Sender<Down>);

/// Listens until the runner is gone.
pub async fn run(
    input: impl AsyncRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    protocol::write(&mut output, &Up::Listening { port }, &[]).await?;
    let (ask, asked) = mpsc::channel(1);
    let router = Router::new()
        .route(CONTINUE_PATH, post(take))
        .layer(DefaultBodyLimit::max(LONGEST))
        .with_state(ask);
    tokio::select! {
        served = async { axum::serve(listener, router).await } => served,
        gone = hand_on(asked, input, output) => gone,
    }
}

async fn take(
    State(ask): State<mpsc::Sender<Asked>>,
    request: Result<Json<ContinuePipeline>, JsonRejection>,
) -> (StatusCode, Json<Message>) {
    let answer = match request {
        Ok(Json(request)) => answer_to(request, &ask).await,
        Err(rejection) => Down::new(rejection.status().as_u16(), rejection.body_text()),
    };
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    (status, Json(answer.body))
}

async fn answer_to(request: ContinuePipeline, ask: &mpsc::Sender<Asked>) -> Down {
    let (answer, answered) = oneshot::channel();
    // If nobody takes it, nobody answers.
    let _ = ask.send((Box::new(request), answer)).await;
    let answered = answered.await;
    answered.unwrap_or_else(|_| Down::new(503, "the job's runner does not answer"))
}

/// One call after the other goes to the runner.
async fn hand_on(
    mut asked: mpsc::Receiver<Asked>,
    mut input: impl AsyncRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let gone = || io::Error::from(io::ErrorKind::UnexpectedEof);
    loop {
        let (request, answer) = tokio::select! {
            asked = asked.recv() => asked.ok_or_else(gone)?,
            // Nothing comes that was not asked for: this is the end.
            said = protocol::read::<Down>(&mut input) => return said.map(drop),
        };
        protocol::write(&mut output, &Up::Call(request), &[]).await?;
        let (down, _) = protocol::read(&mut input).await?.ok_or_else(gone)?;
        // Whoever asked may have hung up.
        let _ = answer.send(down);
    }
}
