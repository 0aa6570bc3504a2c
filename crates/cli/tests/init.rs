//! The first process of a container, spoken to as the runner does.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
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
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::{Notify, Semaphore};

const OUTRIDER: &str = env!("CARGO_BIN_EXE_outrider");
const MIB: usize = 1 << 20;
/// No test takes that long; one that hangs ends.
const LONG: Duration = Duration::from_secs(120);

/// An init that is ready for a task.
struct Container {
    init: Child,
    client: Arc<InitClient>,
    home: TempDir,
    ready: Ready,
    attempt: AttemptId,
}

impl Drop for Container {
    /// It is killed where a real one would vanish with all its files.
    fn drop(&mut self) {
        let _ = self.init.start_kill();
        let _ = std::fs::remove_dir_all(format!("/tmp/.outrider-{}", self.attempt));
    }
}

impl Container {
    async fn start() -> Self {
        Self::start_with(|_| {}).await.expect("is made ready")
    }

    async fn start_with(change: impl FnOnce(&mut SetUp)) -> Result<Self, ExecutorError> {
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

    fn request(&self, script: &str) -> ExecRequest {
        ExecRequest {
            shell: ["/bin/sh", "-e"].map(str::to_owned).into(),
            script: script.to_owned(),
            environment: self.ready.variables.clone(),
            working_directory: self.ready.working_directory.clone(),
        }
    }

    async fn exec(&self, script: &str) -> (Exit, String) {
        let output = Arc::new(Collected::default());
        let ended = self.client.exec(self.request(script), output.clone()).await;
        (ended.expect("is run").exit, output.text())
    }

    async fn tool(&self, arguments: &[&str]) -> Tool {
        let request = ToolRequest {
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            environment: BTreeMap::new(),
        };
        let tool = self.client.start_tool(request, Arc::new(Discard)).await;
        tool.expect("is started")
    }
}

fn set_up(home: &Path) -> SetUp {
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
        memory_limit: None,
        tool: vec![OUTRIDER.to_owned()],
    }
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// In a namespace of its own where that is possible, as in a container.
fn command() -> Command {
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

async fn connect() -> (Child, InitClient) {
    let mut init = command().spawn().expect("the init starts");
    let (stdin, stdout) = (init.stdin.take(), init.stdout.take());
    let client = InitClient::connect(stdout.expect("piped"), stdin.expect("piped")).await;
    (init, client.expect("the init greets"))
}

/// What a script wrote.
#[derive(Default)]
struct Collected {
    bytes: Mutex<Vec<u8>>,
    more: Notify,
}

impl Collected {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    async fn until(&self, text: &str) {
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

/// An output that takes nothing until it is let.
struct Slow {
    gate: Semaphore,
    taken: Collected,
}

#[async_trait]
impl Output for Slow {
    async fn write(&self, bytes: Bytes) {
        drop(self.gate.acquire().await);
        self.taken.write(bytes).await;
    }
}

fn user_fault<T>(result: Result<T, ExecutorError>) -> String {
    match result {
        Ok(_) => panic!("it should have failed"),
        Err(error) => {
            assert_eq!(error.fault, Fault::User, "{error}");
            error.message
        }
    }
}

#[tokio::test]
async fn scripts_end_as_they_say_and_see_what_they_were_given() {
    let container = Container::start().await;
    assert_eq!(container.exec("exit 7").await.0, Exit::Code(7));
    assert_eq!(container.exec("kill -KILL $$").await.0, Exit::Signal(9));
    let (exit, text) = container
        .exec("echo out; echo err >&2; echo again; pwd; echo $HOME; cat")
        .await;
    assert_eq!(exit, Exit::Code(0));
    let home = container.home.path().display();
    assert_eq!(
        text,
        format!("out\nerr\nagain\n{home}/project/deep\n{home}\n")
    );
    let mut request =
        container.request("echo \"$A-$OUTRIDER_ATTEMPT\"; ps 2>&1 | wc -l >/dev/null");
    request.environment.insert("A".to_owned(), "a b".to_owned());
    let output = Arc::new(Collected::default());
    let ended = container.client.exec(request, output.clone()).await;
    let ended = ended.expect("is run");
    assert!(ended.usage.is_some() && ended.out_of_memory.is_none());
    assert!(output.text().starts_with("a b-") && output.text().len() > 36);
    assert!(!container.ready.shell.is_empty());
}

#[tokio::test]
async fn much_output_arrives_whole() {
    let container = Container::start().await;
    let script =
        "i=0; while [ $i -lt 10 ]; do head -c 1048576 /dev/zero | tr '\\0' $i; i=$((i+1)); done";
    let (exit, text) = container.exec(script).await;
    assert_eq!(exit, Exit::Code(0));
    let expected: String = (0..10).map(|i| i.to_string().repeat(MIB)).collect();
    assert!(text == expected, "{} bytes", text.len());
}

#[tokio::test]
async fn a_slow_reader_holds_nobody_else_back() {
    let container = Container::start().await;
    let slow = Arc::new(Slow {
        gate: Semaphore::new(0),
        taken: Collected::default(),
    });
    let script = "head -c 8388608 /dev/zero; echo end";
    let held = container
        .client
        .exec(container.request(script), slow.clone());
    let others = async {
        for _ in 0..3 {
            let (exit, text) = container.exec("head -c 2097152 /dev/zero").await;
            assert_eq!((exit, text.len()), (Exit::Code(0), 2 * MIB));
        }
        assert_eq!(slow.taken.text().len(), 0);
        slow.gate.add_permits(1);
    };
    let (ended, ()) = tokio::join!(held, others);
    assert_eq!(ended.expect("is run").exit, Exit::Code(0));
    let text = slow.taken.text();
    assert_eq!(text.len(), 8 * MIB + 4);
    assert!(text.ends_with("end\n"));
}

#[tokio::test]
async fn who_outlives_its_script_is_still_heard() {
    let container = Container::start().await;
    let go = container.home.path().join("go");
    let script = format!(
        "(while [ ! -e {} ]; do sleep 0.02; done; echo later) & echo now",
        go.display()
    );
    let output = Arc::new(Collected::default());
    let ended = container
        .client
        .exec(container.request(&script), output.clone());
    assert_eq!(ended.await.expect("is run").exit, Exit::Code(0));
    assert_eq!(output.text(), "now\n");
    std::fs::write(go, "").expect("written");
    output.until("later").await;
}

#[tokio::test]
async fn stop_ends_the_most_stubborn() {
    let container = Container::start().await;
    let output = Arc::new(Collected::default());
    let stubborn =
        "trap '' TERM; (trap '' TERM; setsid sleep 1000 & wait) & echo up; wait; sleep 1000";
    let held = container
        .client
        .exec(container.request(stubborn), output.clone());
    let stop = async {
        output.until("up").await;
        container.client.stop(Duration::from_millis(50)).await
    };
    let (ended, stopped) = tokio::join!(held, stop);
    stopped.expect("is stopped");
    assert_eq!(ended.expect("has ended").exit, Exit::Signal(9));
    let after = container
        .client
        .exec(container.request("true"), Arc::new(Discard))
        .await;
    assert!(
        after
            .expect_err("was stopped")
            .message
            .contains("was stopped")
    );
}

#[tokio::test]
async fn stop_first_asks() {
    let container = Container::start().await;
    let output = Arc::new(Collected::default());
    let script = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05 || :; done";
    let held = container
        .client
        .exec(container.request(script), output.clone());
    let stop = async {
        output.until("up").await;
        container.client.stop(LONG).await
    };
    let (ended, stopped) = tokio::join!(held, stop);
    stopped.expect("is stopped");
    assert_eq!(ended.expect("has ended").exit, Exit::Code(3));
    // A shell may say that its `sleep` was ended, too.
    assert!(output.text().ends_with("bye\n"), "{}", output.text());
}

#[tokio::test]
async fn what_the_config_can_get_wrong() {
    let failed =
        Container::start_with(|set_up| set_up.user = Some("no-such-user".to_owned())).await;
    assert!(user_fault(failed).starts_with("there is no user `no-such-user` in the image\n"));
    let container = Container::start().await;
    let exec = async |change: fn(&mut ExecRequest)| {
        let mut request = container.request("true");
        change(&mut request);
        container.client.exec(request, Arc::new(Discard)).await
    };
    let failed = exec(|request| request.shell = vec!["/no/such/shell".to_owned()]).await;
    assert!(user_fault(failed).contains("`/no/such/shell` does not exist in the image"));
    let failed = exec(|request| request.shell = vec!["/etc/passwd".to_owned()]).await;
    assert!(user_fault(failed).contains("`/etc/passwd` cannot be executed"));
    let failed = exec(|request| request.working_directory = "/etc/passwd/x".into()).await;
    assert!(user_fault(failed).contains("`/etc/passwd/x` could not be created"));
    let failed = exec(|request| drop(request.environment.insert("A".into(), "\0".into()))).await;
    assert!(user_fault(failed).contains("NUL"));
}

#[tokio::test]
async fn root_gives_its_rights_away() {
    if !is_root() {
        return;
    }
    let container = Container::start_with(|set_up| {
        set_up.user = Some("65534:65533".to_owned());
        set_up.extra_groups = vec![4321];
        set_up.environment.clear();
    })
    .await
    .expect("is made ready");
    let (exit, text) = container
        .exec("id -u; id -g; id -G; touch new; touch /etc/new 2>/dev/null || echo refused")
        .await;
    assert_eq!(exit, Exit::Code(0));
    assert_eq!(text, "65534\n65533\n65533 4321\nrefused\n");

    let client = &container.client;
    let refused = client.write_file(Path::new("/etc/new"), 0o644, Bytes::new());
    let refused = refused.await.expect_err("only root may");
    assert_eq!(refused.fault, Fault::User, "{refused}");
    let closed = tempfile::tempdir().expect("a folder of root");
    let private = Permissions::from_mode(0o700);
    std::fs::set_permissions(closed.path(), private).expect("closed");
    let refused = client.exists(&closed.path().join("anything")).await;
    assert!(refused.is_err(), "nobody else sees what is in it");
    let own = container.ready.working_directory.join("new.txt");
    let written = client.write_file(&own, 0o640, "new".into()).await;
    written.expect("at home it may");
    let found = own.metadata().expect("it is there");
    assert_eq!((found.uid(), found.gid()), (65534, 65533));
}

#[tokio::test]
async fn the_end_of_the_connection_ends_everything() {
    let mut container = Container::start().await;
    let output = Arc::new(Collected::default());
    let alive = container.home.path().join("alive");
    let script = format!(
        "trap '' TERM HUP; (setsid sh -c 'exec 9>{0}; flock 9; echo up; sleep 1000') & wait",
        alive.display()
    );
    let (client, request) = (container.client.clone(), container.request(&script));
    {
        let held = client.exec(request, output.clone());
        tokio::select! {
            _ = held => panic!("it should run"),
            () = output.until("up") => {}
        }
    }
    drop(client);
    drop(std::mem::replace(
        &mut container.client,
        Arc::new(connect().await.1),
    ));
    let ended = tokio::time::timeout(LONG, container.init.wait()).await;
    assert!(ended.expect("in time").expect("is waited for").success());
    let file = std::fs::File::open(alive).expect("is there");
    let free = rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive);
    free.expect("nobody is left");
}

#[tokio::test]
async fn a_lost_init_is_told_to_all_who_wait() {
    let mut container = Container::start().await;
    let output = Arc::new(Collected::default());
    let request = container.request("echo up; sleep 1000");
    let client = container.client.clone();
    let held = client.exec(request, output.clone());
    let kill = async {
        output.until("up").await;
        container.init.kill().await.expect("is killed");
    };
    let (ended, ()) = tokio::join!(held, kill);
    let error = ended.expect_err("the connection is lost");
    assert_eq!(error.fault, Fault::Infrastructure);
    assert!(
        client
            .lost()
            .await
            .message
            .starts_with("the connection to the container was lost")
    );
    assert!(client.listening().await.is_err());
}

#[tokio::test]
async fn closing_ends_the_init() {
    let mut container = Container::start().await;
    container.client.close().await;
    let ended = tokio::time::timeout(LONG, container.init.wait()).await;
    assert!(ended.expect("in time").expect("is waited for").success());
}

#[tokio::test]
async fn files_come_and_go() {
    let container = Container::start().await;
    let client = &container.client;
    let path = container.home.path().join("a/b/file");
    assert!(!client.exists(&path).await.expect("is looked for"));
    let bytes = Bytes::from(vec![b'x'; 3 * MIB]);
    for mode in [0o600, 0o755] {
        let written = client.write_file(&path, mode, bytes.clone()).await;
        written.expect("is written");
        let (_, text) = container.exec("stat -c %a ~/a/b/file; ls -A ~/a/b").await;
        assert_eq!(text, format!("{mode:o}\nfile\n"));
    }
    assert!(std::fs::read(&path).expect("is there") == bytes);
    assert!(client.exists(&path).await.expect("is looked for"));
    container.exec("ln -s nowhere ~/dangling").await;
    let dangling = container.home.path().join("dangling");
    assert!(client.exists(&dangling).await.expect("is looked for"));
    client.remove(&dangling).await.expect("is removed");
    let folder = container.home.path().join("a");
    client.remove(&folder).await.expect("is removed");
    client.remove(&folder).await.expect("nothing to do");
    assert!(!folder.exists() && dangling.symlink_metadata().is_err());
    let failed = client
        .write_file(Path::new("/etc/passwd/x"), 0o600, Bytes::new())
        .await;
    assert!(user_fault(failed).starts_with("the file `/etc/passwd/x` could not be written"));
}

/// `cat`, in this program's place.
async fn with_cat() -> Container {
    let started = Container::start_with(|set_up| set_up.tool = vec!["/bin/cat".to_owned()]).await;
    started.expect("is made ready")
}

#[tokio::test]
async fn a_tool_is_spoken_to_both_ways() {
    let container = with_cat().await;
    let Tool {
        mut stdin,
        mut stdout,
        ended,
    } = container.tool(&["-"]).await;
    let sent: Vec<u8> = (0..10 * MIB).map(|at| (at % 251) as u8).collect();
    let send = async {
        stdin.write_all(&sent).await.expect("is taken");
        stdin.shutdown().await.expect("is closed");
    };
    let mut came = Vec::new();
    let (read, ()) = tokio::join!(stdout.read_to_end(&mut came), send);
    read.expect("is read");
    assert!(came == sent);
    assert_eq!(ended.await.expect("ends").exit, Exit::Code(0));
}

#[tokio::test]
async fn a_tool_that_nobody_wants_is_killed() {
    let container = Container::start_with(|set_up| {
        set_up.tool = ["/bin/sh", "-c"].map(str::to_owned).into();
    });
    let container = container.await.expect("is made ready");
    let lock = container.home.path().join("lock");
    let script = format!("exec 9>{}; flock 9; echo up; sleep 1000", lock.display());
    let mut tool = container.tool(&[&script]).await;
    let mut up = [0; 3];
    tool.stdout.read_exact(&mut up).await.expect("it runs");
    drop(tool);
    let free = tokio::task::spawn_blocking(move || {
        let file = std::fs::File::open(lock).expect("is there");
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
    });
    let free = tokio::time::timeout(LONG, free).await.expect("in time");
    free.expect("is asked").expect("nobody is left");
}

#[tokio::test]
async fn open_ports_are_listed() {
    let container = Container::start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("has an address").port();
    let ports = container.client.listening().await.expect("are listed");
    assert!(ports.contains(&port), "{port} in {ports:?}");
}

#[tokio::test]
async fn garbage_ends_the_init() {
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\0\0\0\x02\x02\0\0\0\x01{}",
        &[0; 64],
    ] {
        let mut init = command().spawn().expect("the init starts");
        let mut stdin = init.stdin.take().expect("piped");
        stdin.write_all(garbage).await.expect("is taken");
        let ended = tokio::time::timeout(LONG, init.wait()).await;
        let status = ended.expect("in time").expect("is waited for");
        assert!(!status.success(), "{garbage:?}");
    }
}

#[tokio::test]
async fn garbage_from_inside_is_an_error() {
    let greeting = b"\0\0\0\x0d\x01\0\0\0\0{\"version\":1}";
    for (garbage, greets) in [
        (&b"sh: not found\n"[..], false),
        (b"", false),
        (b"\0\0\0\x0e\x01\0\0\0\0{\"version\":99}", false),
        (b"\xff\xff\xff\xff\x04\0\0\0\x01", true),
        (
            b"\0\0\0\x04\x06\0\0\0\x01\xff\xff\xff\xff\0\0\0\x01\x02\0\0\0\x01x",
            true,
        ),
        (b"\0\0\0\x03\x03\0\0\0\x01no!", true),
    ] {
        let bytes = if greets {
            [&greeting[..], garbage].concat()
        } else {
            garbage.to_vec()
        };
        let stream = std::io::Cursor::new(bytes);
        let result = async {
            let client = InitClient::connect(stream, tokio::io::sink()).await?;
            client.listening().await
        };
        let error = result.await.expect_err("is garbage");
        assert_eq!(error.fault, Fault::Infrastructure, "{garbage:?}: {error}");
    }
}

#[tokio::test]
async fn two_scripts_run_at_once() {
    let container = Container::start().await;
    let (one, two) = (
        container.home.path().join("1"),
        container.home.path().join("2"),
    );
    let meet = |own: &Path, other: &Path| {
        let (own, other) = (own.display(), other.display());
        container.request(&format!(
            "touch {own}; while [ ! -e {other} ]; do sleep 0.02; done"
        ))
    };
    let first = container.client.exec(meet(&one, &two), Arc::new(Discard));
    let second = container.client.exec(meet(&two, &one), Arc::new(Discard));
    let (first, second) = tokio::join!(first, second);
    assert!(first.expect("is run").exit.success() && second.expect("is run").exit.success());
}
