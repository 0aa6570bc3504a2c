//! What the host does without Outrider.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Json;
use axum::routing::post;
use tokio::time::Instant;

use crate::failure::Failure;

/// Scripts a second: a bare loop, `at_once` in parallel, that spawns the default shell on a script.
pub fn spawns_per_second(folder: &Path, count: usize, at_once: usize) -> std::io::Result<f64> {
    let script = folder.join("floor.sh");
    std::fs::write(&script, "/bin/true\n")?;
    let left = AtomicUsize::new(count);
    let started = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once)
            .map(|_| scope.spawn(|| spawn_until_none_left(&script, &left)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or(Ok(())))
    })?;
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

fn spawn_until_none_left(script: &Path, left: &AtomicUsize) -> std::io::Result<()> {
    while left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
        .is_ok()
    {
        let mut child = shell(script).stdout(Stdio::null()).spawn()?;
        child.wait()?;
    }
    Ok(())
}

/// Milliseconds from the spawn of the default shell to the first byte of its `echo`, sorted.
pub fn first_byte_ms(folder: &Path, count: usize) -> std::io::Result<Vec<f64>> {
    let script = folder.join("echo.sh");
    std::fs::write(&script, "echo hello\n")?;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let started = Instant::now();
        let mut child = shell(&script).stdout(Stdio::piped()).spawn()?;
        let mut byte = [0];
        if let Some(pipe) = &mut child.stdout {
            pipe.read_exact(&mut byte)?;
        }
        times.push(started.elapsed().as_secs_f64() * 1e3);
        child.wait()?;
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// Seconds that a bare read of a command's output takes, and its bytes.
pub fn pipe_read(folder: &Path, command: &str) -> std::io::Result<(f64, u64)> {
    let script = folder.join("pipe.sh");
    std::fs::write(&script, command)?;
    let started = Instant::now();
    let mut child = shell(&script).stdout(Stdio::piped()).spawn()?;
    let mut total = 0;
    if let Some(pipe) = &mut child.stdout {
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match pipe.read(&mut buffer)? {
                0 => break,
                count => total += count as u64,
            }
        }
    }
    child.wait()?;
    Ok((started.elapsed().as_secs_f64(), total))
}

/// Writes of 300 bytes with a sync each, a second.
pub fn syncs_per_second(folder: &Path) -> std::io::Result<f64> {
    let mut file = std::fs::File::create(folder.join("sync"))?;
    let started = Instant::now();
    let mut count = 0;
    while started.elapsed() < Duration::from_millis(500) {
        file.write_all(&[b'x'; 300])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / started.elapsed().as_secs_f64())
}

/// Requests a second: a bare axum server that echoes JSON, `clients` on loopback.
pub async fn echoes_per_second(clients: usize) -> Result<f64, Failure> {
    let failed = |error: std::io::Error| Failure::internal("measure axum", error);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .map_err(failed)?;
    let url = format!("http://{}/", listener.local_addr().map_err(failed)?);
    let app = axum::Router::new().route(
        "/",
        post(async |Json(body): Json<serde_json::Value>| Json(body)),
    );
    let tasks = outrider_service::Tasks::new();
    let server = tasks.spawn(async move { axum::serve(listener, app).await });
    let time = Duration::from_secs(1);
    let lanes: Vec<_> = (0..clients)
        .map(|_| tasks.spawn(echo_for(url.clone(), time)))
        .collect();
    let mut total = 0;
    for lane in lanes {
        total += lane
            .await
            .map_err(|error| Failure::internal("measure axum", error))?;
    }
    server.abort();
    Ok(f64::from(total) / time.as_secs_f64())
}

async fn echo_for(url: String, time: Duration) -> u32 {
    let client = reqwest::Client::new();
    let body = serde_json::json!({ "task": "0123456789abcdef", "slots": 4 });
    let ends = Instant::now() + time;
    let mut count = 0;
    while Instant::now() < ends {
        let Ok(answer) = client.post(&url).json(&body).send().await else {
            break;
        };
        if answer.bytes().await.is_err() {
            break;
        }
        count += 1;
    }
    count
}

fn shell(script: &Path) -> Command {
    let mut command = Command::new("/bin/bash");
    command
        .args(["-eo", "pipefail"])
        .arg(script)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}
