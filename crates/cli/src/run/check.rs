//! Whether the jobs of a plan can run in what there is.

use outrider_executor::docker::reach;
use outrider_model::plan::{EnvironmentKind, JobSpec, Plan};

use crate::docker_args::DockerArgs;
use crate::failure::{Failure, code};
use crate::runner::ExecutorKind;

/// Says early what the runner would say of each job.
pub async fn executor(
    executor: Option<ExecutorKind>,
    docker: &DockerArgs,
    plan: &Plan,
) -> Result<(), Failure> {
    match executor {
        Some(ExecutorKind::Process) => Ok(()),
        Some(ExecutorKind::Docker) => {
            no_machines(plan)?;
            engine(docker, plan).await
        }
        None => engine(docker, plan).await,
    }
}

/// Nobody is surprised by a job that was written for a container and runs on the host.
async fn engine(docker: &DockerArgs, plan: &Plan) -> Result<(), Failure> {
    let Some((job, image)) = first_image(plan) else {
        return Ok(());
    };
    let engine = docker.engine();
    if reach::reachable(engine.as_deref()).await {
        return Ok(());
    }
    let addresses = reach::addresses(engine.as_deref()).join(", ");
    let message =
        format!("job \"{job}\" wants the docker image {image}, and no Docker Engine is reachable");
    Err(Failure::new(code::BAD_SETTINGS, message).advise(format!(
        "Start Docker or Podman, or say where it listens with --docker-host (tried: \
         {addresses}); or say --executor process to run the job on this host, without the image."
    )))
}

/// The first job that names an image, and the image.
fn first_image(plan: &Plan) -> Option<(&str, &str)> {
    builds(plan).find_map(|(job, spec)| match &spec.environment_kind {
        EnvironmentKind::Docker { images } => Some((job, images.first()?.image.as_str())),
        EnvironmentKind::Machine { .. } | EnvironmentKind::Macos { .. } => None,
    })
}

/// Whoever wants containers only gets no processes.
fn no_machines(plan: &Plan) -> Result<(), Failure> {
    let image = |kind: &EnvironmentKind| matches!(kind, EnvironmentKind::Docker { .. });
    match builds(plan).find(|(_, spec)| !image(&spec.environment_kind)) {
        Some((job, _)) => Err(Failure::new(
            code::BAD_SETTINGS,
            format!(
                "job \"{job}\" names no docker image, and --executor docker runs only containers"
            ),
        )
        .advise("Give the job `docker:` with an image, or leave --executor out.")),
        None => Ok(()),
    }
}

fn builds(plan: &Plan) -> impl Iterator<Item = (&str, &JobSpec)> {
    let jobs = plan.workflows.iter().flat_map(|workflow| &workflow.jobs);
    jobs.filter_map(|job| Some((job.name.as_str(), &job.kind.build()?.spec)))
}
