//! Descriptors that tell tokio when they can be read.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a descriptor. If that fails, gives it back with the cause.
#[expect(
    unsafe_code,
    reason = "the safe constructors are deprecated: the trait they take is safe"
)]
pub(crate) fn watch(descriptor: OwnedFd) -> Result<AsyncFd<OwnedFd>, (OwnedFd, io::Error)> {
    // SAFETY: an `OwnedFd` names the same open descriptor from here to its end.
    let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    registered.map_err(|error| error.into_parts())
}
