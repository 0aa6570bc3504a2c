//! Whole systems for tests: the real binary as server and runners, on loopback, with their data in
//! a folder that goes away. Whatever a test leaves behind is killed when its world is dropped.

pub mod small_disk;

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use outrider_api::client::{Client, ClientError, ClientSettings};
use outrider_api::jobs::{LogQuery, TaskDetail};
use outrider_api::pipelines::{Job, PipelineDetail, SubmitPipeline};
use outrider_api::tokens::{CreateToken, TokenScope};
use outrider_model::report::LogHash;
use outrider_model::secret::Token;
use outrider_model::{Outcome, PipelineId, Status, TaskId};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

/// How long anything may take before a test gives up on it. Generous: machines are loaded.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// How often a test looks again.
const POLL: Duration = Duration::from_millis(25);

/// The binary under test.
pub const OUTRIDER: &str = env!("CARGO_BIN_EXE_outrider");

/// Waits until `look` finds something.
pub async fn wait_for<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long: {what}");
        sleep(POLL).await;
    }
}

/// A process of the binary under test. Killed when it is dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    fn start(mut command: Command, log: PathBuf) -> Self {
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        let child = command.spawn().unwrap();
        Self { child, log }
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// `kill -9`, and waits for its end.
    pub fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> ExitStatus {
        wait_for("the end of a process", async || self.ended()).await
    }

    /// Waits until something has killed it.
    pub async fn wait_killed(&mut self) {
        let status = self.wait().await;
        assert_eq!(status.signal(), Some(9), "{status}\n{}", self.output());
    }

    /// What it wrote so far.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its resident memory in MB.
    pub fn resident_mb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- {}\n{}", self.log.display(), self.output());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder with the data of one server and its runners, and how to reach them.
pub struct World {
    folder: tempfile::TempDir,
    port: u16,
    /// Calls the server as its administrator. There is none before the first start.
    admin: Option<Client>,
}

impl World {
    /// Nothing runs yet.
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            port: free_port(),
            admin: None,
        }
    }

    /// A file or folder of this world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What is in a file, or nothing.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// The server's URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Calls the server as its administrator.
    pub fn admin(&self) -> &Client {
        self.admin.as_ref().expect("a server was started")
    }

    /// Calls the server with another token.
    pub fn client(&self, token: &str) -> Client {
        let token = Token::presented(token);
        Client::new(&ClientSettings {
            url: self.url(),
            token,
            ca_certificates: None,
        })
        .unwrap()
    }

    /// Starts the server, always on the same port and data, and waits until it answers.
    pub async fn start_server(&mut self, arguments: &[&str]) -> Process {
        self.start_server_with(arguments, &BTreeMap::new()).await
    }

    /// The same, with these variables in its environment.
    pub async fn start_server_with(
        &mut self,
        arguments: &[&str],
        environment: &BTreeMap<String, String>,
    ) -> Process {
        let data = self.path("server");
        let mut command = outrider();
        command
            .args(["server", "--listen", &self.address().to_string(), "--data"])
            .arg(&data)
            .args(arguments)
            .envs(environment);
        let mut process = Process::start(command, self.path("server.out"));
        wait_for("the server's first answer", async || {
            if let Some(status) = process.ended() {
                panic!("the server ended: {status}\n{}", process.output());
            }
            let token = std::fs::read_to_string(data.join("admin-token")).ok()?;
            let admin = self.client(token.trim());
            admin.queue().await.ok()?;
            self.admin = Some(admin);
            Some(())
        })
        .await;
        process
    }

    /// A token for the default class.
    pub async fn class_token(&self) -> String {
        let class = "outrider/default".parse().unwrap();
        let request = CreateToken {
            scope: TokenScope::Class { class },
            nickname: "test".to_owned(),
        };
        self.admin().create_token(&request).await.unwrap().token
    }

    /// Starts a runner. The same name means the same data folder.
    pub async fn start_runner(&self, name: &str, arguments: &[&str]) -> Process {
        self.start_runner_at(&self.url(), name, arguments).await
    }

    /// What a runner of this world is called on this host.
    pub fn runner_name(&self, name: &str) -> String {
        format!("{name}-{}", self.port)
    }

    /// Starts a runner that reaches the server by another URL.
    pub async fn start_runner_at(&self, url: &str, name: &str, arguments: &[&str]) -> Process {
        let token_file = self.path("class-token");
        if !token_file.exists() {
            std::fs::write(&token_file, self.class_token().await).unwrap();
        }
        let mut command = outrider();
        command
            .args([
                "runner",
                "start",
                "--url",
                url,
                "--name",
                &self.runner_name(name),
            ])
            .args(["--stop-grace", "1s", "--token-file"])
            .arg(&token_file)
            .arg("--data")
            .arg(self.path(name))
            // Runners of other worlds know nothing of this one, nor of its containers.
            .env("XDG_DATA_HOME", self.path("home"));
        command.args(arguments);
        Process::start(command, self.path(&format!("{name}.out")))
    }

    /// Submits a pipeline.
    pub async fn submit(&self, config: &str) -> PipelineId {
        let submitted = self
            .admin()
            .submit_pipeline(&submission(config), None)
            .await;
        submitted.unwrap().id
    }

    /// A pipeline, while the server may be away.
    pub async fn pipeline(&self, id: PipelineId) -> Option<PipelineDetail> {
        match self.admin().pipeline(id).await {
            Ok(detail) => Some(detail),
            Err(error) if error.is_transient() => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Waits for the end of a pipeline.
    pub async fn outcome(&self, id: PipelineId) -> Outcome {
        wait_for("the end of a pipeline", async || {
            self.pipeline(id).await?.pipeline.status.outcome()
        })
        .await
    }

    /// The jobs of a pipeline.
    pub async fn jobs(&self, id: PipelineId) -> Vec<Job> {
        let detail = self.admin().pipeline(id).await.unwrap();
        detail
            .workflows
            .into_iter()
            .flat_map(|workflow| workflow.jobs)
            .collect()
    }

    /// The first task of a pipeline's first job.
    pub async fn task(&self, id: PipelineId) -> TaskId {
        let jobs = self.jobs(id).await;
        self.admin().job(jobs[0].id).await.unwrap().tasks[0].id
    }

    /// A task with its attempts, while the server may be away.
    pub async fn attempts(&self, id: TaskId) -> Option<TaskDetail> {
        match self.admin().task(id).await {
            Ok(detail) => Some(detail),
            Err(error) if error.is_transient() => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Waits until the pipeline's only task has made a file, and the server knows that its steps
    /// have begun: until then, a task whose runner falls silent goes back to the queue. It must not
    /// end before.
    pub async fn reaches(&self, id: PipelineId, file: &Path) {
        let task = self.task(id).await;
        wait_for("the step", async || {
            let detail = self.attempts(task).await?;
            assert_eq!(detail.task.status.outcome(), None, "{detail:?}");
            let attempt = detail.attempts.last()?;
            (attempt.started_at.is_some() && file.exists()).then_some(())
        })
        .await;
    }

    /// Waits until a task has ended, whatever becomes of its pipeline.
    pub async fn ended(&self, id: TaskId) -> TaskDetail {
        wait_for("the end of a task", async || {
            let detail = self.attempts(id).await?;
            matches!(detail.task.status, Status::Finished(_)).then_some(detail)
        })
        .await
    }

    /// The whole log of a task's newest attempt.
    pub async fn log(&self, id: TaskId) -> Vec<u8> {
        let response = self.admin().log(id, &LogQuery::default()).await.unwrap();
        response.bytes().await.unwrap().to_vec()
    }

    /// Length and BLAKE3 of a log, read piece by piece.
    pub async fn log_hash(&self, id: TaskId) -> Result<(u64, LogHash), ClientError> {
        let mut response = self.admin().log(id, &LogQuery::default()).await?;
        let (mut length, mut hasher) = (0, blake3::Hasher::new());
        while let Some(piece) = response.chunk().await.expect("the log is read to its end") {
            length += piece.len() as u64;
            hasher.update(&piece);
        }
        Ok((length, LogHash(*hasher.finalize().as_bytes())))
    }

    /// The processes of this world other than servers and runners: what steps have started.
    pub fn step_processes(&self) -> Vec<i32> {
        processes_that_mention(self.folder.path())
    }

    /// Waits until nothing is left of any step.
    pub async fn nothing_runs(&self) {
        wait_for("no process is left of any step", async || {
            self.step_processes().is_empty().then_some(())
        })
        .await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for pid in self.step_processes() {
            let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
        }
    }
}

/// The binary, with nothing of this process's own settings.
pub fn outrider() -> Command {
    let mut command = Command::new(OUTRIDER);
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("OUTRIDER_") {
            command.env_remove(key);
        }
    }
    // What one test keeps is not for the next one.
    command.env("OUTRIDER_FRESH", "true");
    command
}

/// A pipeline to submit.
pub fn submission(config: &str) -> SubmitPipeline {
    SubmitPipeline {
        config: config.to_owned(),
        project: "acme/shop".to_owned(),
        ..SubmitPipeline::default()
    }
}

/// A config with one job, `build`, that runs one script.
pub fn one_job(script: &str) -> String {
    config(&[("build", script, &[])])
}

/// A config with jobs of one script each, and what they require.
pub fn config(jobs: &[(&str, &str, &[&str])]) -> String {
    let mut text = "version: 2.1\njobs:\n".to_owned();
    for (name, script, _) in jobs {
        text += &format!("  {name}:\n    machine: true\n    steps:\n      - run: |\n");
        for line in script.lines() {
            text += &format!("          {line}\n");
        }
    }
    text += "workflows:\n  main:\n    jobs:\n";
    for (name, _, requires) in jobs {
        text += &match requires.is_empty() {
            true => format!("      - {name}\n"),
            false => format!(
                "      - {name}:\n          requires: [{}]\n",
                requires.join(", ")
            ),
        };
    }
    text
}

/// Processes whose directory, arguments or environment lie in a folder, apart from the binary
/// under test and from what has ended and only waits to be reaped.
fn processes_that_mention(folder: &Path) -> Vec<i32> {
    let folder = folder.to_str().unwrap();
    let mentions = |bytes: Vec<u8>| {
        bytes
            .windows(folder.len())
            .any(|window| window == folder.as_bytes())
    };
    let under_test = std::fs::canonicalize(OUTRIDER).unwrap();
    let own = i32::try_from(std::process::id()).unwrap();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let Ok(program) = std::fs::read_link(proc.join("exe")) else {
            return false;
        };
        let directory = std::fs::read_link(proc.join("cwd")).unwrap_or_default();
        *pid != own
            && program != under_test
            && (directory.starts_with(folder)
                || mentions(std::fs::read(proc.join("environ")).unwrap_or_default())
                || mentions(std::fs::read(proc.join("cmdline")).unwrap_or_default()))
    })
    .collect()
}

/// A port that nobody listens on, below those that the system gives to outgoing connections: a
/// server that starts again finds it free.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 200).unwrap() * 90;
    loop {
        let port = 12_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 18_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
