//! Steps that keep data for others and bring it back: caches, workspaces, artifacts, test results.
//!
//! Each kind of step has a room of its own. They share `DataStep`, and [`blobs::TaskBlobs`], by
//! which bytes go to the blob store and come from it.

mod artifacts;
pub mod blobs;
mod cache;
mod context;
mod files;
mod key;
mod layers;
mod place;
mod results;
mod select;
mod transfer;
mod workspace;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use outrider_archive::Manifest;
use outrider_executor::{ExecResult, Files};
use outrider_model::BlobHash;
use outrider_model::plan::Step;
use outrider_model::report::{Exit, Usage};

use self::blobs::TaskBlobs;
pub use self::context::{DataContext, DataTask};
pub use self::place::Places;
pub use self::transfer::forget_old_trees;
use crate::attempt::{StepContext, ended_as};
use crate::driver::Failure;
use crate::inside;

/// How a step exited.
type Exited = (Exit, Option<Usage>);

/// How a step ended.
type Ended = Result<Exited, Failure>;

/// A step while it runs.
struct DataStep<'a> {
    context: &'a DataContext,
}

/// How often a step that waits for the server or the store says so.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// How long a step that was told to stop has to end in order.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Runs a step that moves data, where the files are.
pub async fn run(context: &StepContext, step: &Step) -> Result<ExecResult, Failure> {
    match context.environment.files() {
        Files::Here(directory) => {
            let places = Places::here(context, directory);
            let ended = run_here(&DataContext::here(context, places), step).await;
            ended.map(|(exit, usage)| ended_as(exit, usage))
        }
        Files::Inside(inside) => inside::serve::run(context, inside, step).await,
    }
}

/// Runs it where this program runs.
pub async fn run_here(context: &DataContext, step: &Step) -> Ended {
    let data = DataStep { context };
    match data.watched(data.perform(step)).await {
        // The config or the files are wrong: it has run, and failed.
        Err(Failure::User(problem)) => {
            data.say(&problem).await;
            Ok((Exit::Code(1), None))
        }
        ended => ended,
    }
}

impl DataStep<'_> {
    async fn perform(&self, step: &Step) -> Ended {
        match step {
            Step::SaveCache(spec) => cache::save(self, spec).await,
            Step::RestoreCache(spec) => cache::restore(self, spec).await,
            Step::PersistToWorkspace(spec) => workspace::persist(self, spec).await,
            Step::AttachWorkspace(spec) => workspace::attach(self, spec).await,
            Step::StoreArtifacts(spec) => artifacts::store(self, spec).await,
            Step::StoreTestResults(spec) => results::store(self, spec).await,
            _ => Err(Failure::Infrastructure(format!(
                "the runner does not know what to do for the step \"{}\"",
                step.name()
            ))),
        }
    }

    /// A server that is away is no silence of the step, and holds up no stop.
    async fn watched(&self, work: impl Future<Output = Ended>) -> Ended {
        let stopped_for_long = async {
            self.context.stop.cancelled().await;
            tokio::time::sleep(STOP_GRACE).await;
        };
        let (mut work, mut stopped_for_long) = (pin!(work), pin!(stopped_for_long));
        loop {
            tokio::select! {
                ended = &mut work => return ended,
                () = &mut stopped_for_long => return Ok(stopped()),
                () = tokio::time::sleep(SAY_EVERY) => {
                    if let Some(problem) = self.blobs().trouble() {
                        self.say(&format!("Waiting: {problem}")).await;
                    }
                }
            }
        }
    }

    async fn say(&self, text: &str) {
        let line = format!("{text}\n");
        self.context.output.write(line.into()).await;
    }

    fn blobs(&self) -> &Arc<TaskBlobs> {
        &self.context.blobs
    }

    async fn manifest(&self, hash: BlobHash) -> Result<Manifest, Failure> {
        self.blobs().manifest(hash, &self.context.stop).await
    }

    fn places(&self) -> Places {
        self.context.task.places.clone()
    }
}

/// Looks at files, which may take long, beside the runner's other work.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::Infrastructure(error.to_string()))
}

/// It is done.
const fn done() -> Exited {
    (Exit::Code(0), None)
}

/// It was told to stop.
const fn stopped() -> Exited {
    (Exit::Signal(15), None)
}

/// How many bytes, for people.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let (mut amount, mut unit) = (bytes as f64, 0);
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} {}", UNITS[0])
    } else {
        format!("{amount:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_for_people() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1536, "1.5 KiB"),
            (5 << 30, "5.0 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
