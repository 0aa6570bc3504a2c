//! An Engine behind a bad connection.
#![expect(
    clippy::disallowed_methods,
    reason = "it ends with the runtime of its test"
)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;

use crate::relay::{Fate, hold, pass};

/// Stands between a client and the socket of an Engine until the test ends. Connections on which a
/// certain request is sent meet their fate, as long as it is in force.
pub struct Proxy {
    folder: TempDir,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    rule: Mutex<Option<Rule>>,
    met: Notify,
}

#[derive(Clone, Copy)]
struct Rule {
    request: &'static str,
    fate: Fate,
}

impl State {
    fn rule(&self) -> MutexGuard<'_, Option<Rule>> {
        self.rule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    /// Starts it in front of the Engine at this address. Everything goes through.
    pub fn start(engine: &str) -> Self {
        let socket = engine.strip_prefix("unix://").expect("a socket");
        let socket = PathBuf::from(socket);
        let folder = tempfile::tempdir().expect("a folder");
        let state = Arc::<State>::default();
        let listener = UnixListener::bind(listens_at(folder.path())).expect("a socket");
        let known = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Where there is no Engine, the client hears of it.
                if let Ok(engine) = UnixStream::connect(&socket).await {
                    tokio::spawn(carry(client, engine, Arc::clone(&known)));
                }
            }
        });
        Self { folder, state }
    }

    /// Where it listens, as `DOCKER_HOST` has it.
    pub fn address(&self) -> String {
        format!("unix://{}", listens_at(self.folder.path()).display())
    }

    /// What becomes of connections on which a request with this text is sent.
    pub fn break_at(&self, request: &'static str, fate: Fate) {
        *self.state.rule() = Some(Rule { request, fate });
    }

    /// Waits until a connection has met its fate.
    pub async fn met(&self) {
        self.state.met.notified().await;
    }

    /// Everything goes through again, except where it has met its fate.
    pub fn heal(&self) {
        *self.state.rule() = None;
    }
}

fn listens_at(folder: &Path) -> PathBuf {
    folder.join("docker.sock")
}

async fn carry(client: UnixStream, engine: UnixStream, state: Arc<State>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_engine, mut to_engine) = engine.into_split();
    let (fate, request) = tokio::select! {
        met = until_met(&mut from_client, &mut to_engine, &state) => met,
        _ = copy(&mut from_engine, &mut to_client) => return,
    };
    let answer = match fate {
        Fate::Hold => {
            state.met.notify_one();
            return hold_both(from_client, from_engine).await;
        }
        Fate::CutRequest(_) => return state.met.notify_one(),
        Fate::CutAnswer(bytes) | Fate::HoldAnswer(bytes) => bytes,
    };
    if to_engine.write_all(&request).await.is_err() {
        return;
    }
    tokio::select! {
        _ = pass(&mut from_client, &mut to_engine, usize::MAX) => return,
        _ = pass(&mut from_engine, &mut to_client, answer) => {}
    }
    state.met.notify_one();
    if matches!(fate, Fate::HoldAnswer(_)) {
        hold_both(from_client, from_engine).await;
    }
}

/// Until the client gives up, or the Engine is gone.
async fn hold_both(client: OwnedReadHalf, engine: OwnedReadHalf) {
    tokio::select! {
        () = hold(client) => {}
        () = hold(engine) => {}
    }
}

/// Passes on what the client sends until it is the request that counts: that is given back.
async fn until_met(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    state: &State,
) -> (Fate, Vec<u8>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..count];
        let rule = *state.rule();
        if let Some(rule) = rule.filter(|rule| says(bytes, rule.request)) {
            return (rule.fate, bytes.to_vec());
        }
        if to.write_all(bytes).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
    // The Engine may still have something to say.
    std::future::pending().await
}

fn says(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}
