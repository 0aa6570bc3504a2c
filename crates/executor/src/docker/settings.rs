//! What the owner of a runner decides about containers.

use std::path::PathBuf;
use std::time::Duration;

/// How to run steps in containers.
#[derive(Clone, Debug)]
pub struct DockerSettings {
    /// What people call the runner: in labels and names of containers.
    pub runner_name: String,
    /// The `outrider` program, as this host sees it: what it consists of is placed in containers.
    pub program: PathBuf,
    /// A folder in which runners that may clean up after each other keep their locks. Created with
    /// mode 0700.
    pub owners: PathBuf,
    /// The address of the Engine, as `DOCKER_HOST` has it. None: the usual sockets are tried.
    pub engine: Option<String>,
    /// How long the Engine may take for an answer, a container for its first word, and an Engine
    /// that went away for its return. A pull reports progress, and may take longer.
    pub patience: Duration,
    /// What the primary container of a task may use.
    pub limits: Limits,
    /// What each of its service containers may use.
    pub service_limits: Limits,
    /// When images are pulled.
    pub pull: PullPolicy,
    /// What containers may do.
    pub privileges: Privileges,
    /// Which containers wait for tasks.
    pub warm: Warm,
    /// Which images are kept.
    pub images: ImageCare,
    /// What is kept of what builds leave for later builds. None: all of it.
    pub build_cache: Option<BuildCacheCare>,
}

impl DockerSettings {
    /// The usual settings.
    pub fn new(
        runner_name: impl Into<String>,
        program: impl Into<PathBuf>,
        owners: impl Into<PathBuf>,
    ) -> Self {
        Self {
            runner_name: runner_name.into(),
            program: program.into(),
            owners: owners.into(),
            engine: None,
            // Longer than a busy Engine needs.
            patience: Duration::from_secs(120),
            limits: Limits::default(),
            service_limits: Limits::default(),
            pull: PullPolicy::default(),
            privileges: Privileges::default(),
            warm: Warm::default(),
            images: ImageCare::default(),
            build_cache: None,
        }
    }
}

/// What a container may use. None: what the size of the job says (`resource_class: medium`), or all
/// that the host has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Thousandths of a processor.
    pub cpu_millis: Option<u64>,
    /// Bytes of memory. Nothing is swapped.
    pub memory: Option<u64>,
    /// Bytes that it may write to its own file system.
    pub storage: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

/// When images are pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// If the Engine does not have it, or had it from a registry that asked for credentials.
    #[default]
    Missing,
    /// Before every task.
    Always,
    /// Never: it must be there.
    Never,
}

/// What containers may do. Nothing of this, unless the owner of the runner says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privileges {
    /// Whether programs may gain rights by being executed: `sudo`, `su`.
    pub sudo: bool,
    /// Whether jobs that ask for it (`setup_remote_docker`) get the Engine's socket, and with it the
    /// rights of root on its host.
    pub docker_socket: bool,
    /// Whether the root of the file system is read-only.
    pub read_only_root: bool,
}

/// Which containers wait, running, for tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warm {
    /// How many: of each of the images, or in all if none is named.
    pub containers: usize,
    /// Of which images. Empty: of those that tasks used last.
    pub images: Vec<String>,
}

/// Which images are kept. Only images that runners have pulled are ever removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageCare {
    /// How many bytes they may have together.
    pub max_bytes: Option<u64>,
    /// For how long an image is kept that no task uses.
    pub max_age: Option<Duration>,
    /// How many bytes are to be free on the Engine's disk.
    pub min_free: Option<u64>,
}

impl Default for ImageCare {
    fn default() -> Self {
        Self {
            max_bytes: None,
            max_age: Some(Duration::from_secs(14 * 24 * 3_600)),
            min_free: Some(5 << 30),
        }
    }
}

/// What is kept of what builds leave for later builds, whoever built. If there is too little space on
/// the Engine's disk nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildCacheCare {
    /// How many bytes it may have.
    pub max_bytes: Option<u64>,
    /// For how long that is kept that no build uses.
    pub max_age: Option<Duration>,
}

impl Default for BuildCacheCare {
    fn default() -> Self {
        Self {
            max_bytes: None,
            max_age: ImageCare::default().max_age,
        }
    }
}
