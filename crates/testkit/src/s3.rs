//! A real server that speaks S3: rclone, over a folder.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::listening::listening;

/// The program. `cargo xtask test` puts it there (`xtask/src/tools.rs`).
const RCLONE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools/bin/rclone");

/// The bucket that every server has.
pub const BUCKET: &str = "blobs";

/// Who may use it.
pub const ACCESS_KEY: &str = "outrider-tests";

/// And how they prove that they are it.
pub const SECRET_KEY: &str = "not-a-secret-outside-of-tests";

/// A server of its own for one test. It ends when this is dropped.
pub struct S3Server {
    folder: TempDir,
    process: Child,
    address: SocketAddr,
}

impl S3Server {
    /// Starts a server, and waits until it listens.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir_all(objects(folder.path())).expect("a folder for the bucket");
        let (process, address) = launch(folder.path(), "127.0.0.1:0");
        Self {
            folder,
            process,
            address,
        }
    }

    /// Where it listens, also after it was started again.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its bucket, as `outrider server --blobs` takes it.
    pub fn location(&self) -> String {
        location_at(self.address)
    }

    /// The folder in which the bucket's objects are files.
    pub fn objects(&self) -> PathBuf {
        objects(self.folder.path())
    }

    /// Kills it. Its objects stay.
    pub fn kill(&mut self) {
        self.process.kill().expect("a process that can be killed");
        self.process.wait().expect("a process that has ended");
    }

    /// Starts it again, where it was.
    pub fn start_again(&mut self) {
        let (process, address) = launch(self.folder.path(), &self.address.to_string());
        (self.process, self.address) = (process, address);
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The bucket at another address, behind which the server is.
pub fn location_at(address: SocketAddr) -> String {
    format!("s3://{BUCKET}?endpoint=http://{address}")
}

/// The variables with which one may use the bucket.
pub fn environment() -> BTreeMap<String, String> {
    [
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn objects(folder: &Path) -> PathBuf {
    folder.join("buckets").join(BUCKET)
}

fn launch(folder: &Path, address: &str) -> (Child, SocketAddr) {
    assert!(
        Path::new(RCLONE).exists(),
        "{RCLONE} is not there: `cargo xtask test` installs it"
    );
    let mut process = Command::new(RCLONE)
        .args(["serve", "s3", "--addr", address])
        .args(["--auth-key", &format!("{ACCESS_KEY},{SECRET_KEY}")])
        .args(["--config", "/dev/null"])
        .arg("--cache-dir")
        .arg(folder.join("cache"))
        .arg(folder.join("buckets"))
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("rclone can be started");
    let output = process.stderr.take().expect("it has an output");
    let address = listening(output, |line| {
        let (_, rest) = line.split_once("[http://")?;
        rest.split_once("/]")?.0.parse().ok()
    });
    (process, address)
}
