//! The Engine: where it is, whether it answers, and what its errors mean.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::{SystemInfo, SystemInfoCgroupVersionEnum, SystemVersion};
use bollard::{ClientVersion, Docker};

use super::answer::{answered, deepest, is_full};
use super::reach;
use crate::ExecutorError;

/// The oldest API that is used.
pub(super) const OLDEST: ClientVersion = ClientVersion {
    major_version: 1,
    minor_version: 41,
};

/// A connection to an Engine that has answered.
pub(super) struct Engine {
    docker: Docker,
    address: String,
    info: SystemInfo,
    podman: bool,
    rootless: bool,
}

impl Engine {
    /// Looks for the Engine at this address, or where one usually is. From then on it may take so
    /// long for each answer.
    pub async fn connect(address: Option<&str>, patience: Duration) -> Result<Self, ExecutorError> {
        let address = match address {
            Some(address) => address.to_owned(),
            None => usual_address().await?,
        };
        let docker = client(&address, patience)?;
        let unreachable = |error| unreachable(&address, error);
        let docker = docker.negotiate_version().await.map_err(unreachable)?;
        let version = answered(&docker, docker.version()).await;
        let version = version.map_err(unreachable)?;
        check_version(docker.client_version(), &version, &address)?;
        let docker = speak(docker);
        let info = answered(&docker, docker.info()).await;
        let info = info.map_err(unreachable)?;
        let podman = is_podman(&version);
        Ok(Self {
            rootless: security(&info, "rootless").is_some() || podman && is_of_a_user(&address),
            docker,
            address,
            info,
            podman,
        })
    }

    /// Why nobody listens where it is looked for, if so.
    pub async fn absent(address: Option<&str>) -> Option<ExecutorError> {
        let address = match address {
            Some(address) => address.to_owned(),
            None => match usual_address().await {
                Ok(address) => address,
                Err(error) => return Some(error),
            },
        };
        let refused = reach::connect(&address).await.err()?;
        Some(silent(&address, refused))
    }

    /// The client.
    pub const fn docker(&self) -> &Docker {
        &self.docker
    }

    /// What the Engine said about itself and its host when it was found.
    pub const fn info(&self) -> &SystemInfo {
        &self.info
    }

    /// Whether it is Podman.
    pub const fn is_podman(&self) -> bool {
        self.podman
    }

    /// Whether it sometimes does not tell that the kernel has ended a container for lack of memory:
    /// with version 2 of cgroups, the container's may be gone before it was read. Of other ends Docker
    /// tells; Podman does not.
    pub fn may_miss_lack_of_memory(&self) -> bool {
        !self.podman && self.info.cgroup_version == Some(SystemInfoCgroupVersionEnum::_2)
    }

    /// By what it is known again. Podman takes a new id for each answer: it is where its data is.
    pub fn identity(&self) -> String {
        let it = match self.podman {
            true => &self.info.docker_root_dir,
            false => &self.info.id,
        };
        it.clone().unwrap_or_default()
    }

    /// Whether it runs without root's rights.
    pub const fn is_rootless(&self) -> bool {
        self.rootless
    }

    /// Whether root of a container is another user of the host than root of the Engine. The
    /// Engine's own socket is of no use in such containers.
    pub fn remaps_users(&self) -> bool {
        self.security("userns").is_some()
    }

    /// An entry of the Engine's security options.
    pub fn security(&self, name: &str) -> Option<&str> {
        security(&self.info, name)
    }

    /// Where it is, as `DOCKER_HOST` has it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The API that is spoken with it, such as `1.41`.
    pub fn api(&self) -> String {
        shown(&self.docker.client_version())
    }

    /// How long it may take for an answer.
    pub fn patience(&self) -> Duration {
        self.docker.timeout()
    }

    /// An error that says what is wrong, if it does not answer now.
    pub async fn greet(&self) -> Result<(), ExecutorError> {
        match answered(&self.docker, self.docker.ping()).await {
            Ok(_) => Ok(()),
            Err(error @ Error::RequestTimeoutError) => Err(self.error("nothing can start", error)),
            Err(error) => Err(unreachable(&self.address, error)),
        }
    }

    /// Its socket, if it is one of this host.
    pub fn socket(&self) -> Option<&Path> {
        self.address.strip_prefix("unix://").map(Path::new)
    }

    /// Something that was asked of the Engine was not done.
    pub fn error(&self, what: &str, error: Error) -> ExecutorError {
        match error {
            Error::DockerResponseServerError { message, .. } if is_full(&message) => {
                let folder = self.info.docker_root_dir.as_deref().unwrap_or_default();
                let what = format!(
                    "{what}: the disk of the Docker Engine at {} is full\n\
                     free some space on its host, where {folder} is",
                    self.address
                );
                ExecutorError::infrastructure(what, io::Error::other(message.trim().to_owned()))
            }
            Error::DockerResponseServerError { message, .. } => {
                ExecutorError::infrastructure(what, io::Error::other(message.trim().to_owned()))
            }
            Error::RequestTimeoutError => {
                let message = format!(
                    "{what}: the Docker Engine at {} has not answered for {} seconds\n\
                     look at its log and at the load of its host",
                    self.address,
                    self.patience().as_secs()
                );
                ExecutorError::infrastructure(message, None)
            }
            error => {
                let ExecutorError {
                    message, source, ..
                } = unreachable(&self.address, error);
                ExecutorError::infrastructure(format!("{what}: {message}"), source)
            }
        }
    }
}

/// The status with which the Engine has refused something.
pub(super) const fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

fn client(address: &str, patience: Duration) -> Result<Docker, ExecutorError> {
    let seconds = patience.as_secs().max(1);
    let client = match address.split_once("://") {
        Some(("unix", _)) => {
            Docker::connect_with_unix(address, seconds, bollard::API_DEFAULT_VERSION)
        }
        Some(("tcp" | "http", _)) => {
            Docker::connect_with_http(address, seconds, bollard::API_DEFAULT_VERSION)
        }
        _ => {
            let message = format!(
                "`{address}` is no address of a Docker Engine that can be used\n\
                 give one that starts with `unix://` or `tcp://`"
            );
            return Err(ExecutorError::infrastructure(message, None));
        }
    };
    client.map_err(|error| unreachable(address, error))
}

fn unreachable(address: &str, error: Error) -> ExecutorError {
    let source = match error {
        Error::IOError { err } => err,
        Error::SocketNotFoundError(_) => io::ErrorKind::NotFound.into(),
        error => io::Error::other(deepest(&error)),
    };
    silent(address, source)
}

fn silent(address: &str, source: io::Error) -> ExecutorError {
    let message = format!(
        "no Docker Engine answers at {address}\n\
         check that it runs and that this user may use its socket, or name another one with \
         DOCKER_HOST"
    );
    ExecutorError::infrastructure(message, source)
}

/// Whether this is what Podman says of itself.
pub(super) fn is_podman(version: &SystemVersion) -> bool {
    let mut components = version.components.iter().flatten();
    components.any(|component| component.name.to_ascii_lowercase().contains("podman"))
}

fn security<'a>(info: &'a SystemInfo, name: &str) -> Option<&'a str> {
    let options = info.security_options.iter().flatten();
    let is_it = |option: &&String| option.split(',').any(|part| part == format!("name={name}"));
    options.into_iter().find(is_it).map(String::as_str)
}

/// Podman does not say that it runs without root in any answer that the client understands. It
/// shows in whose its socket is.
fn is_of_a_user(address: &str) -> bool {
    let socket = address.strip_prefix("unix://").map(std::fs::metadata);
    socket.is_some_and(|found| found.is_ok_and(|it| it.uid() != 0))
}

/// `spoken` is the newest version that both sides know, if they have one in common.
fn check_version(
    spoken: ClientVersion,
    engine: &SystemVersion,
    address: &str,
) -> Result<(), ExecutorError> {
    let oldest = engine.min_api_version.as_deref().and_then(parse);
    let (trouble, advice) = match oldest {
        _ if spoken < OLDEST => (
            format!(
                "speaks version {} of its API, and {} is needed",
                shown(&spoken),
                shown(&OLDEST)
            ),
            "install Docker 20.10 or later, or Podman 4 or later",
        ),
        Some(oldest) if spoken < oldest => (
            format!(
                "wants version {} of its API or later, and this runner knows {}",
                shown(&oldest),
                shown(&spoken)
            ),
            "install a newer Outrider, or let the Engine speak older versions of its API",
        ),
        _ => return Ok(()),
    };
    let message = format!("the Docker Engine at {address} {trouble}\n{advice}");
    Err(ExecutorError::infrastructure(message, None))
}

/// Asks for the version that was agreed on. The client itself names none: then the Engine answers
/// as its newest one does.
fn speak(docker: Docker) -> Docker {
    let version = format!("/v{}", shown(&docker.client_version()));
    docker.with_request_modifier(move |mut request| {
        let whole = request.uri().to_string();
        let path = request.uri().path_and_query().map(ToString::to_string);
        let parts = path.and_then(|path| Some((whole.strip_suffix(&path)?, path)));
        let uri = parts.and_then(|(host, path)| format!("{host}{version}{path}").parse().ok());
        if let Some(uri) = uri {
            *request.uri_mut() = uri;
        }
        request
    })
}

fn parse(version: &str) -> Option<ClientVersion> {
    let (major, minor) = version.split_once('.')?;
    Some(ClientVersion {
        major_version: major.parse().ok()?,
        minor_version: minor.parse().ok()?,
    })
}

fn shown(version: &ClientVersion) -> String {
    format!("{}.{}", version.major_version, version.minor_version)
}

/// The same that [`reach`] finds: what decides where a job runs.
async fn usual_address() -> Result<String, ExecutorError> {
    if let Some(address) = reach::first(None).await {
        return Ok(address);
    }
    let usual = reach::addresses(None);
    let is_there = |address: &&String| {
        let path = address.strip_prefix("unix://").map(Path::new);
        path.is_some_and(Path::exists)
    };
    // One that does not let us in says why.
    if let Some(address) = usual.iter().find(is_there) {
        return Ok(address.clone());
    }
    let message = format!(
        "there is no Docker Engine: nothing is at {}\n\
         install and start Docker or Podman, or say with DOCKER_HOST where its socket is",
        usual.join(", ")
    );
    Err(ExecutorError::infrastructure(message, None))
}

#[cfg(test)]
mod tests;
