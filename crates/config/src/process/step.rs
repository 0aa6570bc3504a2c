//! Steps, each as a mapping with all that differs from the defaults.

use std::time::Duration;

use outrider_model::plan::{
    CheckoutMethod, CheckoutStep, RunStep, SetupRemoteDockerStep, Step, When,
};

use super::yaml::{Map, Yaml};
use crate::syntax::{NO_OUTPUT_TIMEOUT, name_of};

/// A step: its kind, and its keys.
pub(super) fn step(step: &Step) -> Yaml {
    let (kind, body) = match step {
        Step::Run(step) => ("run", run(step)),
        Step::Checkout(step) => ("checkout", checkout(step)),
        Step::SetupRemoteDocker(step) => ("setup_remote_docker", setup_remote_docker(step)),
        Step::SaveCache(step) => {
            let mut map = Map::of("key", &step.key);
            map.add("paths", Yaml::texts(&step.paths));
            map.add_some("when", when(step.when));
            ("save_cache", named(map, step.name.as_ref()))
        }
        Step::RestoreCache(step) => {
            let map = Map::of("keys", Yaml::texts(&step.keys));
            ("restore_cache", named(map, step.name.as_ref()))
        }
        Step::StoreArtifacts(step) => {
            let mut map = Map::of("path", &step.path);
            map.add_some("destination", step.destination.as_ref());
            ("store_artifacts", named(map, step.name.as_ref()))
        }
        Step::StoreTestResults(step) => {
            let map = Map::of("path", &step.path);
            ("store_test_results", named(map, step.name.as_ref()))
        }
        Step::PersistToWorkspace(step) => {
            let mut map = Map::of("root", &step.root);
            map.add("paths", Yaml::texts(&step.paths));
            ("persist_to_workspace", named(map, step.name.as_ref()))
        }
        Step::AttachWorkspace(step) => {
            let map = Map::of("at", &step.at);
            ("attach_workspace", named(map, step.name.as_ref()))
        }
        Step::AddSshKeys(step) => {
            let mut map = Map::default();
            map.add_filled("fingerprints", Yaml::texts(&step.fingerprints));
            ("add_ssh_keys", named(map, step.name.as_ref()))
        }
    };
    // A step without keys is its name alone.
    match Yaml::from(body) {
        body if body.is_empty() => kind.into(),
        body => Map::of(kind, body).into(),
    }
}

fn named(mut map: Map, name: Option<&String>) -> Map {
    map.add_some("name", name);
    map
}

fn run(step: &RunStep) -> Map {
    let mut map = Map::of("command", &step.command);
    if step.name != name_of(&step.command) {
        map.add("name", &step.name);
    }
    map.add_some("shell", step.shell.as_ref());
    map.add_filled("environment", &step.environment);
    if step.background {
        map.add("background", Yaml::Boolean(true));
    }
    map.add_some("working_directory", step.working_directory.as_ref());
    if step.no_output_timeout != NO_OUTPUT_TIMEOUT {
        map.add("no_output_timeout", duration(step.no_output_timeout));
    }
    map.add_some("when", when(step.when));
    if step.max_auto_reruns > 0 {
        map.add("max_auto_reruns", Yaml::Integer(step.max_auto_reruns));
    }
    if !step.auto_rerun_delay.is_zero() {
        map.add("auto_rerun_delay", duration(step.auto_rerun_delay));
    }
    map
}

fn checkout(step: &CheckoutStep) -> Map {
    let mut map = Map::default();
    map.add_some("path", step.path.as_ref());
    match step.method {
        CheckoutMethod::Blobless => {}
        CheckoutMethod::Full => map.add("method", "full"),
        CheckoutMethod::Shallow { depth } => {
            map.add("method", "shallow");
            map.add("depth", Yaml::Integer(depth));
        }
    }
    named(map, step.name.as_ref())
}

fn setup_remote_docker(step: &SetupRemoteDockerStep) -> Map {
    let mut map = Map::default();
    map.add_some("version", step.version.as_ref());
    named(map, step.name.as_ref())
}

fn when(when: When) -> Option<&'static str> {
    match when {
        When::OnSuccess => None,
        When::OnFail => Some("on_fail"),
        When::Always => Some("always"),
    }
}

/// A duration in the largest unit that gives it exactly.
fn duration(duration: Duration) -> String {
    const UNITS: &[(u128, &str)] = &[(3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let millis = duration.as_millis();
    let exact = UNITS
        .iter()
        .find(|(unit, _)| millis.is_multiple_of(*unit) && millis > 0);
    exact.map_or_else(
        || format!("{millis}ms"),
        |(unit, name)| format!("{}{name}", millis / unit),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact() {
        let written = |millis| duration(Duration::from_millis(millis));
        assert_eq!(written(7_200_000), "2h");
        assert_eq!(written(5_400_000), "90m");
        assert_eq!(written(90_000), "90s");
        assert_eq!(written(1_500), "1500ms");
        assert_eq!(written(0), "0ms");
    }
}
