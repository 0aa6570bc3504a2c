//! What the server does, without HTTP. The API calls it, and so do simulations.

mod configs;
mod continuation;
mod data;
mod logs;
mod orbs;
mod people;
mod pipelines;
mod runners;
mod secrets;
mod source;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use outrider_blobs::Blobs;
use outrider_model::secret::{Token, TokenHash};
use outrider_model::{AttemptId, ClassName, Random, RunnerId, TaskId, Timestamp};
use outrider_service::{Clock, Shutdown};
use outrider_store::{Store, TokenRecord, TokenScope};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::ApiError;
use crate::hub::Hub;
use crate::logs::LogFiles;
use crate::metrics::Metrics;
use crate::secrets::Keyring;
use crate::settings::ServerSettings;
use crate::watch::{Topic, Watchers};
use outrider_api::ErrorCode;

pub use data::Download;
pub(crate) use data::name_of;
pub use logs::{FollowedLog, Next};

use data::{Room, TEST_READERS, Uploads};
pub use orbs::{NoOrbs, OrbSource};

/// What a [`Core`] is made of.
pub struct Parts {
    /// Where orbs come from that do not come with a config.
    pub orbs: Arc<dyn OrbSource>,
    /// Its memory.
    pub store: Arc<dyn Store>,
    /// Where the bytes of blobs lie.
    pub blobs: Blobs,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
    /// Where tokens and ids come from.
    pub random: Arc<dyn Random>,
    /// What seals secrets.
    pub keyring: Keyring,
    /// Called at crash points, in tests.
    pub crash: Option<outrider_service::crash::CrashHook>,
}

/// The control plane.
pub struct Core {
    orbs: Arc<dyn OrbSource>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: Blobs,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    keyring: Keyring,
    pub(crate) settings: ServerSettings,
    pub(crate) shutdown: Shutdown,
    pub(crate) hub: Arc<Hub>,
    pub(crate) watchers: Arc<Watchers>,
    pub(crate) metrics: Metrics,
    pub(crate) started_at: Timestamp,
    uploads: Uploads,
    test_readers: Arc<Semaphore>,
    pub(crate) room: Room,
    logs: LogFiles,
    crash: Option<outrider_service::crash::CrashHook>,
    tokens: Mutex<HashMap<TokenHash, (Identity, Instant)>>,
    seen: Mutex<HashMap<RunnerId, Instant>>,
    draining: Mutex<HashSet<RunnerId>>,
}

/// Who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Somebody with an admin token.
    Admin {
        /// The token's nickname.
        name: String,
    },
    /// A runner.
    Runner {
        /// The class that its token allows.
        class: ClassName,
    },
}

impl Core {
    /// A control plane that serves nobody yet.
    pub fn new(parts: Parts, settings: ServerSettings, shutdown: Shutdown) -> Self {
        Self {
            started_at: parts.clock.now(),
            orbs: parts.orbs,
            store: parts.store,
            uploads: Uploads::new(&parts.blobs),
            test_readers: Arc::new(Semaphore::new(TEST_READERS)),
            room: Room::default(),
            blobs: parts.blobs,
            clock: parts.clock,
            random: parts.random,
            keyring: parts.keyring,
            crash: parts.crash,
            logs: LogFiles::new(settings.log_directory.clone()),
            settings,
            shutdown,
            hub: Arc::default(),
            watchers: Arc::default(),
            metrics: Metrics::default(),
            tokens: Mutex::default(),
            seen: Mutex::default(),
            draining: Mutex::default(),
        }
    }

    /// How long a looked-up token is remembered: another server may revoke it.
    const TOKEN_MEMORY: std::time::Duration = std::time::Duration::from_secs(30);

    /// Who presents this token.
    pub async fn identify(&self, token: &Token) -> Result<Identity, ApiError> {
        let hash = token.hash();
        let now = Instant::now();
        if let Some((identity, at)) = lock(&self.tokens).get(&hash)
            && now - *at < Self::TOKEN_MEMORY
        {
            return Ok(identity.clone());
        }
        let record = self.store.find_token(hash).await?;
        let identity = record.map(Identity::from).ok_or_else(|| {
            ApiError::new(ErrorCode::Unauthorized, "the token is unknown or revoked").advise(
                "Set OUTRIDER_TOKEN to the server's admin token (the file admin-token in its data \
                 folder), or make one with `outrider token create`.",
            )
        })?;
        lock(&self.tokens).insert(hash, (identity.clone(), now));
        Ok(identity)
    }

    fn forget_tokens(&self) {
        lock(&self.tokens).clear();
    }

    pub(crate) fn pass(&self, crash_point: &str) {
        if let Some(crash) = &self.crash {
            crash(crash_point);
        }
    }

    /// Wakes whoever follows these attempts.
    pub(crate) fn touch_attempts(&self, attempts: &[AttemptId]) {
        for attempt in attempts {
            self.watchers.touch(Topic::Attempt(*attempt));
        }
        if !attempts.is_empty() {
            self.watchers.touch_any();
        }
    }

    fn touch_tasks(&self, tasks: impl Iterator<Item = TaskId>) {
        for task in tasks {
            self.watchers.touch(Topic::Task(task));
        }
        self.watchers.touch_any();
    }
}

impl From<TokenRecord> for Identity {
    fn from(record: TokenRecord) -> Self {
        match record.scope {
            TokenScope::Admin => Self::Admin {
                name: record.nickname,
            },
            TokenScope::Class { class } => Self::Runner { class },
        }
    }
}

/// A panic while a lock was held leaves maps that are still whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
