//! `outrider bench idle`

use std::process::Command;
use std::time::Duration;

use outrider_model::{RunnerId, Timestamp};
use outrider_service::OsRandom;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::child::{self, Process, Server};
use super::table::{self, Figure, rounded};
use super::{BenchArgs, memory};
use crate::failure::{Failure, code};

/// As many claims wait at the server.
const WAITING: usize = 10_000;

/// Measures and prints.
pub async fn run(args: BenchArgs) -> Result<(), Failure> {
    raise_open_files();
    let waiting = if args.quick { WAITING / 10 } else { WAITING };
    let folder = tempfile::tempdir().map_err(|e| Failure::cannot_write("a temporary folder", e))?;
    let floor = floor_rss()?;
    let server = Server::start(folder.path()).await?;
    let token = server.class_token().await?;
    let settled = memory::settled_rss(&server.process).await?;
    let runner = Process::start(&[
        "runner",
        "start",
        "--url",
        &server.url,
        "--token-file",
        &child::write_token(folder.path(), &token)?,
        "--data",
        &folder.path().join("runner").display().to_string(),
    ])?;
    wait_for_runners(&server, 1).await?;
    let runner_rss = memory::settled_rss(&runner).await?;
    drop(runner);

    let before = memory::settled_rss(&server.process).await?;
    let mut parked = Vec::with_capacity(waiting);
    for _ in 0..waiting {
        parked.push(park(&server, &token).await?);
    }
    wait_for_waiting(&server, waiting).await?;
    let with_waiting = memory::settled_rss(&server.process).await?;
    drop(parked);

    let per_runner = (with_waiting - before) / waiting as f64;
    let mb = |kb: f64| kb / 1024.0;
    if args.json {
        crate::show::json(&json!({ "idle": {
            "runner_rss_mb": rounded(mb(runner_rss)),
            "server_rss_mb": rounded(mb(settled)),
            "kb_per_waiting_runner": rounded(per_runner),
            "waiting_runners": waiting,
            "floors": { "process_rss_mb": rounded(mb(floor)) },
        }}));
        return Ok(());
    }
    let floor_text = format!("a process that sleeps {:.1} MB", mb(floor));
    let figures = [
        Figure {
            name: "idle runner, RSS",
            value: format!("{:.1} MB", mb(runner_rss)),
            floor: floor_text.clone(),
            ratio: Some(runner_rss / floor),
            target: "12 MB",
        },
        Figure {
            name: "server without runners, RSS",
            value: format!("{:.1} MB", mb(settled)),
            floor: floor_text,
            ratio: Some(settled / floor),
            target: "40 MB",
        },
        Figure {
            name: "added per waiting runner",
            value: format!("{per_runner:.1} KB at {waiting}"),
            floor: "hyper and axum alone about 10 KB".to_owned(),
            ratio: None,
            target: "14 KB",
        },
    ];
    table::print("idle", &figures);
    Ok(())
}

async fn wait_for_runners(server: &Server, count: usize) -> Result<(), Failure> {
    loop {
        if server
            .client
            .runners(&Default::default())
            .await?
            .items
            .len()
            >= count
        {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn wait_for_waiting(server: &Server, count: usize) -> Result<(), Failure> {
    let url = format!("{}/metrics", server.url);
    for _ in 0..1_000 {
        let text = match reqwest::get(&url).await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        };
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("outrider_waiting_runners "));
        if line
            .and_then(|number| number.parse().ok())
            .is_some_and(|number: usize| number >= count)
        {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(Failure::new(
        code::FAILED,
        "not all claims arrived at the server",
    ))
}

/// Sends a claim that waits, as a runner does, on a connection of its own.
async fn park(server: &Server, token: &str) -> Result<TcpStream, Failure> {
    let failed = |error: std::io::Error| Failure::internal("connect", error);
    let address = server.url.trim_start_matches("http://");
    let id = RunnerId::new(Timestamp::from_millis(1_700_000_000_000), &OsRandom::new());
    let body = json!({
        "runner": { "id": id, "name": "idle", "hostname": "idle", "version": "1", "slots": 1 },
        "slots": 1, "wait_ms": 60_000,
    })
    .to_string();
    let request = format!(
        "POST /api/v1/runner/claim HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    Ok(stream)
}

/// The memory of a process that only sleeps: the floor under every other figure.
fn floor_rss() -> Result<f64, Failure> {
    let mut sleep = Command::new("/bin/sh");
    sleep.args(["-c", "exec sleep 60"]);
    let child = Process::spawn(&mut sleep)?;
    std::thread::sleep(Duration::from_millis(50));
    memory::kb(child.id(), memory::RESIDENT)
}

/// Ten thousand connections need as many descriptors, here and in the server that inherits it.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}
