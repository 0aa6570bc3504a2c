//! What makes secrets unreadable to whoever has only the database: the keys that seal them, and
//! what can be known of SSH keys.

mod keyring;
mod ssh_key;

pub use keyring::{KeyError, Keyring, new_key};
pub(crate) use ssh_key::{PrivateKey, SshKeyFacts};
