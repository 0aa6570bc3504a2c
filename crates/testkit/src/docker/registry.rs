//! A real registry: Debian's docker-registry, over a folder.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bollard::auth::DockerCredentials;
use bollard::models::PushImageInfo;
use bollard::query_parameters::{PushImageOptions, RemoveImageOptions, TagImageOptions};
use futures_util::TryStreamExt;
use serde_json::json;
use tempfile::TempDir;

use crate::listening::listening;

/// Who may use a registry that asks.
pub const USER: &str = "outrider";

/// And how they prove that they are it.
pub const PASSWORD: &str = "not-a-secret-outside-of-tests";

/// The line of `htpasswd` for the two.
const HTPASSWD: &str = "outrider:$2b$04$QDwpMWOlwfYtKtBpJbFBGeHz7d.8uJ5Bn95IOZe656Kq2do5y6/he\n";

/// A registry of its own for one test. It ends when this is dropped.
pub struct Registry {
    folder: TempDir,
    process: Child,
    address: SocketAddr,
    asks: bool,
}

/// The names of an image that is in a registry.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// With its tag.
    pub by_tag: String,
    /// With its digest.
    pub by_digest: String,
}

impl Registry {
    /// Starts one for everybody, and waits until it listens.
    pub fn start() -> Self {
        Self::launch(false)
    }

    /// Starts one that asks for [`USER`] and [`PASSWORD`].
    pub fn start_with_auth() -> Self {
        Self::launch(true)
    }

    fn launch(asks: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = write_config(folder.path(), asks);
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(config)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("docker-registry: {error}\n`cargo xtask test` installs it")
            });
        let output = process.stderr.take().expect("it has an output");
        let address = listening(output, |line| {
            let (_, rest) = line.split_once("listening on ")?;
            rest.split(['"', ' ']).next()?.parse().ok()
        });
        Self {
            folder,
            process,
            address,
            asks,
        }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder in which it keeps what was pushed.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts an image of the Engine there, under this name (`acme/app:1`), of which the Engine then
    /// knows nothing any more.
    pub async fn push(&self, image: &str, name: &str) -> Pushed {
        let engine = super::client();
        let (repository, tag) = name.rsplit_once(':').expect("a name with a tag");
        let repository = format!("{}/{repository}", self.address);
        let by_tag = format!("{repository}:{tag}");
        let named = TagImageOptions {
            repo: Some(repository.clone()),
            tag: Some(tag.to_owned()),
        };
        engine
            .tag_image(image, Some(named))
            .await
            .expect("an image that can have another name");
        let pushed = PushImageOptions {
            tag: Some(tag.to_owned()),
            ..PushImageOptions::default()
        };
        let said = engine
            .push_image(&repository, Some(pushed), self.credentials())
            .try_collect::<Vec<_>>()
            .await
            .expect("a registry that takes it");
        let digest = said.iter().find_map(digest);
        let pushed = Pushed {
            by_digest: format!("{repository}@{}", digest.expect("a digest")),
            by_tag,
        };
        self.forget(&pushed).await;
        pushed
    }

    /// Takes an image that was pulled from here from the Engine.
    pub async fn forget(&self, pushed: &Pushed) {
        forget(&pushed.by_tag).await;
        if has_digest(&pushed.by_digest).await {
            forget(&pushed.by_digest).await;
        }
    }

    fn credentials(&self) -> Option<DockerCredentials> {
        self.asks.then(|| DockerCredentials {
            username: Some(USER.to_owned()),
            password: Some(PASSWORD.to_owned()),
            ..DockerCredentials::default()
        })
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The digest of what was pushed, from the line that tells it.
fn digest(line: &PushImageInfo) -> Option<&str> {
    let (_, rest) = line.status.as_deref()?.split_once("digest: ")?;
    rest.split(' ').next()
}

/// Podman also finds images of other repositories by a digest, and would remove them.
async fn has_digest(name: &str) -> bool {
    let found = super::client().inspect_image(name).await;
    found.is_ok_and(|image| {
        image
            .repo_digests
            .is_some_and(|all| all.iter().any(|it| it == name))
    })
}

/// Takes a name from the Engine: the next who asks for it gets it from the registry.
async fn forget(name: &str) {
    let kept = RemoveImageOptions {
        noprune: true,
        ..RemoveImageOptions::default()
    };
    // The digest may have gone with the last tag.
    let _ = super::client().remove_image(name, Some(kept), None).await;
}

fn write_config(folder: &Path, asks: bool) -> std::path::PathBuf {
    let mut config = json!({
        "version": "0.1",
        "storage": {
            "filesystem": {"rootdirectory": folder.join("images")},
            "delete": {"enabled": true},
        },
        "http": {"addr": "127.0.0.1:0"},
    });
    if asks {
        let passwords = folder.join("htpasswd");
        std::fs::write(&passwords, HTPASSWD).expect("a file can be written");
        config["auth"] = json!({"htpasswd": {"realm": "tests", "path": passwords}});
    }
    // JSON is YAML.
    let path = folder.join("config.yml");
    std::fs::write(&path, config.to_string()).expect("a file can be written");
    path
}
