//! Podman instead of Docker: tests that also pass there.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use outrider_executor::conformance::until;
use tempfile::TempDir;

use super::TEST_ENGINE;

const SERVICE: &str = include_str!("podman.sh");

/// Says that a test runs at a [`Podman`].
const AT_PODMAN: &str = "OUTRIDER_AT_PODMAN";

/// Whether this test is one that [`Podman::passes`] runs.
pub fn at_podman() -> bool {
    std::env::var_os(AT_PODMAN).is_some()
}

/// A Podman with a network of its own. It ends with all its containers when it is dropped. It takes
/// root.
pub struct Podman {
    service: Child,
    folder: TempDir,
}

impl Podman {
    /// Starts one, and waits until it listens.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        // Its first process ends with this one, and takes all others along.
        let service = Command::new("unshare")
            .args(["--mount", "--net", "--pid", "--fork"])
            .args(["--kill-child", "--mount-proc"])
            .args(["sh", "-c", SERVICE, "podman"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("unshare can be started");
        let mut podman = Self { service, folder };
        let socket = podman.socket();
        until("Podman answers", || {
            podman.assert_running();
            UnixStream::connect(&socket).is_ok()
        })
        .await;
        podman
    }

    /// Runs tests of this program at it. All of them must pass.
    pub fn passes(&self, tests: &[&str]) {
        // In its network, so that it reaches their registries.
        let network = format!("--net=/proc/{}/ns/net", self.service.id());
        let run = Command::new("nsenter")
            .arg(network)
            .arg(std::env::current_exe().expect("it runs"))
            .args(["--exact", "--test-threads=2"])
            .args(tests)
            .env(TEST_ENGINE, format!("unix://{}", self.socket().display()))
            .env(AT_PODMAN, "1")
            .output()
            .expect("nsenter can be started");
        let said = String::from_utf8_lossy(&run.stdout);
        let all = format!("{} passed", tests.len());
        assert!(run.status.success() && said.contains(&all), "{said}");
    }

    fn assert_running(&mut self) {
        if let Some(status) = self.service.try_wait().expect("a child") {
            let log = std::fs::read_to_string(self.folder.path().join("log"));
            panic!(
                "Podman has ended with {status}:\n{}`cargo xtask test` installs it",
                log.unwrap_or_default()
            );
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("podman.sock")
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}
