//! Engines that are stopped, killed, held up and starved. Each test has one of its own.

mod disk;
mod preparation;
mod restart;
mod silence;
mod sweep;
mod warm;

use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::{ListContainersOptions, ListVolumesOptions};
use outrider_executor::conformance::{DEADLINE, Recorder, new_attempt};
use outrider_executor::docker::{DockerExecutor, DockerSettings};
use outrider_executor::{
    Environment, ExecResult, Executor, ExecutorError, Fault, Output, PrepareRequest,
};
use outrider_model::plan::{DockerImage, EnvironmentKind};
use outrider_model::report::Exit;
use outrider_testkit::docker::{Image, OwnEngine};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

use super::support::{containers_at, exec, kind, settings, step};

/// Tests wait for an Engine that says nothing: for no longer than they must, and for longer than a
/// busy one needs.
const PATIENCE: Duration = Duration::from_secs(10);

/// How an Engine ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Terminated,
    Killed,
}

/// What becomes of containers meanwhile: they end with the Engine, or go on without it.
const CONTAINERS_END: &str = "";
const CONTAINERS_GO_ON: &str = "--live-restore";

async fn end(engine: &OwnEngine, end: End) {
    match end {
        End::Terminated => engine.terminate().await,
        End::Killed => engine.kill().await,
    }
}

/// An Engine of the test's own, and an executor that uses it.
struct Rig {
    engine: OwnEngine,
    executor: Arc<DockerExecutor>,
    image: String,
    place: TempDir,
}

impl Rig {
    async fn start() -> Self {
        Self::at(OwnEngine::start().await).await
    }

    async fn at(engine: OwnEngine) -> Self {
        let place = tempfile::tempdir().expect("a folder");
        let image = Image::Busybox.provide_at(&engine.client()).await;
        let mut settings = settings(place.path());
        settings.engine = Some(engine.address());
        let rig = Self {
            engine,
            executor: Arc::new(DockerExecutor::new(settings)),
            image,
            place,
        };
        rig.runs_a_task().await;
        rig
    }

    /// The settings of another executor at this Engine, which loses its patience soon.
    fn impatient(&self) -> DockerSettings {
        let mut settings = settings(self.place.path());
        settings.engine = Some(self.engine.address());
        settings.patience = PATIENCE;
        settings
    }

    fn client(&self) -> Docker {
        self.engine.client()
    }

    fn request(&self) -> PrepareRequest {
        PrepareRequest::new(new_attempt(), 0, kind(&self.image), "~/project")
    }

    /// A request for a task with a service beside it.
    async fn request_with(&self, service: Image) -> PrepareRequest {
        let service = service.provide_at(&self.client()).await;
        let mut request = self.request();
        request.kind = EnvironmentKind::Docker {
            images: vec![DockerImage::new(&self.image), DockerImage::new(&service)],
        };
        request
    }

    /// The executor works as if nothing had happened, and no task has left anything.
    async fn runs_a_task(&self) {
        runs_a_task(&self.executor, self.request()).await;
        self.nothing_is_left().await;
    }

    /// The executor removes what others have left, beside its tasks. What these have begun in the
    /// background may hold their names for a moment.
    async fn sweeps(&self) {
        self.empties(async || runs_a_task(&self.executor, self.request()).await)
            .await;
    }

    /// Whatever was made at this Engine is gone, or soon will be.
    async fn nothing_is_left(&self) {
        self.empties(async || sleep(Duration::from_millis(50)).await)
            .await;
    }

    /// Does this until nothing is left at this Engine.
    async fn empties(&self, meanwhile: impl AsyncFn()) {
        let end = Instant::now() + DEADLINE;
        loop {
            let left = everything(&self.client()).await;
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < end, "{left:?}");
            meanwhile().await;
        }
    }
}

async fn runs_a_task(executor: &DockerExecutor, request: PrepareRequest) {
    let environment = executor.prepare(request).await.expect("prepare");
    let (result, output) = exec(&*environment, "echo fine").await;
    assert_eq!(result.expect("exec").exit, Exit::Code(0), "{output}");
    assert_eq!(output, "fine\n");
    environment.cleanup().await.expect("cleanup");
}

/// All containers, and all volumes but the program's.
async fn everything(engine: &Docker) -> Vec<String> {
    let all = ListContainersOptions {
        all: true,
        ..ListContainersOptions::default()
    };
    let listed = engine.list_containers(Some(all)).await.expect("a list");
    let mut containers = Vec::new();
    for id in listed.into_iter().filter_map(|it| it.id) {
        // An Engine that was killed may list for ever what it has removed at its next start.
        match engine.inspect_container(&id, None).await {
            Err(Error::DockerResponseServerError {
                status_code: 404, ..
            }) => {}
            found => containers.push(found.expect("an answer").id.unwrap_or(id)),
        }
    }
    let volumes = engine.list_volumes(None::<ListVolumesOptions>).await;
    let volumes = volumes.expect("a list").volumes.unwrap_or_default();
    let volumes = volumes.into_iter().map(|volume| volume.name);
    containers
        .into_iter()
        .chain(volumes.filter(|name| !name.starts_with("outrider-program-")))
        .collect()
}

/// Starts a step that does not end by itself, and waits until it runs.
async fn start_step(
    environment: &Arc<dyn Environment>,
) -> JoinHandle<Result<ExecResult, ExecutorError>> {
    let output = Recorder::new();
    let running = {
        let (environment, output) = (Arc::clone(environment), Arc::clone(&output));
        let step = step(
            &*environment,
            "trap '' TERM; echo ready; while :; do sleep 1; done",
        );
        TaskTracker::new().spawn(async move { environment.exec(step, output as _).await })
    };
    output.wait_for("ready").await;
    running
}

/// The operator is told which Engine it is, and what to do.
fn names_the_engine(error: &ExecutorError, address: &str) {
    assert_eq!(error.fault, Fault::Infrastructure, "{error}");
    assert!(error.message.contains("Engine"), "{error}");
    assert!(error.message.contains(address), "{error}");
    assert!(error.message.contains('\n'), "there is advice: {error}");
}
