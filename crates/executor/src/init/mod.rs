//! The first process of a container (`outrider task-init`): it starts steps and ends them, and is
//! spoken to over one stream of bytes.
//!
//! The runner holds the other end of its stdin and stdout. When that end closes, whatever the
//! reason, the init ends every process and itself, and with it the container.

mod client;
mod link;
mod protocol;
mod server;
mod service;

use std::collections::BTreeMap;
use std::path::PathBuf;

use outrider_model::AttemptId;
use serde::{Deserialize, Serialize};

pub use self::client::{InitClient, Program};
pub use self::server::main;
pub use self::service::{RUNNER_IS_GONE, must_be_first, service_arguments};

/// The hidden verb of the command line by which the init is started.
pub const VERB: &str = "task-init";

/// What makes a waiting container ready for a task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetUp {
    /// Which attempt will run; its processes can be told by it.
    pub attempt: AttemptId,
    /// The user of the steps: a name or an id, with a group after a colon where one is wanted.
    /// None: root, or whoever the init itself runs as.
    pub user: Option<String>,
    /// Groups that the user is given besides its own.
    pub extra_groups: Vec<u32>,
    /// The variables of the image.
    pub environment: BTreeMap<String, String>,
    /// As in the config, for example `~/project`.
    pub working_directory: String,
    /// Names that mean this host.
    pub hosts: Vec<String>,
    /// A folder that was made for the job: it becomes its user's.
    pub given: Option<String>,
    /// How much memory there is, in bytes, if it is limited.
    pub memory_limit: Option<u64>,
    /// How this program is run inside: the words of its command line before the arguments.
    pub tool: Vec<String>,
}

/// A program that runs beside the steps, as their user.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProgramRequest {
    /// Its name and its arguments.
    pub words: Vec<String>,
    /// Its whole environment, except what the init itself must add.
    pub environment: BTreeMap<String, String>,
    /// Where it starts.
    pub working_directory: PathBuf,
}

/// What a container turned out to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// What `~` means.
    pub home: PathBuf,
    /// The user's name, or its id if it has none.
    pub user: String,
    /// The user's id.
    pub uid: u32,
    /// The user's main group.
    pub gid: u32,
    /// Where the job works. It exists.
    pub working_directory: PathBuf,
    /// The shell of steps that name none.
    pub shell: Vec<String>,
    /// What steps see before anybody adds anything.
    pub variables: BTreeMap<String, String>,
}
