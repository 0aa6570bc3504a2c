//! A network between runner and server that cuts, delays, repeats and reorders.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use outrider_model::Outcome;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::common::{World, config};

/// What becomes of connections, one after the other: repeated by its seed.
struct Fates(u64);

impl Fates {
    /// A number below `end` (Knuth's linear congruential generator, MMIX).
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn next(&mut self) -> Fate {
        Fate {
            // Many times what one request or answer has: connections that are used again are cut in the end.
            requests: 500 + self.below(150_000),
            answers: 1_000 + self.below(10_000),
            delay: Duration::from_millis(self.below(40)),
            repeat: self.below(3) == 0,
        }
    }
}

/// What becomes of one connection.
#[derive(Clone, Copy)]
struct Fate {
    /// After so many bytes towards the server it is cut.
    requests: u64,
    /// After so many bytes towards the runner it is cut.
    answers: u64,
    /// Each piece waits so long, so that other connections overtake it.
    delay: Duration,
    /// Its first request reaches the server twice.
    repeat: bool,
}

/// How many connections the proxy has cut.
type Cuts = Arc<AtomicU64>;

/// Stands between a runner and a server until the test ends.
async fn start_proxy(server: SocketAddr, seed: u64, cuts: Cuts) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut fates = Fates(seed);
        while let Ok((runner, _)) = listener.accept().await {
            tokio::spawn(carry(runner, server, fates.next(), Arc::clone(&cuts)));
        }
    });
    address
}

async fn carry(runner: TcpStream, server: SocketAddr, fate: Fate, cuts: Cuts) {
    let Ok(mut upstream) = TcpStream::connect(server).await else {
        return;
    };
    let (mut from_runner, mut to_runner) = runner.into_split();
    let (mut from_server, mut to_server) = upstream.split();
    let there = async {
        let (mut left, mut buffer, mut first) = (fate.requests, vec![0; 16 * 1024], true);
        while let Ok(count @ 1..) = from_runner.read(&mut buffer).await {
            tokio::time::sleep(fate.delay).await;
            if std::mem::take(&mut first) && fate.repeat {
                repeat(server, &buffer[..count]).await;
            }
            let part = count.min(usize::try_from(left).unwrap());
            if to_server.write_all(&buffer[..part]).await.is_err() || part < count {
                cuts.fetch_add(1, Ordering::Relaxed);
                return;
            }
            left -= part as u64;
        }
    };
    let back = async {
        let (mut left, mut buffer) = (fate.answers, vec![0; 16 * 1024]);
        while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
            tokio::time::sleep(fate.delay).await;
            let part = count.min(usize::try_from(left).unwrap());
            if to_runner.write_all(&buffer[..part]).await.is_err() || part < count {
                cuts.fetch_add(1, Ordering::Relaxed);
                return;
            }
            left -= part as u64;
        }
    };
    // Whichever ends first cuts both.
    tokio::select! {
        () = there => {}
        () = back => {}
    }
}

/// Sends the same bytes once more on a connection of its own, and does not read the answer. A claim
/// is left out: work that it gives out would wait for its lease to end, each time.
async fn repeat(server: SocketAddr, request: &[u8]) {
    if request.windows(13).any(|part| part == b"/runner/claim") {
        return;
    }
    if let Ok(mut again) = TcpStream::connect(server).await {
        let _ = again.write_all(request).await;
        let _ = tokio::time::timeout(Duration::from_millis(200), again.read(&mut [0; 64])).await;
    }
}

#[tokio::test]
async fn a_network_that_cuts_delays_and_repeats_loses_nothing_and_doubles_nothing() {
    let mut world = World::new();
    let _server = world
        .start_server(&["--claim-lease", "8s", "--startup-grace", "1s"])
        .await;
    let cuts = Cuts::default();
    let proxy = start_proxy(world.address(), 17, Arc::clone(&cuts)).await;
    let counter = world.path("ran");
    let scripts: Vec<(String, String)> = (0..12)
        .map(|job| {
            let script = format!(
                "echo {job} >> {}; for n in $(seq 1 60); do echo job {job} line $n; done",
                counter.display()
            );
            (format!("job{job}"), script)
        })
        .collect();
    let jobs: Vec<(&str, &str, &[&str])> = scripts
        .iter()
        .map(|(name, script)| (name.as_str(), script.as_str(), &[][..]))
        .collect();
    let pipeline = world.submit(&config(&jobs)).await;
    let url = format!("http://{proxy}");
    let _runner = world
        .start_runner_at(&url, "runner", &["--slots", "3"])
        .await;
    assert_eq!(world.outcome(pipeline).await, Outcome::Passed);
    for (number, job) in world.jobs(pipeline).await.iter().enumerate() {
        let task = world.admin().job(job.id).await.unwrap().tasks[0].id;
        let expected: String = (1..=60)
            .map(|n| format!("job {number} line {n}\n"))
            .collect();
        assert_eq!(
            String::from_utf8(world.log(task).await).unwrap(),
            expected,
            "{}",
            job.name
        );
    }
    let mut ran: Vec<u32> = world
        .read("ran")
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    assert!(cuts.load(Ordering::Relaxed) > 0, "nothing was cut");
    ran.sort_unstable();
    assert_eq!(ran, (0..12).collect::<Vec<_>>(), "each ran once");
}
