//! Containers that wait, running, for tasks: one of those has a task's container at once.
//!
//! What is to wait is decided by `plan`; one task in the background, the keeper, makes it so, one
//! container after the other. With the pool's end it removes them all.

mod plan;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{join_all, pending, select_all};
use outrider_model::plan::DockerImage;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::plan::{Next, Plan, Use};
use super::Core;
use super::boot::Boot;
use super::container::Recipe;
use super::environment::Running;
use super::image::full_name;
use super::limits::effective;
use super::owner::Role;
use super::removal;
use super::settings::Warm;
use crate::{Discard, ExecutorError, Output};

/// A task that has just taken a container needs the host more than the next one does.
const CALM: Duration = Duration::from_millis(100);

/// The containers that wait.
pub(super) struct Pool {
    state: Mutex<State>,
    changed: Notify,
    over: CancellationToken,
    keeper: TaskTracker,
    made: AtomicU64,
}

struct State {
    plan: Plan,
    waiting: Vec<Waiting>,
}

#[derive(Clone)]
struct Waiting {
    recipe: Recipe,
    running: Arc<Running>,
}

impl Pool {
    /// A pool in which nothing waits yet.
    pub fn new(warm: &Warm) -> Self {
        Self {
            state: Mutex::new(State {
                plan: Plan::new(warm),
                waiting: Vec::new(),
            }),
            changed: Notify::new(),
            over: CancellationToken::new(),
            keeper: TaskTracker::new(),
            made: AtomicU64::new(0),
        }
    }

    /// When this is dropped, the pool ends in the background.
    pub fn ends_when_dropped(&self) -> DropGuard {
        self.over.clone().drop_guard()
    }

    /// Begins with the images that the settings name.
    pub fn begin(core: &Arc<Core>) {
        if core.warm.state().plan.names_images() {
            Self::keep(core);
        }
    }

    /// A container for a task, if one of this recipe waits. The next task will find one.
    pub fn take(core: &Arc<Core>, image: &str, recipe: &Recipe) -> Option<Arc<Running>> {
        let pool = &core.warm;
        // Nobody but the job that may have it gets near the Engine's socket.
        if pool.over.is_cancelled() || recipe.socket.is_some() {
            return None;
        }
        let used = Use {
            image: full_name(image),
            recipe: recipe.clone(),
        };
        let taken = pool.state().take(&used);
        Self::keep(core);
        taken
    }

    /// The ids of the containers that wait.
    pub fn waiting(&self) -> Vec<String> {
        let state = self.state();
        let alive = state.waiting.iter().filter(|it| !it.running.is_lost());
        alive.map(|it| it.running.container.clone()).collect()
    }

    /// Removes what waits. Nothing waits any more after that.
    pub async fn end(&self) {
        self.over.cancel();
        self.keeper.close();
        self.keeper.wait().await;
    }

    /// Sees to it that there is a keeper, and that it looks at what has changed.
    fn keep(core: &Arc<Core>) {
        let pool = &core.warm;
        let off = pool.state().plan.is_off();
        if off || pool.over.is_cancelled() {
            return;
        }
        pool.changed.notify_one();
        // Closed: it was started.
        if pool.keeper.close() {
            let core = Arc::clone(core);
            pool.keeper
                .spawn(async move { Keeper { core }.run().await });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, used: &Use) -> Option<Arc<Running>> {
        self.plan.used(used);
        let fits = |it: &Waiting| it.recipe == used.recipe && !it.running.is_lost();
        let index = self.waiting.iter().position(fits)?;
        let taken = self.waiting.remove(index).running;
        self.plan.taken(&used.recipe);
        Some(taken)
    }

    /// What is to be done. What is to be removed waits no more.
    fn next(&mut self) -> (Next, Option<Waiting>) {
        let waiting: Vec<_> = self.waiting.iter().map(|it| &it.recipe).collect();
        let next = self.plan.next(&waiting, Instant::now());
        let unwanted = match next {
            Next::Remove(index) => Some(self.waiting.remove(index)),
            _ => None,
        };
        (next, unwanted)
    }
}

/// Makes so what the plan wants.
struct Keeper {
    core: Arc<Core>,
}

impl Keeper {
    async fn run(self) {
        let pool = &self.core.warm;
        while !pool.over.is_cancelled() {
            self.remove_the_dead().await;
            self.step().await;
            pool.over.run_until_cancelled(sleep(CALM)).await;
        }
        // What cannot be removed any more has a label, and is removed by the next owner.
        let waiting = std::mem::take(&mut pool.state().waiting);
        join_all(waiting.iter().map(|it| it.running.remove())).await;
    }

    async fn step(&self) {
        let pool = &self.core.warm;
        let (next, unwanted) = pool.state().next();
        match next {
            Next::Provide { window, image } => {
                // A pull may take long.
                let provided = pool
                    .over
                    .run_until_cancelled(Box::pin(self.provide(image)))
                    .await;
                if let Some(Err(error)) = provided {
                    self.failed(window, &error);
                }
            }
            Next::Make { window, recipe } => {
                if let Err(error) = self.make(&recipe).await {
                    self.mend(&recipe.image).await;
                    self.failed(window, &error);
                }
            }
            Next::Remove(_) => {
                let removals = unwanted.iter().map(|it| self.remove(&it.running));
                join_all(removals).await;
            }
            Next::Rest(until) => self.rest(until).await,
        }
    }

    /// Makes sure that an image is there, and takes it as used by a job that asks for nothing
    /// special.
    async fn provide(&self, image: String) -> Result<(), ExecutorError> {
        let base = self.core.base().await?;
        let settings = &self.core.settings;
        let progress: Arc<dyn Output> = Arc::new(Discard);
        let wanted = DockerImage::new(image.clone());
        let provided = base
            .provide(&wanted, &Default::default(), &progress)
            .await?;
        let limits = effective(&settings.limits, None, &base.host);
        let recipe = Recipe::new(&provided.id, limits, "~", &settings.privileges);
        let used = Use { image, recipe };
        self.core.warm.state().plan.used(&used);
        Ok(())
    }

    async fn make(&self, recipe: &Recipe) -> Result<(), ExecutorError> {
        let Core { settings, warm, .. } = &*self.core;
        let base = self.core.base().await?;
        let number = warm.made.fetch_add(1, Ordering::Relaxed);
        // It keeps this name: an Engine that renames what is being removed lists it for ever.
        let name = format!("outrider-warm-{}-{number}", base.owner.id());
        let boot = Boot {
            base,
            privileges: &settings.privileges,
            recipe,
        };
        match boot.run(&name, base.owner.labels(Role::Warm)).await {
            Ok(running) => {
                warm.state().waiting.push(Waiting {
                    recipe: recipe.clone(),
                    running: Arc::new(running),
                });
                Ok(())
            }
            Err(error) => {
                // There may be one all the same: an Engine that answers late has made it.
                if removal::remove(&base.engine, &name).await.is_err() {
                    base.debts.add_container(&name);
                }
                Err(error)
            }
        }
    }

    /// Until there may be something to do.
    async fn rest(&self, until: Option<Instant>) {
        let pool = &self.core.warm;
        let waiting = pool.state().waiting.clone();
        let death = async {
            if waiting.is_empty() {
                return pending().await;
            }
            let deaths = waiting.iter().map(|it| Box::pin(it.running.init.lost()));
            let _ = select_all(deaths).await;
        };
        let time = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = pool.changed.notified() => {}
            () = pool.over.cancelled() => {}
            () = death => {}
            () = time => {}
        }
    }

    /// An Engine that ends takes all of them along.
    async fn remove_the_dead(&self) {
        let (dead, news) = {
            let mut state = self.core.warm.state();
            let State { plan, waiting } = &mut *state;
            let dead = waiting.extract_if(.., |it| it.running.is_lost());
            let dead: Vec<_> = dead.collect();
            let recipes: Vec<_> = dead.iter().map(|it| &it.recipe).collect();
            let news = plan.died(&recipes, Instant::now());
            (dead, news)
        };
        let removals = dead.iter().map(|it| self.remove_dead(&it.running, news));
        join_all(removals).await;
    }

    async fn remove_dead(&self, running: &Running, news: bool) {
        if news {
            let lost = running.init.lost().await;
            let why = running.explain(lost).await;
            tracing::warn!(container = %running.container, "a container that waited for a task has ended: {}", chain(&why));
        }
        self.remove(running).await;
    }

    /// Now, or later.
    async fn remove(&self, running: &Running) {
        if let (Err(_), Some(base)) = (running.remove().await, self.core.base.get()) {
            base.debts.add_container(&running.container);
        }
    }

    /// What can be wrong with the Engine is mended: its image or the program may be gone.
    async fn mend(&self, image: &str) {
        let Ok(base) = self.core.base().await else {
            return;
        };
        if base.images.is_gone(image).await {
            self.core.warm.state().plan.forget(image);
        } else {
            base.has_refilled_program(image).await;
        }
    }

    fn failed(&self, window: usize, error: &ExecutorError) {
        let news = self.core.warm.state().plan.failed(window, Instant::now());
        let why = chain(error);
        if news {
            tracing::warn!("no container can be made ready for tasks yet: {why}");
        } else {
            tracing::debug!("no container can be made ready for tasks: {why}");
        }
    }
}

/// An error and why, on one line.
fn chain(error: &ExecutorError) -> String {
    let source = error.source.as_ref();
    let source = source.map_or_else(String::new, |source| format!(": {source}"));
    let (what, advice) = error
        .message
        .split_once('\n')
        .unwrap_or((&error.message, ""));
    let separator = if advice.is_empty() { "" } else { "; " };
    format!("{what}{source}{separator}{advice}")
}
