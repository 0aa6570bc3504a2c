//! Pulls images: each once at a time, with all that wait for it sharing the result.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::CreateImageOptions;
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _, Shared, WeakShared};
use futures_util::stream::StreamExt as _;
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep, timeout_at};

use super::auth::Login;
use super::failure::{Failure, Kind};
use super::reference::Reference;
use super::tally::Tally;
use crate::Output;
use crate::docker::care::Care;

/// How long a pull is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Nothing may move for this long.
    pub stall: Duration,
    /// The pauses before it is tried again.
    pub pauses: [Duration; 3],
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            stall: Duration::from_secs(120),
            pauses: [1, 5, 15].map(Duration::from_secs),
        }
    }
}

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(3);

/// What is pulled, and as whom: jobs share a pull only if they have the same login.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Wanted {
    pub reference: Reference,
    pub login: Option<Login>,
}

type Pull = BoxFuture<'static, Result<(), Failure>>;

struct Running {
    lines: broadcast::Sender<String>,
    pull: WeakShared<Pull>,
}

/// The pulls of one executor.
pub(super) struct Pulls {
    engine: Docker,
    care: Arc<Care>,
    patience: Patience,
    running: Mutex<HashMap<Wanted, Running>>,
}

impl Pulls {
    pub fn new(engine: Docker, care: Arc<Care>, patience: Patience) -> Self {
        Self {
            engine,
            care,
            patience,
            running: Mutex::default(),
        }
    }

    /// Pulls, or waits for the pull that is under way. It ends when nobody waits any more.
    pub async fn pull(&self, wanted: Wanted, progress: &dyn Output) -> Result<(), Failure> {
        let (mut lines, mut pull) = self.join(wanted);
        loop {
            tokio::select! {
                biased;
                Ok(line) = lines.recv() => tell(progress, &line).await,
                result = &mut pull => {
                    while let Ok(line) = lines.try_recv() {
                        tell(progress, &line).await;
                    }
                    return result;
                }
            }
        }
    }

    fn join(&self, wanted: Wanted) -> (broadcast::Receiver<String>, Shared<Pull>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, it| it.pull.upgrade().is_some_and(|it| it.peek().is_none()));
        if let Some(it) = running.get(&wanted)
            && let Some(pull) = it.pull.upgrade()
        {
            return (it.lines.subscribe(), pull);
        }
        let (lines, receiver) = broadcast::channel(64);
        let attempts = Attempts {
            engine: self.engine.clone(),
            care: Arc::clone(&self.care),
            patience: self.patience,
            wanted: wanted.clone(),
            lines: lines.clone(),
        };
        let pull = attempts.run().boxed().shared();
        if let Some(weak) = pull.downgrade() {
            running.insert(wanted, Running { lines, pull: weak });
        }
        (receiver, pull)
    }
}

async fn tell(progress: &dyn Output, line: &str) {
    progress.write(Bytes::from(format!("{line}\n"))).await;
}

/// One pull, until it works or there is no hope.
struct Attempts {
    engine: Docker,
    care: Arc<Care>,
    patience: Patience,
    wanted: Wanted,
    lines: broadcast::Sender<String>,
}

impl Attempts {
    async fn run(self) -> Result<(), Failure> {
        self.say(format!("Pulling {}", self.wanted.reference));
        let mut pauses = self.patience.pauses.into_iter();
        let mut may_free = true;
        loop {
            let failure = match self.once().await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            match failure.kind {
                Kind::DiskFull if may_free => {
                    may_free = false;
                    self.say("  the Engine's disk is full: removing images that nobody uses");
                    self.care.make_room().await;
                }
                Kind::Passing => {
                    let Some(pause) = pauses.next() else {
                        return Err(failure);
                    };
                    self.say(format!("  {}", failure.message));
                    self.say(format!("  trying again in {} s", pause.as_secs()));
                    sleep(pause).await;
                }
                Kind::User | Kind::DiskFull => return Err(failure),
            }
        }
    }

    async fn once(&self) -> Result<(), Failure> {
        let Wanted { reference, login } = &self.wanted;
        let options = CreateImageOptions {
            from_image: Some(reference.repository()),
            tag: Some(reference.version().to_owned()),
            ..CreateImageOptions::default()
        };
        let credentials = login.as_ref().map(|it| it.credentials(&reference.registry));
        let started = Instant::now();
        let mut messages = pin!(self.engine.create_image(Some(options), None, credentials));
        let mut tally = Tally::default();
        let mut moved = started;
        let mut told = started;
        loop {
            let message = timeout_at(moved + self.patience.stall, messages.next()).await;
            let info = match message {
                Err(_) => return Err(self.stalled(&tally)),
                Ok(None) => break,
                Ok(Some(message)) => {
                    message.map_err(|error| Failure::of(reference, login.as_ref(), &error))?
                }
            };
            if tally.note(&info) {
                moved = Instant::now();
            }
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                self.say(format!("  {tally}"));
            }
        }
        self.say(pulled(reference, &tally, started.elapsed()));
        Ok(())
    }

    fn stalled(&self, tally: &Tally) -> Failure {
        let reference = &self.wanted.reference;
        let seconds = self.patience.stall.as_secs();
        Failure {
            kind: Kind::Passing,
            message: format!(
                "the pull of {reference} has stood still for {seconds} s, at {tally}\n\
                 look at the network between the Engine and {}",
                reference.registry
            ),
        }
    }

    /// Nobody needs to listen.
    fn say(&self, line: impl Into<String>) {
        let _ = self.lines.send(line.into());
    }
}

fn pulled(reference: &Reference, tally: &Tally, took: Duration) -> String {
    let digest = tally
        .digest
        .as_ref()
        .map(|digest| format!(" ({digest})"))
        .unwrap_or_default();
    let size = match tally.done() {
        0 if tally.is_unmeasured() => String::new(),
        0 => ", nothing new".to_owned(),
        bytes @ 1..10_000_000 => format!(", {} kB", bytes.div_ceil(1_000)),
        bytes => format!(", {} MB", bytes / 1_000_000),
    };
    format!("Pulled {reference}{digest} in {} s{size}", took.as_secs())
}
