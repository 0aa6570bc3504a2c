//! Where an Engine may listen.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

/// For how long an Engine may be silent when it is looked for.
const PATIENCE: Duration = Duration::from_secs(2);

/// The addresses at which an Engine may listen, the likeliest first: the one that is given, or the
/// usual sockets of Docker and Podman.
pub fn addresses(given: Option<&str>) -> Vec<String> {
    match given {
        Some(address) => vec![address.to_owned()],
        None => usual(rustix::process::geteuid().as_raw()),
    }
}

/// A user's own Engine comes first only where the system's is not for them: it is not there, or
/// refuses the connection.
fn usual(user: u32) -> Vec<String> {
    let own = format!("/run/user/{user}");
    let sockets = [
        "/var/run/docker.sock".to_owned(),
        format!("{own}/docker.sock"),
        format!("{own}/podman/podman.sock"),
        "/run/podman/podman.sock".to_owned(),
    ];
    sockets.map(|path| format!("unix://{path}")).to_vec()
}

/// Whether anything listens at one of these addresses.
pub async fn reachable(given: Option<&str>) -> bool {
    first(given).await.is_some()
}

/// The first of these addresses at which something listens.
pub async fn first(given: Option<&str>) -> Option<String> {
    for address in addresses(given) {
        if connect(&address).await.is_ok() {
            return Some(address);
        }
    }
    None
}

/// An error unless something listens at this address.
pub(super) async fn connect(address: &str) -> io::Result<()> {
    let connecting = async {
        match address.split_once("://") {
            Some(("unix", path)) => UnixStream::connect(Path::new(path)).await.map(drop),
            Some((_, host)) => TcpStream::connect(host.trim_end_matches('/'))
                .await
                .map(drop),
            None => Err(io::ErrorKind::InvalidInput.into()),
        }
    };
    tokio::time::timeout(PATIENCE, connecting).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_listens_is_reachable() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("engine.sock");
        let address = format!("unix://{}", path.display());
        assert!(!reachable(Some(&address)).await, "nothing is there");
        let listener = tokio::net::UnixListener::bind(&path).expect("bound");
        assert_eq!(first(Some(&address)).await, Some(address.clone()));
        drop(listener);
        assert!(!reachable(Some(&address)).await, "nobody listens any more");
    }

    #[tokio::test]
    async fn a_bare_path_is_no_address() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("engine.sock");
        let _listener = tokio::net::UnixListener::bind(&path).expect("bound");
        assert!(!reachable(path.to_str()).await);
    }

    #[test]
    fn a_given_address_is_the_only_one() {
        assert_eq!(addresses(Some("tcp://box:2375")), ["tcp://box:2375"]);
        let usual = usual(1000);
        assert!(usual.contains(&"unix:///var/run/docker.sock".to_owned()));
        assert!(usual.contains(&"unix:///run/user/1000/podman/podman.sock".to_owned()));
    }
}
