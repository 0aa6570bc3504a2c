//! `setup_remote_docker`: an Engine for the steps that follow, where there is one.

use std::path::Path;

use outrider_executor::Files;
use outrider_model::plan::SetupRemoteDockerStep;
use outrider_model::report::{Exit, Usage};

use super::step::StepContext;
use crate::driver::Failure;

/// Does what can be done: nobody gets an Engine of their own.
pub async fn run(
    context: &StepContext,
    spec: &SetupRemoteDockerStep,
) -> Result<(Exit, Option<Usage>), Failure> {
    if let Some(version) = &spec.version {
        let text = format!("`version: {version}` means nothing here: the Engine is the runner's.");
        context.say(&text).await;
    }
    match (
        context.environment.files(),
        context.environment.docker_socket(),
    ) {
        (_, Some(socket)) => give(context, socket).await,
        (Files::Here(_), None) => {
            context
                .say(
                    "There is no remote Docker engine here: the one that this machine has is used.",
                )
                .await;
        }
        (Files::Inside(_), None) => return Err(refused(context.task.payload.trigger.untrusted)),
    }
    Ok((Exit::Code(0), None))
}

async fn give(context: &StepContext, socket: &Path) {
    let address = format!("unix://{}", socket.display());
    context
        .say(&format!(
            "WARNING: from here on this job uses the Docker Engine of the runner itself \
             (DOCKER_HOST={address}). Whoever may use it has the rights of root on its host, and \
             what is started there outlives the job.",
        ))
        .await;
    context.export("DOCKER_HOST", address);
}

fn refused(untrusted: bool) -> Failure {
    let why = if untrusted {
        "this pipeline runs code that is not trusted, which gets no Docker Engine, because that is \
         the same as root on its host; trigger it without --untrusted once its code was read, or let it do \
         without setup_remote_docker"
    } else {
        "jobs in containers of this runner get no Docker Engine, because that is the same as root \
         on its host; its owner can allow it with --allow-docker-socket, or give the job \
         `machine: true`, on a runner whose host has one"
    };
    Failure::User(why.to_owned())
}
