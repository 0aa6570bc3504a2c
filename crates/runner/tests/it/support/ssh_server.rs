//! A real `sshd` on loopback, with keys of its own.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use outrider_api::data::SshKey;
use outrider_service::Tasks;
use tempfile::TempDir;
use tokio::net::TcpListener;

const SSHD: &str = "/usr/sbin/sshd";

pub struct SshServer {
    address: SocketAddr,
    directory: TempDir,
    _tasks: Tasks,
}

impl SshServer {
    /// Lets in whoever has the key of [`Agent::start`].
    pub async fn start() -> Self {
        assert!(
            Path::new(SSHD).exists(),
            "sshd is missing: `cargo xtask test` installs it, or install openssh-server"
        );
        // It wants this where it runs as root, and nowhere else.
        if rustix::process::geteuid().is_root() {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let directory = tempfile::tempdir().unwrap();
        make_key(&directory.path().join("host"));
        make_key(&directory.path().join("user"));
        let config = directory.path().join("config");
        let settings = format!(
            "HostKey {0}/host\nAuthorizedKeysFile {0}/user.pub\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin prohibit-password\nPidFile none\n",
            directory.path().display()
        );
        std::fs::write(&config, settings).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tasks = Tasks::new();
        tasks.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let client = client.into_std().unwrap();
                client.set_nonblocking(false).unwrap();
                let input = OwnedFd::from(client.try_clone().unwrap());
                let mut server = tokio::process::Command::new(SSHD);
                server
                    .args(["-i", "-e", "-f"])
                    .arg(&config)
                    .stdin(Stdio::from(input))
                    .stdout(Stdio::from(OwnedFd::from(client)))
                    .stderr(Stdio::null());
                server.spawn().unwrap();
            }
        });
        Self {
            address,
            directory,
            _tasks: tasks,
        }
    }

    pub fn url(&self, repository: &Path) -> String {
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap();
        format!(
            "ssh://{}@{}{}",
            user.trim(),
            self.address,
            repository.display()
        )
    }

    /// Its line in a file of known hosts, with another key.
    pub fn posed(&self) -> String {
        let key = std::fs::read_to_string(self.directory.path().join("user.pub")).unwrap();
        let (ip, port) = (self.address.ip(), self.address.port());
        format!("[{ip}]:{port} {key}")
    }

    /// The key, as a secret of a project.
    pub fn key(&self, host: Option<&str>) -> SshKey {
        secret_key(&self.directory.path().join("user"), "of-a-test", host)
    }

    /// A key that the server does not take.
    pub fn other_key(&self, host: Option<&str>) -> SshKey {
        let path = self.directory.path().join("other");
        make_key(&path);
        secret_key(&path, "another", host)
    }

    /// An agent that has the key.
    pub fn agent(&self) -> Agent {
        Agent::start(&self.directory.path().join("user"))
    }
}

fn secret_key(path: &Path, fingerprint: &str, host: Option<&str>) -> SshKey {
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    SshKey {
        fingerprint: format!("SHA256:{fingerprint}"),
        fingerprint_md5: format!("MD5 of {fingerprint}"),
        public_key: read(&path.with_extension("pub")),
        host: host.map(str::to_owned),
        private_key: read(path),
    }
}

fn make_key(path: &Path) {
    let mut command = Command::new("ssh-keygen");
    command
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path);
    assert!(command.status().unwrap().success());
}

/// A real `ssh-agent`.
pub struct Agent {
    pub socket: PathBuf,
    child: Child,
    _directory: TempDir,
}

impl Agent {
    fn start(key: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let mut command = Command::new("ssh-agent");
        command
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null());
        let child = command.spawn().unwrap();
        while !socket.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut add = Command::new("ssh-add");
        add.arg("-q").arg(key).env("SSH_AUTH_SOCK", &socket);
        assert!(add.status().unwrap().success());
        Self {
            socket,
            child,
            _directory: directory,
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
