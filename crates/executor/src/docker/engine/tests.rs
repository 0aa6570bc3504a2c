//! Engines of other ages than the one that tests run against.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::Engine;
use crate::{ExecutorError, Fault};

/// Says the same to everybody, and remembers what it was asked.
struct Answerer {
    folder: TempDir,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: AbortOnDropHandle<()>,
}

impl Answerer {
    fn start(answer: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(socket(folder.path())).expect("bound");
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let lines = Arc::clone(&asked);
        let serving = TaskTracker::new().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let line = reply(stream, answer).await;
                lines.lock().expect("no panic").extend(line);
            }
        });
        Self {
            folder,
            asked,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    async fn connect(&self) -> Result<Engine, ExecutorError> {
        let address = format!("unix://{}", socket(self.folder.path()).display());
        Engine::connect(Some(&address), Duration::from_secs(60)).await
    }

    fn last(&self) -> String {
        let asked = self.asked.lock().expect("no panic");
        asked.last().expect("it was asked").clone()
    }
}

fn socket(folder: &Path) -> std::path::PathBuf {
    folder.join("engine.sock")
}

/// Answers one request, and returns its first line.
async fn reply(mut stream: UnixStream, answer: &str) -> Option<String> {
    let mut lines = BufReader::new(&mut stream).lines();
    let first = lines.next_line().await.ok()??;
    while !lines.next_line().await.ok()??.is_empty() {}
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n",
        answer.len()
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(answer.as_bytes()).await.ok()?;
    Some(first)
}

#[tokio::test]
async fn the_newest_version_that_both_know_is_asked_for() {
    let engine = Answerer::start(r#"{"ApiVersion":"1.51","MinAPIVersion":"1.44"}"#);
    assert_eq!(engine.connect().await.expect("connected").api(), "1.51");
    assert_eq!(engine.last(), "GET /v1.51/info HTTP/1.1");
    let newer = Answerer::start(r#"{"ApiVersion":"1.99","MinAPIVersion":"1.44"}"#);
    let ours = newer.connect().await.expect("connected").api();
    assert_eq!(ours, super::shown(bollard::API_DEFAULT_VERSION));
    assert_eq!(newer.last(), format!("GET /v{ours}/info HTTP/1.1"));
}

#[tokio::test]
async fn an_engine_without_a_version_in_common_is_refused() {
    for (answer, trouble, advice) in [
        (
            r#"{"ApiVersion":"1.40","MinAPIVersion":"1.12"}"#,
            "speaks version 1.40 of its API, and 1.41 is needed",
            "install Docker 20.10",
        ),
        (
            r#"{"ApiVersion":"1.99","MinAPIVersion":"1.98"}"#,
            "wants version 1.98 of its API",
            "install a newer Outrider",
        ),
    ] {
        let error = Answerer::start(answer).connect().await.err();
        let error = error.expect("refused");
        assert_eq!(error.fault, Fault::Infrastructure);
        assert!(error.message.contains(trouble), "{error}");
        assert!(error.message.contains(advice), "{error}");
    }
}

#[tokio::test]
async fn only_docker_with_cgroups_of_version_2_may_miss_lack_of_memory() {
    for (answer, may_miss) in [
        (r#"{"ApiVersion":"1.51","CgroupVersion":"2"}"#, true),
        (r#"{"ApiVersion":"1.51","CgroupVersion":"1"}"#, false),
        (r#"{"ApiVersion":"1.51"}"#, false),
        (
            r#"{"ApiVersion":"1.51","CgroupVersion":"2","Components":[{"Name":"Podman Engine","Version":"4"}]}"#,
            false,
        ),
    ] {
        let engine = Answerer::start(answer).connect().await.expect("connected");
        assert_eq!(engine.may_miss_lack_of_memory(), may_miss, "{answer}");
    }
}
