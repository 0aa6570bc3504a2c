//! A real Docker Engine for tests, images for it, and a registry.
//!
//! No image comes from the internet: [`Image`] makes them, once per Engine.

mod image;
mod layer;
mod own;
mod podman;
mod proxy;
mod registry;

use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use bollard::Docker;

pub use self::image::{Image, lock};
pub use self::own::OwnEngine;
pub use self::podman::{Podman, at_podman};
pub use self::proxy::Proxy;
pub use self::registry::{PASSWORD, Pushed, Registry, USER};

/// The Engine that `cargo xtask test` has started or found.
const TEST_ENGINE: &str = "OUTRIDER_TEST_ENGINE";

/// Where an Engine usually listens.
const USUAL: &str = "unix:///var/run/docker.sock";

/// The address of an Engine that answers, as `DOCKER_HOST` has it.
pub fn engine() -> String {
    let address = [TEST_ENGINE, "DOCKER_HOST"]
        .into_iter()
        .filter_map(std::env::var_os)
        .map(|address| address.into_string().expect("an address in UTF-8"))
        .find(|address| !address.is_empty())
        .unwrap_or_else(|| USUAL.to_owned());
    assert!(
        listens(&address),
        "no Docker Engine listens at {address}\nRun the tests with `cargo xtask test`: it brings one along."
    );
    address
}

/// A client of that Engine.
pub fn client() -> Docker {
    Docker::connect_with_host(&engine()).expect("an address that a client understands")
}

fn listens(address: &str) -> bool {
    match address.split_once("://") {
        Some(("unix", path)) => UnixStream::connect(path).is_ok(),
        Some((_, host)) => TcpStream::connect(host).is_ok(),
        None => false,
    }
}

#[cfg(test)]
mod tests;
