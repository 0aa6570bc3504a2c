//! An init, spoken to as the runner does.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_executor::init::{InitClient, Ready, SetUp};
use outrider_executor::{
    Discard, ExecRequest, ExecutorError, Fault, Inside, Output, Tool, ToolRequest,
};
use outrider_model::AttemptId;
use outrider_model::report::Exit;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::Notify;

const OUTRIDER: &str = env!("CARGO_BIN_EXE_outrider");
pub const MIB: usize = 1 << 20;
/// No test takes that long; one that hangs ends.
pub const LONG: Duration = Duration::from_secs(120);

/// An init that is ready for a task.
pub struct Container {
    pub init: Child,
    pub client: Arc<InitClient>,
    pub home: TempDir,
    pub ready: Ready,
    pub attempt: AttemptId,
}

impl Drop for Container {
    /// It is killed where a real one would vanish with all its files.
    fn drop(&mut self) {
        let _ = self.init.start_kill();
        let _ = std::fs::remove_dir_all(format!("/tmp/.outrider-{}", self.attempt));
    }
}

impl Container {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await.expect("is made ready")
    }

    pub async fn start_with(change: impl FnOnce(&mut SetUp)) -> Result<Self, ExecutorError> {
        let home = tempfile::tempdir().expect("a directory");
        let (init, client) = connect().await;
        let mut set_up = set_up(home.path());
        change(&mut set_up);
        let attempt = set_up.attempt;
        let ready = client.set_up(set_up).await?;
        let client = Arc::new(client);
        Ok(Self {
            init,
            client,
            home,
            ready,
            attempt,
        })
    }

    pub fn request(&self, script: &str) -> ExecRequest {
        ExecRequest {
            shell: ["/bin/sh", "-e"].map(str::to_owned).into(),
            script: script.to_owned(),
            environment: self.ready.variables.clone(),
            working_directory: self.ready.working_directory.clone(),
        }
    }

    pub async fn exec(&self, script: &str) -> (Exit, String) {
        let output = Arc::new(Collected::default());
        let ended = self.client.exec(self.request(script), output.clone()).await;
        (ended.expect("is run").exit, output.text())
    }

    pub async fn tool(&self, arguments: &[&str]) -> Tool {
        let request = ToolRequest {
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            environment: BTreeMap::new(),
        };
        let tool = self.client.start_tool(request, Arc::new(Discard)).await;
        tool.expect("is started")
    }
}

pub fn set_up(home: &Path) -> SetUp {
    let random = RandomState::new();
    let mut id = [0; 16];
    id[..8].copy_from_slice(&random.hash_one(1).to_ne_bytes());
    id[8..].copy_from_slice(&random.hash_one(2).to_ne_bytes());
    SetUp {
        attempt: AttemptId::from_bytes(id),
        user: None,
        extra_groups: Vec::new(),
        environment: [("HOME".to_owned(), home.display().to_string())].into(),
        working_directory: "~/project/deep".to_owned(),
        hosts: Vec::new(),
        given: None,
        memory_limit: None,
        tool: vec![OUTRIDER.to_owned()],
    }
}

pub fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// In a namespace of its own where that is possible, as in a container.
pub fn command() -> Command {
    let unshare = ["--pid", "--fork", "--mount-proc", "--kill-child"];
    let mut probe = std::process::Command::new("unshare");
    let probed = probe
        .args(unshare)
        .arg("true")
        .stderr(Stdio::null())
        .status();
    let mut command = if probed.is_ok_and(|status| status.success()) {
        let mut command = Command::new("unshare");
        command.args(unshare).arg(OUTRIDER);
        command
    } else {
        Command::new(OUTRIDER)
    };
    command.arg("task-init").kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

pub async fn connect() -> (Child, InitClient) {
    let mut init = command().spawn().expect("the init starts");
    let (stdin, stdout) = (init.stdin.take(), init.stdout.take());
    let client = InitClient::connect(stdout.expect("piped"), stdin.expect("piped")).await;
    (init, client.expect("the init greets"))
}

/// What a script wrote.
#[derive(Default)]
pub struct Collected {
    bytes: Mutex<Vec<u8>>,
    more: Notify,
}

impl Collected {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    pub async fn until(&self, text: &str) {
        let arrived = async {
            while !self.text().contains(text) {
                self.more.notified().await;
            }
        };
        let arrived = tokio::time::timeout(LONG, arrived).await;
        assert!(
            arrived.is_ok(),
            "`{text}` did not come, only: {}",
            self.text()
        );
    }
}

#[async_trait]
impl Output for Collected {
    async fn write(&self, bytes: Bytes) {
        self.bytes.lock().unwrap().extend_from_slice(&bytes);
        self.more.notify_one();
    }
}

pub fn user_fault<T>(result: Result<T, ExecutorError>) -> String {
    match result {
        Ok(_) => panic!("it should have failed"),
        Err(error) => {
            assert_eq!(error.fault, Fault::User, "{error}");
            error.message
        }
    }
}
