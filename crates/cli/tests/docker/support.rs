//! Executors for tests, and a look at what they leave.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::{ListContainersOptions, ListContainersOptionsBuilder};
use outrider_executor::conformance::{DEADLINE, Recorder, new_attempt};
use outrider_executor::docker::{DockerExecutor, DockerSettings};
use outrider_executor::{
    Environment, ExecRequest, ExecResult, Executor, ExecutorError, PrepareRequest,
};
use outrider_model::AttemptId;
use outrider_model::plan::{DockerImage, EnvironmentKind};
use outrider_testkit::docker::{Image, client, engine};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// The usual settings at the Engine of the tests.
pub fn settings(place: &Path) -> DockerSettings {
    let program = env!("CARGO_BIN_EXE_outrider");
    let mut settings = DockerSettings::new("tests", program, place.join("owners"));
    settings.engine = Some(engine());
    settings
}

/// An executor, and the folder that it needs.
pub fn executor(settings: impl FnOnce(&Path) -> DockerSettings) -> (DockerExecutor, TempDir) {
    let place = tempfile::tempdir().expect("a folder");
    (DockerExecutor::new(settings(place.path())), place)
}

/// A job with one image.
pub fn kind(name: &str) -> EnvironmentKind {
    EnvironmentKind::Docker {
        images: vec![DockerImage::new(name)],
    }
}

/// A request for a job in busybox.
pub async fn request() -> PrepareRequest {
    let image = Image::Busybox.provide().await;
    PrepareRequest::new(new_attempt(), 0, kind(&image), "~/project")
}

/// A step in the default shell of its environment.
pub fn step(environment: &dyn Environment, script: &str) -> ExecRequest {
    ExecRequest {
        shell: environment.default_shell().expect("a shell").to_vec(),
        script: script.to_owned(),
        environment: environment.variables().expect("variables").clone(),
        working_directory: environment.resolve("."),
    }
}

/// Runs a script to its end.
pub async fn exec(
    environment: &dyn Environment,
    script: &str,
) -> (Result<ExecResult, ExecutorError>, String) {
    let output = Recorder::new();
    let result = environment
        .exec(step(environment, script), output.clone())
        .await;
    (
        result,
        String::from_utf8_lossy(&output.bytes()).into_owned(),
    )
}

/// The containers of an attempt that the Engine of the tests has.
pub async fn containers(attempt: AttemptId) -> Vec<String> {
    containers_at(&client(), attempt).await
}

/// The containers of an attempt that an Engine has.
pub async fn containers_at(engine: &Docker, attempt: AttemptId) -> Vec<String> {
    let label = format!("outrider.attempt={attempt}");
    let filters = HashMap::from([("label".to_owned(), vec![label])]);
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filters)
        .build();
    listed(engine, options).await
}

/// The ids of containers.
pub async fn listed(engine: &Docker, options: ListContainersOptions) -> Vec<String> {
    let end = Instant::now() + DEADLINE;
    let found = loop {
        match engine.list_containers(Some(options.clone())).await {
            // Podman has a word of its own for a container that is about to be removed.
            Err(Error::JsonDataError { message, .. })
                if message.contains("`stopped`") && Instant::now() < end =>
            {
                sleep(Duration::from_millis(20)).await;
            }
            found => break found.expect("a list"),
        }
    };
    let ids = found.into_iter().filter_map(|container| container.id);
    ids.collect()
}

/// Waits until nothing of an attempt is left.
pub async fn until_gone(attempt: AttemptId) {
    let end = Instant::now() + DEADLINE;
    while !containers(attempt).await.is_empty() {
        assert!(Instant::now() < end, "containers are left");
        sleep(Duration::from_millis(20)).await;
    }
}

/// An environment of an executor with these settings.
pub async fn prepare(
    executor: &DockerExecutor,
    request: PrepareRequest,
) -> (AttemptId, Arc<dyn Environment>) {
    let attempt = request.attempt;
    let environment = executor.prepare(request).await.expect("prepare");
    (attempt, environment)
}
