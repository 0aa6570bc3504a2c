//! What the Engine has of an environment, and what goes on in its containers: asked of the Engine,
//! not of the executor.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bollard::errors::Error;
use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use bollard::query_parameters::ListNetworksOptionsBuilder;
use futures_util::TryStreamExt;
use outrider_executor::Handle;
use outrider_executor::conformance::{DEADLINE, Lookout};
use outrider_executor::docker::DockerHandle;
use outrider_model::AttemptId;
use outrider_testkit::docker::client;
use tokio::time::{Instant, sleep};

use super::support::containers;

/// A line for each process: its id, its environment, its arguments.
const PROCESSES: &str = r#"
for process in /proc/[0-9]*; do
    printf '%s ' "${process#/proc/}"
    cat "$process/environ" "$process/cmdline" 2>/dev/null | tr '\0\n' '  '
    echo
done
"#;

/// Looks at the Engine of the tests.
#[derive(Default)]
pub struct EngineLookout {
    /// The volumes that containers had when they were there.
    volumes: Mutex<BTreeSet<String>>,
}

#[async_trait]
impl Lookout for EngineLookout {
    async fn marked(&self, handle: &Handle, mark: &str) -> Vec<u32> {
        let mut marked = Vec::new();
        for container in of_task(handle).await {
            let processes = processes(&container).await;
            let lines = processes.lines().filter(|line| line.contains(mark));
            marked.extend(lines.filter_map(|line| line.split(' ').next()?.parse::<u32>().ok()));
        }
        marked
    }

    async fn remains(&self, handle: &Handle) -> Vec<String> {
        let attempt = attempt(handle);
        let containers = of_task(handle).await;
        for container in &containers {
            self.remember_volumes(container).await;
        }
        let volumes = match containers.is_empty() {
            true => self.volumes_at_last().await,
            false => self.volumes().await,
        };
        let containers = containers.into_iter().map(|id| format!("container {id}"));
        containers
            .chain(volumes)
            .chain(networks(attempt).await)
            .collect()
    }
}

impl EngineLookout {
    async fn remember_volumes(&self, container: &str) {
        let found = match client().inspect_container(container, None).await {
            Err(error) if is_gone(&error) => return,
            found => found.expect("a container"),
        };
        let mounts = found.mounts.unwrap_or_default().into_iter();
        let volumes = mounts.filter(|mount| mount.typ.as_deref() == Some("volume"));
        let names = volumes.filter_map(|mount| mount.name);
        // The program is for all tasks.
        let own = names.filter(|name| !name.starts_with("outrider-program-"));
        let mut volumes = self.volumes.lock().unwrap_or_else(PoisonError::into_inner);
        volumes.extend(own);
    }

    fn known_volumes(&self) -> BTreeSet<String> {
        let known = self.volumes.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// The Engine forgets a container a moment before its volumes are gone.
    async fn volumes_at_last(&self) -> Vec<String> {
        let end = Instant::now() + DEADLINE;
        loop {
            let volumes = self.volumes().await;
            if volumes.is_empty() || Instant::now() > end {
                return volumes;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn volumes(&self) -> Vec<String> {
        let mut there = Vec::new();
        for volume in self.known_volumes() {
            match client().inspect_volume(&volume).await {
                Err(error) if is_gone(&error) => {}
                found => there.push(format!("volume {}", found.expect("a volume").name)),
            }
        }
        there
    }
}

/// By their label, and one that has waited by its id.
async fn of_task(handle: &Handle) -> Vec<String> {
    let mut found = containers(attempt(handle)).await;
    if let Handle::Docker(DockerHandle {
        container: Some(id),
        ..
    }) = handle
        && !found.contains(id)
        && client().inspect_container(id, None).await.is_ok()
    {
        found.push(id.clone());
    }
    found
}

async fn networks(attempt: AttemptId) -> Vec<String> {
    let label = format!("outrider.attempt={attempt}");
    let filters = HashMap::from([("label".to_owned(), vec![label])]);
    let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
    let found = client().list_networks(Some(options)).await;
    let names = found.expect("a list").into_iter();
    names
        .filter_map(|network| network.name)
        .map(|name| format!("network {name}"))
        .collect()
}

/// What a shell beside the steps sees. Nothing, if the container is gone, and all its processes with
/// it.
async fn processes(container: &str) -> String {
    let shell = ExecConfig {
        cmd: Some(["sh", "-c", PROCESSES].map(str::to_owned).to_vec()),
        user: Some("0".to_owned()),
        attach_stdout: Some(true),
        ..ExecConfig::default()
    };
    let engine = client();
    let started = match engine.create_exec(container, shell).await {
        Ok(created) => engine.start_exec(&created.id, None).await,
        Err(error) => Err(error),
    };
    let output = match started {
        Ok(StartExecResults::Attached { output, .. }) => output,
        Ok(StartExecResults::Detached) => panic!("its output was asked for"),
        Err(error) if is_gone(&error) => return String::new(),
        Err(error) => panic!("{container}: {error}"),
    };
    let parts: Vec<_> = output.try_collect().await.expect("its output");
    let bytes = parts.into_iter().flat_map(|part| part.into_bytes());
    String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
}

/// It is not there, or does not run any more.
const fn is_gone(error: &Error) -> bool {
    matches!(
        error,
        Error::DockerResponseServerError {
            status_code: 404 | 409,
            ..
        }
    )
}

fn attempt(handle: &Handle) -> AttemptId {
    match handle {
        Handle::Docker(handle) => handle.attempt,
        other => panic!("not of the docker executor: {other:?}"),
    }
}
