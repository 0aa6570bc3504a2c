//! Why a runner cannot go on.

use std::path::PathBuf;

use outrider_api::client::ClientError;

/// A runner ended otherwise than by draining.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The spool cannot be used.
    #[error("cannot use the spool directory {}\n  Give the runner a directory that it may write to.", .path.display())]
    Spool {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process uses the spool.
    #[error(
        "another runner uses the spool directory {}\n  \
         Stop that one, or give this one a directory of its own.", .path.display()
    )]
    SpoolLocked {
        /// The directory.
        path: PathBuf,
    },
    /// The server does not take the token.
    #[error(
        "the server does not accept this runner's token\n  \
         It may be revoked or mistyped: make a new one with \
         `outrider token create --class NAMESPACE/NAME` and start the runner with it."
    )]
    NotAllowed(#[source] ClientError),
    /// The server answers in a way that this version does not understand, or refuses the claim.
    #[error(
        "the server refuses to give work to this runner\n  Check that both have the same version, and that the URL is the server's."
    )]
    Refused(#[source] ClientError),
}
