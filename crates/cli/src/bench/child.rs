//! This program as processes of their own, so that their memory can be measured.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use outrider_api::client::{Client, ClientSettings};
use outrider_api::tokens::{CreateToken, TokenScope};
use outrider_model::secret::Token;

use super::platform;
use crate::failure::{Failure, code};

/// A child process, killed when it is dropped.
pub struct Process(Child);

impl Process {
    /// Starts this program.
    pub fn start(arguments: &[&str]) -> Result<Self, Failure> {
        // That it was told to stop is no news.
        let mut command = Command::new(this_program()?);
        Self::spawn(command.args(arguments).env("OUTRIDER_LOG", "error"))
    }

    /// Starts something that reads and prints nothing.
    pub fn spawn(command: &mut Command) -> Result<Self, Failure> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        child
            .map(Self)
            .map_err(|error| Failure::internal("start a process", error))
    }

    /// Tells it to end, at once and not after its work, and waits for that.
    pub async fn end(mut self) -> Result<(), Failure> {
        let failed = |error| Failure::internal("end a process", error);
        let pid = rustix::process::Pid::from_child(&self.0);
        loop {
            if self.0.try_wait().map_err(failed)?.is_some() {
                return Ok(());
            }
            // The first drains, the second stops.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where this program is.
pub fn this_program() -> Result<std::path::PathBuf, Failure> {
    std::env::current_exe().map_err(|error| Failure::internal("find this program", error))
}

/// A server with its data in a folder.
pub struct Server {
    /// The server itself.
    pub process: Process,
    /// Where it listens.
    pub url: String,
    /// Speaks to it as an administrator.
    pub client: Client,
}

impl Server {
    /// Starts it, and waits until it answers.
    pub async fn start(folder: &Path) -> Result<Self, Failure> {
        let port = free_port()?;
        let data = folder.join("server");
        let listen = format!("127.0.0.1:{port}");
        let process = Process::start(&[
            "server",
            "--listen",
            &listen,
            "--data",
            &data.display().to_string(),
        ])?;
        let url = format!("http://{listen}");
        let token = wait_for(|| std::fs::read_to_string(data.join("admin-token")).ok()).await?;
        let client = connect(&url, token.trim())?;
        for _ in 0..500 {
            if client.queue().await.is_ok() {
                return Ok(Self {
                    process,
                    url,
                    client,
                });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(did_not_start())
    }

    /// Waits until so many tasks run.
    pub async fn wait_for_running(&self, count: usize) -> Result<(), Failure> {
        for _ in 0..1_500 {
            let depths = self.client.queue().await?.items;
            let running: u64 = depths.iter().map(|depth| depth.running).sum();
            if running >= count as u64 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        Err(Failure::new(code::FAILED, "not all jobs have started"))
    }

    /// Makes a token for runners of the class of all measured tasks.
    pub async fn class_token(&self) -> Result<String, Failure> {
        let request = CreateToken {
            scope: TokenScope::Class {
                class: platform::class()?,
            },
            nickname: String::new(),
        };
        Ok(self.client.create_token(&request).await?.token)
    }
}

/// Writes a token where a runner can read it; returns the path.
pub fn write_token(folder: &Path, token: &str) -> Result<String, Failure> {
    let path = folder.join("class-token");
    std::fs::write(&path, token).map_err(|error| Failure::cannot_write(path.display(), error))?;
    Ok(path.display().to_string())
}

/// A client with connections of its own.
pub fn connect(url: &str, token: &str) -> Result<Client, Failure> {
    Ok(Client::new(&ClientSettings {
        url: url.to_owned(),
        token: Token::presented(token),
        ca_certificates: None,
    })?)
}

async fn wait_for<T>(look: impl Fn() -> Option<T>) -> Result<T, Failure> {
    for _ in 0..500 {
        if let Some(found) = look() {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(did_not_start())
}

fn did_not_start() -> Failure {
    Failure::new(code::FAILED, "the measured server did not start")
}

fn free_port() -> Result<u16, Failure> {
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    port.map(|address| address.port())
        .map_err(|error| Failure::internal("find a free port", error))
}
