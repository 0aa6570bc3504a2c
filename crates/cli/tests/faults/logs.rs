//! Logs that are long, that are not text, that are empty; and readers that do not read.

use std::time::Duration;

use outrider_api::jobs::{LogPiece, LogQuery};
use outrider_model::Outcome;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::{World, config, one_job};

/// The size of the long log: 1 GB. The variable `OUTRIDER_TEST_LONG_LOG_MB` makes it another, where
/// the disk is small or slow.
fn long_log_mb() -> u64 {
    let set = std::env::var("OUTRIDER_TEST_LONG_LOG_MB").ok();
    set.map_or(1_000, |text| text.parse().expect("a number of megabytes"))
}

/// Repeats a line up to a length and hashes it.
fn repeated(line: &[u8], length: u64) -> outrider_model::report::LogHash {
    let block = line.repeat(1 << 14);
    let (mut hasher, mut left) = (blake3::Hasher::new(), length);
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        hasher.update(&block[..part]);
        left -= part as u64;
    }
    outrider_model::report::LogHash(*hasher.finalize().as_bytes())
}

#[tokio::test]
async fn a_step_that_writes_very_much_is_logged_whole() {
    let mut world = World::new();
    let _server = world.start_server(&[]).await;
    let length = long_log_mb() * 1_000_000;
    let script = format!("yes 0123456789abcdef | head -c {length}");
    // `yes` ends by SIGPIPE: the pipe's last word counts.
    let pipeline = world
        .submit(&one_job(&format!("set +o pipefail\n{script}")))
        .await;
    let _runner = world.start_runner("runner", &[]).await;
    assert_eq!(world.outcome(pipeline).await, Outcome::Passed);
    let task = world.task(pipeline).await;
    let detail = world.attempts(task).await.unwrap();
    assert_eq!(detail.attempts[0].log_length, length);
    let read = world.log_hash(task).await.unwrap();
    assert_eq!(read, (length, repeated(b"0123456789abcdef\n", length)));
}

#[tokio::test]
async fn bytes_that_are_no_text_and_no_bytes_at_all_are_logged_as_they_are() {
    let mut world = World::new();
    let _server = world.start_server(&[]).await;
    let binary = world.path("binary");
    // All bytes, many times, from an odd place: also cut in the middle of what could be a character.
    let bytes: Vec<u8> = (0..300_001_u32)
        .map(|n| (n % 253 * 7 % 256) as u8)
        .collect();
    std::fs::write(&binary, &bytes).unwrap();
    let pipeline = world
        .submit(&config(&[
            ("binary", &format!("cat {}", binary.display()), &[]),
            ("short", "printf '\\377\\376\\000\\200'", &[]),
            ("silent", ":", &[]),
        ]))
        .await;
    let _runner = world.start_runner("runner", &[]).await;
    assert_eq!(world.outcome(pipeline).await, Outcome::Passed);
    let expected = [bytes, vec![0xff, 0xfe, 0, 0x80], Vec::new()];
    for (job, expected) in world.jobs(pipeline).await.iter().zip(expected) {
        let task = world.admin().job(job.id).await.unwrap().tasks[0].id;
        assert!(world.log(task).await == expected, "{}", job.name);
    }
}

#[tokio::test]
async fn a_reader_that_stops_reading_holds_up_nobody() {
    const LENGTH: u64 = 50_000_000;
    let mut world = World::new();
    let server = world.start_server(&[]).await;
    let script = format!("set +o pipefail\nyes 0123456789abcdef | head -c {LENGTH}");
    let pipeline = world.submit(&one_job(&script)).await;
    let task = world.task(pipeline).await;
    let admin = std::fs::read_to_string(world.path("server").join("admin-token")).unwrap();
    // They ask, read the first bytes, and never again.
    let mut stopped = Vec::new();
    for _ in 0..5 {
        let mut stream = TcpStream::connect(world.address()).await.unwrap();
        let request = format!(
            "GET /api/v1/tasks/{task}/log/follow HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {}\r\n\r\n",
            admin.trim()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut first = [0; 16];
        stream.read_exact(&mut first).await.unwrap();
        assert!(first.starts_with(b"HTTP/1.1 200"), "{first:?}");
        stopped.push(stream);
    }
    let _runner = world.start_runner("runner", &[]).await;
    let follow = async {
        let query = LogQuery::default();
        let mut reader = world.admin().follow_log(task, &query).await.unwrap();
        let (mut length, mut most_mb) = (0, 0);
        while let Some(event) = reader.next().await.unwrap() {
            most_mb = server.resident_mb().max(most_mb);
            if event.event == "end" {
                break;
            }
            let piece: LogPiece = serde_json::from_str(&event.data).unwrap();
            length += decoded_length(&piece.base64);
        }
        (length, most_mb)
    };
    let followed = tokio::time::timeout(Duration::from_secs(60), follow).await;
    let (length, most_mb) = followed.expect("the other reader is not held up");
    assert_eq!(length, LENGTH);
    assert_eq!(world.outcome(pipeline).await, Outcome::Passed);
    assert!(most_mb < 150, "the server needed {most_mb} MB");
    drop(stopped);
}

fn decoded_length(base64: &str) -> u64 {
    let padding = base64
        .bytes()
        .rev()
        .take_while(|byte| *byte == b'=')
        .count();
    (base64.len() / 4 * 3 - padding) as u64
}
