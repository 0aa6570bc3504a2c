//! Images that are made here, and found again by what is in them.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use bollard::errors::Error;
use bollard::query_parameters::ImportImageOptions;
use bollard::{Docker, body_full};
use futures_util::TryStreamExt;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::layer;

/// An image for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// A static busybox with all applets: no bash, no glibc. Users are root, `ci` (1000) and nobody.
    Busybox,
    /// The same, and its user is `ci`.
    BusyboxAsUser,
    /// Debian with bash, glibc, sudo and OpenSSH's client, and the user `ci` (1000).
    Debian,
    /// The same, and its user is `ci`.
    DebianAsUser,
    /// The same, and it runs a Redis on port 6379, which it exposes.
    Redis,
    /// One program, `/busybox`, which is a web server on port 8080: no shell, no users.
    Scratch,
    /// For processors that this machine does not have.
    WrongArchitecture,
    /// It says that it is healthy when there is a file `/healthy`, which it makes after a second.
    Healthy,
    /// It never says that it is healthy.
    Unhealthy,
    /// A web server on port 8080, which it exposes.
    Service,
    /// The same, and its label says that it is to serve in a primary container too.
    Preserving,
}

impl Image {
    /// Its name at the Engine of the tests. It is made if it is not there.
    pub async fn provide(self) -> String {
        self.provide_at(&super::client()).await
    }

    /// Its name at another Engine.
    pub async fn provide_at(self, engine: &Docker) -> String {
        let layer = self.layer();
        let config = self.config(&layer).to_string().into_bytes();
        let tag = format!("outrider-test/{}:{}", self.name(), &sha256(&config)[..16]);
        // Another test may be making it, in this process or in another.
        let lock = tokio::task::spawn_blocking(|| lock("images"));
        let _lock = lock.await.expect("a lock");
        if !has(engine, &tag).await {
            load(engine, &tag, &config, &layer).await;
        }
        tag
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Busybox => "busybox",
            Self::BusyboxAsUser => "busybox-as-user",
            Self::Debian => "debian",
            Self::DebianAsUser => "debian-as-user",
            Self::Redis => "redis",
            Self::Scratch => "scratch",
            Self::WrongArchitecture => "wrong-architecture",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Service => "service",
            Self::Preserving => "preserving",
        }
    }

    fn layer(self) -> Vec<u8> {
        match self {
            Self::Debian | Self::DebianAsUser | Self::Redis => layer::debian(),
            Self::Scratch => layer::scratch(),
            _ => layer::busybox(),
        }
    }

    /// The image's config, as the OCI's specification has it.
    fn config(self, layer: &[u8]) -> Value {
        json!({
            "architecture": self.architecture(),
            "os": "linux",
            "created": "2026-01-01T00:00:00Z",
            "config": self.defaults(),
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(layer))]},
            "history": [{"created_by": "outrider-testkit"}],
        })
    }

    const fn architecture(self) -> &'static str {
        let arm = cfg!(target_arch = "aarch64");
        match self {
            Self::WrongArchitecture if arm => "amd64",
            Self::WrongArchitecture => "arm64",
            _ if arm => "arm64",
            _ => "amd64",
        }
    }

    /// What its containers do if nobody says otherwise.
    fn defaults(self) -> Value {
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let healthy = |command: &str| {
            json!({
                "Env": [path],
                "Cmd": ["sh", "-c", command],
                "Healthcheck": {
                    "Test": ["CMD", "test", "-e", "/healthy"],
                    "Interval": 500_000_000, "Timeout": 5_000_000_000_u64, "Retries": 3,
                },
            })
        };
        match self {
            Self::Busybox | Self::WrongArchitecture => json!({"Env": [path], "Cmd": ["sh"]}),
            Self::BusyboxAsUser => json!({"Env": [path], "Cmd": ["sh"], "User": "ci"}),
            Self::Debian => json!({"Env": [path], "Cmd": ["bash"]}),
            Self::DebianAsUser => json!({"Env": [path], "Cmd": ["bash"], "User": "ci"}),
            Self::Redis => json!({
                "Env": [path],
                "Cmd": ["redis-server", "--protected-mode", "no", "--save", ""],
                "ExposedPorts": {"6379/tcp": {}},
            }),
            Self::Scratch => json!({
                "Entrypoint": ["/busybox", "httpd", "-f", "-p", "8080", "-h", "/"],
            }),
            Self::Healthy => healthy("sleep 1; : > /healthy; exec sleep 1000000"),
            Self::Unhealthy => healthy("exec sleep 1000000"),
            Self::Service | Self::Preserving => json!({
                "Env": [path, "GREETING=hello"],
                "Entrypoint": ["httpd"],
                "Cmd": ["-f", "-v", "-p", "8080", "-h", "/srv"],
                "ExposedPorts": {"8080/tcp": {}},
                "Labels": {
                    "com.circleci.preserve-entrypoint": (self == Self::Preserving).to_string(),
                },
            }),
        }
    }
}

async fn has(engine: &Docker, tag: &str) -> bool {
    match engine.inspect_image(tag).await {
        Ok(_) => true,
        Err(Error::DockerResponseServerError {
            status_code: 404, ..
        }) => false,
        Err(error) => panic!("the Engine does not say whether it has {tag}: {error}"),
    }
}

async fn load(engine: &Docker, tag: &str, config: &[u8], layer: &[u8]) {
    // With the registry: Podman takes a name without one for an image of this host.
    let name = format!("docker.io/{tag}");
    let manifest = json!([
        {"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}
    ]);
    let archive = layer::archive(&[
        ("manifest.json", manifest.to_string().as_bytes()),
        ("config.json", config),
        ("layer.tar", layer),
    ]);
    let options = ImportImageOptions::default();
    engine
        .import_image(options, body_full(archive.into()), None)
        .try_collect::<Vec<_>>()
        .await
        .unwrap_or_else(|error| panic!("the Engine does not load {tag}: {error}"));
}

/// Waits until nobody else has the lock of this name, and takes it until it is dropped: each test may
/// be a process of its own. It is the user's, so that nobody meets a file that is another's.
///
/// # Panics
///
/// If there is no place for temporary files.
pub fn lock(name: &str) -> File {
    let user = std::fs::metadata("/proc/self").expect("this process").uid();
    let path = std::env::temp_dir().join(format!("outrider-test-{name}-{user}.lock"));
    let lock = File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    lock.lock().expect("a lock");
    lock
}

fn sha256(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
