//! What is removed, and in which order.

use std::collections::{HashMap, HashSet};

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::ContainerSummary;
use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};
use tokio::time::{Duration, Instant, sleep};

use super::DockerHandle;
use super::answer::answered;
use super::engine::{Engine, status};
use super::own_container::Start;
use super::owner::{ATTEMPT, OWNER_CONTAINER, ROLE, SERVICE, owner_start};
use super::settle::settled;
use crate::ExecutorError;

/// How long the Engine may take to remove a container that it is removing already.
const REMOVAL: Duration = Duration::from_secs(60);

/// Removes all containers of an attempt, whoever made them.
pub(super) async fn remove_task(
    engine: &Engine,
    handle: &DockerHandle,
) -> Result<(), ExecutorError> {
    // Services first: they have joined the network of the container that has waited.
    remove_labelled(engine, ATTEMPT, &handle.attempt.to_string()).await?;
    match &handle.container {
        Some(container) => remove(engine, container).await,
        None => Ok(()),
    }
}

/// Removes what owners have left whose own container is gone, stands still or was started anew.
pub(super) async fn remove_orphans(engine: &Engine) {
    if let Err(error) = try_to_remove_orphans(engine).await {
        tracing::warn!(%error, "cannot look for what runners in containers have left");
    }
}

async fn try_to_remove_orphans(engine: &Engine) -> Result<(), ExecutorError> {
    let found = labelled(engine, &[OWNER_CONTAINER]).await?;
    let owned = found.into_iter().filter_map(|container| {
        let start = owner_start(container.labels.as_ref()?)?;
        Some((container.id?, start))
    });
    let owned: Vec<_> = owned.collect();
    let owners: HashSet<_> = owned.iter().map(|(_, start)| start).collect();
    let mut dead = HashSet::new();
    for owner in owners {
        if Start::of(engine, &owner.id).await?.as_ref() != Some(owner) {
            dead.insert(owner);
        }
    }
    for (container, _) in owned.iter().filter(|(_, owner)| dead.contains(owner)) {
        remove(engine, container).await?;
    }
    Ok(())
}

/// Removes all containers with this label.
pub(super) async fn remove_labelled(
    engine: &Engine,
    label: &str,
    value: &str,
) -> Result<(), ExecutorError> {
    let label = format!("{label}={value}");
    remove_services(engine, &label).await?;
    let found = labelled(engine, &[&label]).await?;
    for id in found.into_iter().filter_map(|container| container.id) {
        remove(engine, &id).await?;
    }
    Ok(())
}

/// Removes services, and then those whose network they have joined. Podman does not remove these
/// before, not even when they end by themselves: then they stay `stopped`, and no list with one of
/// them can be read.
async fn remove_services(engine: &Engine, label: &str) -> Result<(), ExecutorError> {
    let services = labelled(engine, &[label, &format!("{ROLE}={SERVICE}")]).await?;
    let mut joined = HashSet::new();
    for service in services.into_iter().filter_map(|container| container.id) {
        joined.extend(joined_by(engine, &service).await);
        remove(engine, &service).await?;
    }
    for container in joined {
        remove(engine, &container).await?;
    }
    Ok(())
}

/// The container whose network this one shares, if it is still there itself.
async fn joined_by(engine: &Engine, container: &str) -> Option<String> {
    let docker = engine.docker();
    let inspect = || answered(docker, docker.inspect_container(container, None));
    let mode = settled(inspect).await.ok()?.host_config?.network_mode?;
    mode.strip_prefix("container:").map(str::to_owned)
}

/// All containers with these labels: `NAME`, or `NAME=VALUE`. In the order in which they can be
/// removed.
async fn labelled(
    engine: &Engine,
    labels: &[&str],
) -> Result<Vec<ContainerSummary>, ExecutorError> {
    let labels = labels.iter().map(ToString::to_string).collect();
    let filters = HashMap::from([("label".to_owned(), labels)]);
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filters)
        .build();
    let docker = engine.docker();
    let list = || answered(docker, docker.list_containers(Some(options.clone())));
    let mut found = settled(list)
        .await
        .map_err(|error| engine.error("containers that were left could not be found", error))?;
    // Podman removes no container whose network others have joined.
    found.sort_by_key(|container| !is_service(container));
    Ok(found)
}

fn is_service(container: &ContainerSummary) -> bool {
    let role = container.labels.as_ref().and_then(|all| all.get(ROLE));
    role.is_some_and(|role| role == SERVICE)
}

/// Removes a container; it may be gone already. When this returns `Ok`, it is.
pub(super) async fn remove(engine: &Engine, container: &str) -> Result<(), ExecutorError> {
    remove_container(engine.docker(), container)
        .await
        .map_err(|error| {
            let what = format!("the container {container} could not be removed");
            engine.error(&what, error)
        })
}

/// Removes a container with its anonymous volumes, whatever it does. When this returns `Ok`, it is
/// gone.
pub(super) async fn remove_container(docker: &Docker, container: &str) -> Result<(), Error> {
    let end = Instant::now() + REMOVAL;
    loop {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true);
        let removed = docker
            .remove_container(container, Some(options.build()))
            .await;
        match removed {
            Ok(()) => return Ok(()),
            Err(error) => match status(&error) {
                Some(404) => return Ok(()),
                // Somebody is at it already.
                Some(409) if Instant::now() < end => sleep(Duration::from_millis(10)).await,
                _ => return Err(error),
            },
        }
    }
}
