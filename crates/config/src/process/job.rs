//! The body of a job.

use outrider_model::plan::{BuildPlan, DockerImage, EnvironmentKind, JobKind, RegistryAuth};

use super::step;
use super::yaml::{Map, Yaml};
use crate::syntax::WORKING_DIRECTORY;

/// The body under a job's key.
pub(super) fn job(kind: &JobKind) -> Map {
    let build = match kind {
        JobKind::Build(build) => build,
        other => return other_job(other),
    };
    let BuildPlan {
        class: _,
        parallelism,
        spec,
    } = &**build;
    let mut map = Map::default();
    let (key, value) = environment_kind(&spec.environment_kind);
    map.add(key, value);
    map.add_some("resource_class", spec.resource_class.as_ref());
    map.add_some("shell", spec.shell.as_ref());
    if spec.working_directory != WORKING_DIRECTORY {
        map.add("working_directory", &spec.working_directory);
    }
    map.add_filled("environment", &spec.environment);
    if *parallelism != 1 {
        map.add("parallelism", Yaml::Integer(*parallelism));
    }
    if let Some(days) = spec.cache_retention_days {
        map.add("retention", Map::of("caches", format!("{days}d")));
    }
    let steps = spec.steps.iter().map(step::step);
    map.add("steps", Yaml::List(steps.collect()));
    map
}

/// A job that runs nothing.
fn other_job(kind: &JobKind) -> Map {
    let mut map = Map::of("type", kind.as_str());
    match kind {
        JobKind::Release { plan_name } => map.add("plan_name", plan_name),
        JobKind::Lock { key } | JobKind::Unlock { key } => map.add("key", key),
        JobKind::Build(_) | JobKind::Approval | JobKind::NoOp => {}
    }
    map
}

fn environment_kind(kind: &EnvironmentKind) -> (&'static str, Yaml) {
    match kind {
        EnvironmentKind::Machine { image: None } => ("machine", Yaml::Boolean(true)),
        EnvironmentKind::Machine { image: Some(image) } => {
            ("machine", Map::of("image", image).into())
        }
        EnvironmentKind::Docker { images } => {
            let images = images.iter().map(|image| docker_image(image).into());
            ("docker", Yaml::List(images.collect()))
        }
        EnvironmentKind::Macos { xcode } => ("macos", Map::of("xcode", xcode).into()),
    }
}

fn docker_image(image: &DockerImage) -> Map {
    let mut map = Map::of("image", &image.image);
    map.add_some("name", image.name.as_ref());
    map.add_filled("entrypoint", Yaml::texts(&image.entrypoint));
    map.add_filled("command", Yaml::texts(&image.command));
    map.add_some("user", image.user.as_ref());
    map.add_filled("environment", &image.environment);
    if let Some(auth) = &image.auth {
        let (key, value) = registry_auth(auth);
        map.add(key, value);
    }
    map
}

fn registry_auth(auth: &RegistryAuth) -> (&'static str, Map) {
    let mut map = Map::default();
    let key = match auth {
        RegistryAuth::Password { username, password } => {
            map.add("username", username);
            map.add("password", password);
            "auth"
        }
        RegistryAuth::AwsKey {
            access_key_id,
            secret_access_key,
        } => {
            map.add("aws_access_key_id", access_key_id);
            map.add("aws_secret_access_key", secret_access_key);
            "aws_auth"
        }
        RegistryAuth::AwsRole { role_arn } => {
            map.add("oidc_role_arn", role_arn);
            "aws_auth"
        }
        RegistryAuth::Gcp {
            workload_identity_provider,
            service_account,
        } => {
            map.add_some(
                "workload_identity_provider",
                workload_identity_provider.as_ref(),
            );
            map.add_some("service_account", service_account.as_ref());
            "gcp_auth"
        }
    };
    (key, map)
}
