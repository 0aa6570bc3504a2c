//! The `outrider` program as its users start it: in a home folder of its own, with nothing of the
//! caller's settings.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// For how long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// When a command that has not ended is told to. What it printed until then is worth more than a
/// test that hangs.
const LIMIT: Duration = Duration::from_secs(240);

/// A home folder that holds nothing, and a folder for temporary files beside it.
pub struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["home", "tmp", "project"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A project in the folder `project` with this config.
    pub fn project(&self, config: impl AsRef<[u8]>) -> PathBuf {
        self.write("project/.circleci/config.yml", config);
        self.path("project")
    }

    /// `outrider` with these arguments, in the folder `project`.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
        self.clean(&mut command).args(arguments);
        command
    }

    /// `git` with these arguments, in the folder `project`.
    pub fn git(&self, arguments: &[&str]) {
        let mut git = Command::new("git");
        let identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"];
        let done = self.clean(&mut git).args(identity).args(arguments).output();
        let done = done.unwrap();
        assert!(done.status.success(), "git {arguments:?}: {done:?}");
    }

    fn clean<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .current_dir(self.path("project"))
            .stdin(Stdio::null())
    }

    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Ran {
        Ran::of(&mut self.command(arguments))
    }

    /// What lies in the folder for temporary files.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path("tmp")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// # Panics
    ///
    /// If it does not end by itself: with what it has printed.
    #[track_caller]
    pub fn of(command: &mut Command) -> Self {
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = piped.spawn().unwrap();
        let id = Pid::from_child(&child);
        let (ended, end) = mpsc::channel::<()>();
        let watch = thread::spawn(move || {
            let late = end.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout);
            if late {
                // It says what it is at, ends its own children, and leaves nothing behind.
                let _ = kill_process(id, Signal::TERM);
            }
            late
        });
        let ran = Self::from(child.wait_with_output().unwrap());
        drop(ended);
        let late = watch.join().unwrap();
        assert!(!late, "{command:?} did not end:\n{}{}", ran.out, ran.err);
        ran
    }

    /// It ended well.
    #[track_caller]
    pub fn good(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self
    }

    /// It failed with this code and one message, in which all these words stand.
    #[track_caller]
    pub fn failed(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        let messages = self.err.lines().filter(|line| line.starts_with("error: "));
        assert_eq!(messages.count(), 1, "one message:\n{}", self.err);
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in:\n{}", self.err);
        }
        let all = format!("{}{}", self.out, self.err);
        for never in ["panicked", "RUST_BACKTRACE", "stack backtrace"] {
            assert!(!all.contains(never), "{never:?} in:\n{all}");
        }
        self
    }

    /// What it printed, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    pub fn first_line(&self) -> &str {
        self.out.lines().next().unwrap_or_default()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A command that runs: its lines can be waited for. It is killed when the test ends.
pub struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: String,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, lines) = mpsc::channel();
        read_lines(child.stdout.take().unwrap(), send.clone());
        read_lines(child.stderr.take().unwrap(), send);
        Self {
            child,
            lines,
            seen: String::new(),
        }
    }

    /// Waits for a line that contains this.
    #[track_caller]
    pub fn line(&mut self, part: &str) -> String {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("no line with {part:?} in:\n{}", self.seen);
            };
            self.seen.push_str(&line);
            self.seen.push('\n');
            if line.contains(part) {
                return line;
            }
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end: the exit code, and all that it printed.
    #[track_caller]
    pub fn end(mut self) -> (Option<i32>, String) {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.seen.extend([line.as_str(), "\n"]),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it did not end:\n{}", self.seen),
            }
        }
        let status = self.child.wait().unwrap();
        (status.code(), std::mem::take(&mut self.seen))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(from: impl Read + Send + 'static, to: mpsc::Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line).into_owned();
            if to.send(line).is_err() {
                return;
            }
        }
    });
}

/// A server that runs, and its admin token.
pub struct Served<'a> {
    pub home: &'a Home,
    pub running: Running,
    pub url: String,
    pub token: String,
}

impl<'a> Served<'a> {
    /// A server on a free port, with its data in the folder `data`.
    pub fn start(home: &'a Home, more: &[&str]) -> Self {
        let data = home.path("data");
        let mut arguments = vec!["server", "--data", data.to_str().unwrap()];
        if !more.contains(&"--listen") {
            arguments.extend(["--listen", "127.0.0.1:0"]);
        }
        arguments.extend(more);
        let mut running = Running::start(&mut home.command(&arguments));
        let line = running.line("Outrider serves ");
        let url = line.split_whitespace().nth(2).unwrap().to_owned();
        running.line("dmin token");
        // The token's file was written before.
        let token = std::fs::read_to_string(data.join("admin-token")).unwrap();
        Self {
            home,
            running,
            url,
            token: token.trim().to_owned(),
        }
    }

    pub fn port(&self) -> &str {
        self.url.rsplit(':').next().unwrap()
    }

    /// A command that talks to this server, as its admin.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        command
            .env("OUTRIDER_URL", &self.url)
            .env("OUTRIDER_TOKEN", &self.token);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(arguments))
    }

    pub fn run_as(&self, token: &str, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).env("OUTRIDER_TOKEN", token))
    }

    /// A new token for runners of a class.
    pub fn class_token(&self, class: &str) -> String {
        let made = self.run(&["token", "create", "--class", class]).good();
        made.first_line().to_owned()
    }

    /// The server answers as if nothing had happened.
    #[track_caller]
    pub fn still_works(&self) {
        let queue = self.run(&["queue", "--json"]).good();
        assert!(queue.json()["items"].is_array(), "{queue:?}");
    }
}
