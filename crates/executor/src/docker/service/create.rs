//! How service containers are made.

use std::collections::{BTreeMap, HashMap};

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig};
use outrider_model::plan::DockerImage;

use super::{Container, ServicesRequest, Supervisor};
use crate::ExecutorError;
use crate::docker::answer::{answered, told};
use crate::docker::container::NOT_FOR_THE_INIT;
use crate::docker::entrypoint;
use crate::docker::image::Provided;
use crate::init::{must_be_first, service_arguments};

pub(super) async fn create(
    engine: &Docker,
    image: &DockerImage,
    provided: &Provided,
    request: &ServicesRequest,
    host: &HostConfig,
) -> Result<Container, ExecutorError> {
    let name = match &image.name {
        Some(name) => format!("{} ({name})", image.image),
        None => image.image.clone(),
    };
    let mut body = config(image, provided, &request.labels, host);
    let words = entrypoint::words(image, provided);
    let supervisor = request.supervisor.as_ref();
    let supervisor = supervisor.filter(|_| !words.is_empty() && !must_be_first(&words));
    if let Some(supervisor) = supervisor {
        supervise(&mut body, supervisor, image, provided, &words);
    }
    let created = answered(engine, engine.create_container(None, body)).await;
    let created = created.map_err(|error| not_started(&name, &error))?;
    Ok(Container {
        id: created.id,
        name,
        exposed_tcp: provided.exposed_tcp.clone(),
        has_healthcheck: provided.has_healthcheck,
        is_supervised: supervisor.is_some(),
    })
}

/// Puts the supervisor before the words of the service.
fn supervise(
    body: &mut ContainerCreateBody,
    supervisor: &Supervisor,
    image: &DockerImage,
    provided: &Provided,
    words: &[String],
) {
    let own = provided
        .environment
        .iter()
        .filter_map(|it| it.split_once('='));
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut variables: BTreeMap<_, _> = own.chain(image.environment.clone()).collect();
    variables.retain(|name, _| NOT_FOR_THE_INIT.contains(&&**name));
    // Only the service sees what its image gives to the loader.
    let env = body.env.get_or_insert_default();
    env.retain(|it| {
        !variables
            .keys()
            .any(|name| it.starts_with(&format!("{name}=")))
    });
    env.extend(variables.keys().map(|name| format!("{name}=")));
    let arguments = service_arguments(&variables, words);
    body.entrypoint = Some([&supervisor.command[..], &arguments].concat());
    body.cmd = None;
    body.attach_stdin = Some(true);
    body.open_stdin = Some(true);
    body.stdin_once = Some(true);
    let host = body.host_config.get_or_insert_default();
    let mounts = host.mounts.get_or_insert_default();
    mounts.push(supervisor.mount.clone());
}

/// The Engine puts the config's variables over the image's, and drops the image's command if there
/// is another entry point.
fn config(
    image: &DockerImage,
    provided: &Provided,
    labels: &HashMap<String, String>,
    host: &HostConfig,
) -> ContainerCreateBody {
    let given = |words: &[String]| (!words.is_empty()).then(|| words.to_vec());
    let variables = image.environment.iter();
    ContainerCreateBody {
        image: Some(provided.id.clone()),
        entrypoint: given(&image.entrypoint),
        cmd: given(&image.command),
        user: image.user.clone(),
        env: Some(
            variables
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
        ),
        labels: Some(labels.clone()),
        host_config: Some(host.clone()),
        ..ContainerCreateBody::default()
    }
}

pub(super) async fn host_config(
    engine: &Docker,
    request: &ServicesRequest,
) -> Result<HostConfig, ExecutorError> {
    let info = answered(engine, engine.info()).await.map_err(|error| {
        let message = format!(
            "cannot ask the Engine for its log drivers: {}",
            told(&error)
        );
        ExecutorError::infrastructure(message, None)
    })?;
    let drivers = info.plugins.and_then(|it| it.log).unwrap_or_default();
    // It alone keeps bytes as they are; not every Engine has it.
    let driver = match drivers.iter().any(|it| it == "local") {
        true => "local",
        false => "json-file",
    };
    let bounds = [("max-size", "20m"), ("max-file", "5")];
    Ok(HostConfig {
        network_mode: Some(format!("container:{}", request.primary)),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        log_config: Some(HostConfigLogConfig {
            typ: Some(driver.to_owned()),
            config: Some(
                bounds
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
            ),
        }),
        // Its exit code is read after it has ended.
        auto_remove: Some(false),
        ..request.limits.clone()
    })
}

/// What the config asks for may not be in the image.
pub(super) fn not_started(name: &str, error: &Error) -> ExecutorError {
    let message = told(error);
    let users = [
        "executable file not found",
        "no such file or directory",
        "permission denied",
        "exec format error",
        "unable to find user",
        "unable to find group",
        "no command specified",
    ];
    // Only what the Engine says is about the image.
    let is_users = matches!(error, Error::DockerResponseServerError { .. })
        && users
            .iter()
            .any(|text| message.to_ascii_lowercase().contains(text));
    let message = format!("service {name} cannot be started: {message}");
    if is_users {
        let advice = "look at its `entrypoint`, `command` and `user`";
        return ExecutorError::user(format!("{message}\n{advice}"), None);
    }
    ExecutorError::infrastructure(message, None)
}
