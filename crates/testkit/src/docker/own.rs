//! A Docker Engine that a test may stop, kill and starve.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bollard::Docker;
use rustix::fs::statvfs;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep};

/// Starts `dockerd` for each line of its stdin, and ends it with all that it had when nobody holds
/// that stdin any more. `cargo xtask test` uses it too.
const GUARD: &str = include_str!("guard.sh");

/// How long an Engine may take to start or to end, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(20);

/// How many there are at once in one process. Each of them is a heavy thing.
static ENGINES: Semaphore = Semaphore::const_new(2);

/// A `dockerd` with a folder and a bridge of its own. It ends with all that it has when this is
/// dropped, and when the test is killed. It takes root.
pub struct OwnEngine {
    folder: PathBuf,
    guard: Child,
    _permit: SemaphorePermit<'static>,
}

impl OwnEngine {
    /// Starts one, and waits until it answers.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts one with further arguments.
    pub async fn start_with(arguments: &str) -> Self {
        let mut engine = Self::not_started().await;
        engine.run(arguments).await;
        engine
    }

    /// Starts one whose images, containers and volumes are on a disk that
    /// [`leave_free`](Self::leave_free) can fill.
    pub async fn start_on_small_disk() -> Self {
        let mut engine = Self::not_started().await;
        let disk = engine.disk();
        std::fs::create_dir(&disk).expect("a folder");
        mount(&disk, "size=2g");
        engine.run("").await;
        engine
    }

    /// One that has not been started yet.
    pub async fn not_started() -> Self {
        assert!(
            geteuid().is_root(),
            "only root can start a Docker Engine\nRun the tests with `sudo cargo xtask test`."
        );
        let permit = ENGINES.acquire().await.expect("it is never closed");
        // The path of a socket is bounded.
        let folder = tempfile::Builder::new()
            .prefix("outrider-engine-")
            .tempdir_in("/tmp")
            .expect("a folder")
            .keep();
        let guard = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell");
        Self {
            folder,
            guard,
            _permit: permit,
        }
    }

    /// Where it listens, as `DOCKER_HOST` has it.
    pub fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("docker.sock")
    }

    /// A client of it.
    pub fn client(&self) -> Docker {
        Docker::connect_with_host(&self.address()).expect("an address that a client understands")
    }

    /// Starts it again after its end, and waits until it answers.
    pub async fn run(&mut self, arguments: &str) {
        for file in ["ended", "engine"] {
            let _ = std::fs::remove_file(self.folder.join(file));
        }
        self.forget_containerd().await;
        let stdin = self.guard.stdin.as_mut().expect("it is piped");
        writeln!(stdin, "{arguments}").expect("the guard lives");
        let end = Instant::now() + PATIENCE;
        while !self.answers().await {
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(!self.ended().exists(), "dockerd has ended:\n{}", log());
            assert!(Instant::now() < end, "dockerd does not answer:\n{}", log());
            sleep(PAUSE).await;
        }
    }

    /// A killed Engine takes its containerd along. Before that is so, or if nobody has waited for that
    /// process, the next one would take it for alive.
    async fn forget_containerd(&self) {
        let file = self.folder.join("exec/containerd/containerd.pid");
        let Ok(pid) = std::fs::read_to_string(&file) else {
            return;
        };
        let end = Instant::now() + PATIENCE;
        while is_running(pid.trim()) {
            assert!(Instant::now() < end, "containerd does not end");
            sleep(PAUSE).await;
        }
        let _ = std::fs::remove_file(file);
    }

    async fn answers(&self) -> bool {
        match Docker::connect_with_host(&self.address()) {
            Ok(client) => client.ping().await.is_ok(),
            // There is no socket yet.
            Err(_) => false,
        }
    }

    /// Ends it as a host does that shuts down.
    pub async fn terminate(&self) {
        self.end(Signal::TERM).await;
    }

    /// Ends it as a crash does.
    pub async fn kill(&self) {
        self.end(Signal::KILL).await;
    }

    /// From now on it takes connections and answers nothing.
    pub fn stall(&self) {
        self.signal(Signal::STOP);
    }

    /// It goes on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    async fn end(&self, signal: Signal) {
        self.signal(signal);
        let end = Instant::now() + PATIENCE;
        while !self.ended().exists() {
            assert!(Instant::now() < end, "dockerd does not end");
            sleep(PAUSE).await;
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = self.pid().expect("it was started");
        kill_process(pid, signal).expect("it lives");
    }

    fn pid(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(self.folder.join("engine")).ok()?;
        text.trim().parse().ok().and_then(Pid::from_raw)
    }

    /// Leaves so many bytes free on the disk of an Engine that was
    /// [started on a small one](Self::start_on_small_disk).
    pub fn leave_free(&self, bytes: u64) {
        let disk = statvfs(self.disk()).expect("a file system");
        let used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize;
        mount(&self.disk(), &format!("remount,size={}", used + bytes));
    }

    fn disk(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn ended(&self) -> PathBuf {
        self.folder.join("ended")
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        // It may stand still.
        if let Some(pid) = self.pid() {
            let _ = kill_process(pid, Signal::CONT);
        }
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// Whether there is such a process, and it has not ended.
fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest.as_bytes()[0]);
    state.is_some_and(|state| !matches!(state, b'Z' | b'X'))
}

fn mount(place: &Path, options: &str) {
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", options, "tmpfs"])
        .arg(place)
        .status();
    assert!(mounted.is_ok_and(|status| status.success()), "{options}");
}
