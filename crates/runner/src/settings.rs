//! What the owner of a runner decides.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use outrider_api::runner::RunnerIdentity;
use outrider_model::RunnerId;

use crate::redact::Secret;

/// Settings of one runner process.
#[derive(Clone)]
pub struct RunnerSettings {
    /// What its owner calls it.
    pub name: String,
    /// The host that it runs on.
    pub hostname: String,
    /// Its version.
    pub version: String,
    /// How jobs on this host reach the server, if they may: those that continue their pipeline.
    pub server_url: Option<String>,
    /// The outrider program as jobs can run it.
    pub program: Option<PathBuf>,
    /// How many tasks it runs at once; at least 1.
    pub slots: usize,
    /// A directory of its own for what waits to be delivered. Created with mode 0700.
    pub spool: PathBuf,
    /// A directory in which it remembers what it knows of files that it has saved and restored, so
    /// that it need not read them again. Without it, it reads them.
    pub trees: Option<PathBuf>,
    /// A directory for mirrors of the repositories that jobs check out. None: every checkout
    /// fetches from the server. Created with mode 0700.
    pub mirrors: Option<PathBuf>,
    /// How often leases are renewed.
    pub heartbeat: Duration,
    /// How long the server may hold a claim back while there is no work.
    pub claim_wait: Duration,
    /// How long processes have between TERM and KILL.
    pub stop_grace: Duration,
    /// How long a task may run, from its first step on.
    pub max_run_time: Duration,
    /// How long draining may take before what still runs is stopped. None: as long as it takes.
    pub drain_timeout: Option<Duration>,
    /// Variables for all steps, above the built-in ones. Never logged.
    pub extra_environment: BTreeMap<String, String>,
    /// The environment of the runner's own process. Steps see of it only what
    /// [`crate::env::INHERITED`] names. Never logged.
    pub inherited_environment: BTreeMap<String, String>,
    /// What is masked in the output of every task.
    pub secrets: Vec<Secret>,
    /// Whether programs in containers may gain rights by being executed, as sudo does.
    pub sudo_in_containers: bool,
    /// Whether it ends after one task.
    pub single_task: bool,
    /// After how long without work it ends.
    pub idle_timeout: Option<Duration>,
}

impl RunnerSettings {
    /// Defaults for everything but a name and a place.
    pub fn new(name: impl Into<String>, spool: impl Into<PathBuf>) -> Self {
        let name = name.into();
        Self {
            hostname: name.clone(),
            name,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            server_url: None,
            program: None,
            slots: 1,
            spool: spool.into(),
            trees: None,
            mirrors: None,
            heartbeat: Duration::from_secs(5),
            claim_wait: Duration::from_secs(30),
            stop_grace: Duration::from_secs(10),
            max_run_time: Duration::from_secs(5 * 60 * 60),
            drain_timeout: None,
            extra_environment: BTreeMap::new(),
            inherited_environment: BTreeMap::new(),
            secrets: Vec::new(),
            sudo_in_containers: false,
            single_task: false,
            idle_timeout: None,
        }
    }

    pub(crate) fn identity(&self, id: RunnerId) -> RunnerIdentity {
        RunnerIdentity {
            id,
            name: self.name.clone(),
            hostname: self.hostname.clone(),
            version: self.version.clone(),
            slots: u32::try_from(self.slots).unwrap_or(u32::MAX),
        }
    }
}

impl fmt::Debug for RunnerSettings {
    /// Without the environments: there may be secrets in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunnerSettings")
            .field("name", &self.name)
            .field("hostname", &self.hostname)
            .field("version", &self.version)
            .field("slots", &self.slots)
            .field("spool", &self.spool)
            .field("max_run_time", &self.max_run_time)
            .finish_non_exhaustive()
    }
}
