//! The Docker Engine that tests run against: one that answers already, or one of our own.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::command::is_root;
use crate::tools;

/// How tests learn the address. `testkit/src/docker` reads it.
pub const VARIABLE: &str = "OUTRIDER_TEST_ENGINE";

/// Where an Engine usually listens.
const USUAL: &str = "unix:///var/run/docker.sock";

/// Starts `dockerd` for each line of its stdin, and ends it with all that it had when nobody holds
/// that stdin any more: also when this process was killed.
const GUARD: &str = include_str!("../../crates/testkit/src/docker/guard.sh");

/// The packages of Debian that are needed for an Engine, and a program of each. `docker.io` brings
/// containerd and runc along.
const PACKAGES: &[(&str, &str)] = &[("/usr/sbin/dockerd", "docker.io"), ("/sbin/ip", "iproute2")];

/// How often it is asked whether it answers, and the pause in between: a minute.
const QUESTIONS: u32 = 600;
const PAUSE: Duration = Duration::from_millis(100);

/// An Engine that answers.
pub enum Engine {
    /// Somebody else's.
    Found(String),
    /// One that ends when this is dropped.
    Own(Own),
}

/// An Engine with a folder and a bridge of its own.
pub struct Own {
    guard: Child,
    folder: PathBuf,
}

impl Engine {
    /// Finds one, or starts one where that is possible.
    pub fn provide() -> Result<Self> {
        if let Some(address) = found() {
            return Ok(Self::Found(address));
        }
        let command = "start Docker, or run `sudo cargo xtask test`, which brings an Engine along";
        if !is_root() {
            bail!("no Docker Engine answers, which tests run against: {command}");
        }
        tools::install_packages(PACKAGES)?;
        // The package may have started the host's own.
        if let Some(address) = found() {
            return Ok(Self::Found(address));
        }
        Own::start().map(Self::Own)
    }

    /// Its address, as `DOCKER_HOST` has it.
    pub fn address(&self) -> String {
        match self {
            Self::Found(address) => address.clone(),
            Self::Own(own) => own.address(),
        }
    }
}

impl Own {
    fn start() -> Result<Self> {
        let folder = fresh_folder()?;
        let mut command = Command::new("sh");
        command
            .args(["-c", GUARD, "guard"])
            .arg(&folder)
            .stdin(Stdio::piped())
            // Ctrl-C is for the tests: this ends when they have ended.
            .process_group(0);
        let guard = command.spawn().context("could not start sh")?;
        let mut own = Self { guard, folder };
        println!("starting a Docker Engine in {}", own.folder.display());
        if let Some(stdin) = &mut own.guard.stdin {
            writeln!(stdin).context("could not start dockerd")?;
        }
        own.wait_for_answer()?;
        Ok(own)
    }

    fn address(&self) -> String {
        format!("unix://{}", self.folder.join("docker.sock").display())
    }

    fn wait_for_answer(&self) -> Result<()> {
        for _ in 0..QUESTIONS {
            if engine_answers(&self.address()) {
                return Ok(());
            }
            if self.folder.join("ended").exists() {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        bail!(
            "dockerd does not start here: run the tests where DOCKER_HOST names an Engine\n{}",
            last_lines(&log, 15)
        )
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        if let Err(error) = self.guard.wait() {
            eprintln!("could not wait for the Docker Engine's end: {error}");
        }
    }
}

/// The address that was given, or else the usual one, if an Engine answers there.
fn found() -> Option<String> {
    let address = [VARIABLE, "DOCKER_HOST"]
        .into_iter()
        .filter_map(|name| std::env::var_os(name)?.into_string().ok())
        .find(|address| !address.is_empty())
        .unwrap_or_else(|| USUAL.to_owned());
    engine_answers(&address).then_some(address)
}

fn engine_answers(address: &str) -> bool {
    let answer = match address.split_once("://") {
        Some(("unix", path)) => UnixStream::connect(path).and_then(|stream| {
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            ping(stream)
        }),
        Some((_, host)) => TcpStream::connect(host).and_then(|stream| {
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            ping(stream)
        }),
        None => return false,
    };
    answer.is_ok_and(|answer| {
        answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.0 200")
    })
}

fn ping(mut stream: impl Read + Write) -> std::io::Result<String> {
    stream.write_all(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A folder below which a socket's path is short enough, however deep the project is.
fn fresh_folder() -> Result<PathBuf> {
    let mut number = u64::from(std::process::id());
    loop {
        let folder = Path::new("/tmp").join(format!("outrider-engine-{number}"));
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => {
                return Err(error).with_context(|| format!("could not make {}", folder.display()));
            }
        }
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut last = String::new();
    for line in &lines[lines.len().saturating_sub(count)..] {
        let _ = writeln!(last, "  {line}");
    }
    last
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn only_the_end_of_a_log_is_shown() {
        assert_eq!(last_lines("one\ntwo\nthree\n", 2), "  two\n  three\n");
        assert_eq!(last_lines("", 2), "");
    }
}
