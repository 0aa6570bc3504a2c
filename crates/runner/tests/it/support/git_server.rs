//! Git's smart HTTP on loopback, by git's own `http-backend`, with faults to inject.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use outrider_service::Tasks;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::watch;

/// Answers longer than this hold a pack; all others are about refs.
const PACK: usize = 20_000;

/// What becomes of packs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    #[default]
    None,
    /// The connection ends in the middle of so many of them.
    Cut(u32),
    /// They stop in the middle until there is another fault.
    Hold,
}

/// Serves the repositories of a folder.
pub struct GitServer {
    address: SocketAddr,
    state: Arc<State>,
    _tasks: Tasks,
}

struct State {
    root: PathBuf,
    /// `user:password` in base64, where it wants one.
    password: Option<String>,
    /// Where it sends everybody instead.
    redirect: Option<String>,
    fault: watch::Sender<Fault>,
    /// How many packs it has begun to send.
    packs: watch::Sender<u32>,
    /// What requests had as `Authorization`.
    authorizations: Mutex<Vec<String>>,
}

impl GitServer {
    pub async fn start(root: PathBuf) -> Self {
        Self::with(root, None, None).await
    }

    pub async fn with(root: PathBuf, password: Option<&str>, redirect: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            root,
            password: password.map(str::to_owned),
            redirect,
            fault: watch::Sender::default(),
            packs: watch::Sender::default(),
            authorizations: Mutex::default(),
        });
        let tasks = Tasks::new();
        let (serving, shared) = (tasks.clone(), Arc::clone(&state));
        tasks.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                serving.spawn(serve(client, Arc::clone(&shared)));
            }
        });
        Self {
            address,
            state,
            _tasks: tasks,
        }
    }

    pub fn url(&self, repository: &str) -> String {
        format!("http://{}/{repository}", self.address)
    }

    pub fn set_fault(&self, fault: Fault) {
        self.state.fault.send_replace(fault);
    }

    pub fn packs(&self) -> u32 {
        *self.state.packs.borrow()
    }

    /// Waits until so many packs have been begun.
    pub async fn sending(&self, packs: u32) {
        let mut begun = self.state.packs.subscribe();
        begun.wait_for(|begun| *begun >= packs).await.unwrap();
    }

    pub fn authorizations(&self) -> Vec<String> {
        self.state.authorizations.lock().unwrap().clone()
    }
}

impl State {
    fn saw(&self, authorization: Option<&String>) {
        let mut seen = self.authorizations.lock().unwrap();
        seen.extend(authorization.cloned());
    }
}

struct Request {
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

async fn serve(client: TcpStream, state: Arc<State>) {
    let mut client = BufReader::new(client);
    let Some(request) = read(&mut client).await else {
        return;
    };
    let _ = answer(client.get_mut(), &request, &state).await;
}

/// One request: git sends no chunks as long as it is small.
async fn read(client: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    client.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        client.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length");
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    client.read_exact(&mut body).await.ok()?;
    Some(Request {
        method,
        target,
        headers,
        body,
    })
}

async fn answer(client: &mut TcpStream, request: &Request, state: &State) -> std::io::Result<()> {
    let authorization = request.headers.get("authorization");
    state.saw(authorization);
    if let Some(to) = &state.redirect {
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}{}\r\n", request.target);
        return client
            .write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())
            .await;
    }
    let wanted = state.password.as_ref().map(|it| format!("Basic {it}"));
    if wanted.is_some() && wanted.as_ref() != authorization {
        let head = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\n";
        return client
            .write_all(format!("{head}Content-Length: 0\r\nConnection: close\r\n\r\n").as_bytes())
            .await;
    }
    let answer = backend(request, state).await?;
    let status = match answer.strip_prefix(b"Status: ") {
        Some(rest) => String::from_utf8_lossy(&rest[..3]).into_owned(),
        None => "200".to_owned(),
    };
    client
        .write_all(format!("HTTP/1.1 {status} X\r\nConnection: close\r\n").as_bytes())
        .await?;
    if answer.len() < PACK {
        return client.write_all(&answer).await;
    }
    send_pack(client, &answer, state).await
}

async fn send_pack(client: &mut TcpStream, answer: &[u8], state: &State) -> std::io::Result<()> {
    let (first, second) = answer.split_at(answer.len() / 2);
    client.write_all(first).await?;
    state.packs.send_modify(|packs| *packs += 1);
    let mut cut = false;
    state.fault.send_if_modified(|fault| match fault {
        Fault::Cut(times) if *times > 0 => {
            *times -= 1;
            cut = true;
            true
        }
        _ => false,
    });
    if cut {
        return Ok(());
    }
    let mut faults = state.fault.subscribe();
    let _ = faults.wait_for(|fault| *fault != Fault::Hold).await;
    client.write_all(second).await
}

/// What git itself answers: headers and a body.
async fn backend(request: &Request, state: &State) -> std::io::Result<Vec<u8>> {
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((&request.target, ""));
    let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
    let mut child = Command::new("git")
        .args(["-c", "safe.directory=*", "http-backend"])
        .env("GIT_PROJECT_ROOT", &state.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", &request.method)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = child.stdin.take().unwrap();
    input.write_all(&request.body).await?;
    drop(input);
    Ok(child.wait_with_output().await?.stdout)
}
