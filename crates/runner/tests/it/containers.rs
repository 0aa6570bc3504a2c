//! What is special about environments that have an image, services, and a slow start.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use outrider_executor::Service;
use outrider_model::Outcome;
use outrider_model::claim::ClaimedTask;
use outrider_model::plan::{DockerImage, EnvironmentKind, SetupRemoteDockerStep, Step};
use outrider_model::reason::EndReason;

use crate::support::rig::{Rig, soon};
use crate::support::tasks::{run, task, task_of};

fn in_an_image(mut task: ClaimedTask, variables: &[(&str, &str)]) -> ClaimedTask {
    let given = variables.iter();
    let environment = given.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let image = DockerImage {
        environment: environment.collect(),
        ..DockerImage::new("app:1")
    };
    task.payload.spec.environment_kind = EnvironmentKind::Docker {
        images: vec![image],
    };
    task
}

#[tokio::test]
async fn a_pull_is_seen_while_it_lasts_and_a_cancel_does_not_wait_for_it() {
    let rig = Rig::new();
    rig.world.with(|world| {
        world.slow_prepare = true;
        world.progress = Some("Pulling app:1: 50 %\n");
    });
    let life = rig.start();
    let id = rig.server.queue(task([run("print never")]));
    soon(
        rig.server
            .until(|state| state.tasks[&id].log.ends_with(b"50 %\n")),
    )
    .await;
    rig.server
        .change(|state| state.tasks.get_mut(&id).unwrap().stop = true);
    let finished = soon(rig.server.finished(id)).await;
    assert_eq!(finished.outcome, Outcome::Canceled);
    // The slot is taken until what comes of the preparation is removed.
    let next = rig.server.queue(task([run("print next")]));
    rig.world.open("prepare");
    assert_eq!(
        soon(rig.server.finished(next)).await.outcome,
        Outcome::Passed
    );
    rig.end(life).await;
    assert!(rig.world.with(|world| world.live.is_empty()));
    assert_eq!(rig.world.scripts(), ["print next"]);
    rig.server.assert_lawful();
}

#[tokio::test]
async fn what_a_preparation_says_comes_before_the_first_step() {
    let rig = Rig::new();
    rig.world
        .with(|world| world.progress = Some("Pulled app:1\n"));
    let life = rig.start();
    let id = rig.server.queue(task([run("print one")]));
    soon(rig.server.finished(id)).await;
    assert_eq!(rig.server.log(id), "Pulled app:1\none\n");
    rig.end(life).await;
    rig.server.assert_lawful();
}

#[tokio::test]
async fn services_are_shown_as_steps_after_those_of_the_config() {
    let rig = Rig::new();
    let service = |name: &str| Service {
        name: name.to_owned(),
    };
    rig.world
        .with(|world| world.services = vec![service("postgres"), service("redis")]);
    let life = rig.start();
    let id = rig.server.queue(task([run("gate postgres\ngate go")]));
    soon(rig.server.until(|state| state.tasks[&id].steps.len() == 3)).await;
    // One ends by itself while the step runs; that fails nothing.
    rig.world.open("postgres");
    soon(rig.server.until(|state| {
        let steps = &state.tasks[&id].steps;
        steps
            .iter()
            .any(|step| step.index == 1 && step.ended.is_some())
    }))
    .await;
    rig.world.open("go");
    assert_eq!(soon(rig.server.finished(id)).await.outcome, Outcome::Passed);
    let steps = rig.server.state().tasks[&id].steps.clone();
    let ends = |index: u32| {
        let step = steps
            .iter()
            .find(|step| step.index == index)
            .expect("there");
        (
            step.name.clone(),
            step.ended.as_ref().expect("ended").outcome,
        )
    };
    assert_eq!(ends(1), ("Container postgres".to_owned(), Outcome::Failed));
    assert_eq!(ends(2), ("Container redis".to_owned(), Outcome::Passed));
    let log = rig.server.log(id);
    assert!(
        log.contains("postgres is up\n") && log.contains("redis is up\n"),
        "{log}"
    );
    assert!(log.contains("ended with code 1"), "{log}");
    assert!(log.ends_with("redis is gone\n"), "{log}");
    rig.end(life).await;
    rig.server.assert_lawful();
}

#[tokio::test]
async fn an_image_brings_its_variables_and_the_runner_none() {
    let mut rig = Rig::new();
    let host = &mut rig.settings.inherited_environment;
    for name in ["HOME", "LANG", "SSH_AUTH_SOCK", "DOCKER_HOST"] {
        host.insert(name.to_owned(), "host".to_owned());
    }
    // What the config gives the image is in there too: the executor knows both.
    let image = [
        ("HOME", "/root"),
        ("A", "image"),
        ("B", "config"),
        ("C", "config"),
    ];
    let image: BTreeMap<_, _> = image
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    rig.world.with(|world| world.image = Some(image));
    let life = rig.start();
    let names = [
        "HOME",
        "LANG",
        "SSH_AUTH_SOCK",
        "DOCKER_HOST",
        "A",
        "B",
        "C",
    ];
    let script: Vec<_> = names.iter().map(|name| format!("env {name}")).collect();
    let wanted = in_an_image(
        task([run(&script.join("\n"))]),
        &[("B", "config"), ("C", "config")],
    );
    let mut wanted = wanted;
    let job = [("C".to_owned(), "job".to_owned())];
    wanted.payload.spec.environment = IndexMap::from(job);
    let id = rig.server.queue(wanted);
    soon(rig.server.finished(id)).await;
    assert_eq!(
        rig.server.log(id),
        "HOME=/root\nLANG=unset\nSSH_AUTH_SOCK=unset\nDOCKER_HOST=unset\nA=image\nB=config\nC=job\n"
    );
    rig.end(life).await;
}

#[tokio::test]
async fn the_executor_hears_what_the_job_asks_for() {
    let rig = Rig::new();
    let life = rig.start();
    let docker = Step::SetupRemoteDocker(SetupRemoteDockerStep {
        name: None,
        version: None,
    });
    let mut wanted = task_of(vec![docker]);
    wanted.payload.spec.resource_class = Some("medium".to_owned());
    let job = [("USER_NAME".to_owned(), "anna".to_owned())];
    wanted.payload.spec.environment = IndexMap::from(job);
    let id = rig.server.queue(wanted);
    assert_eq!(soon(rig.server.finished(id)).await.outcome, Outcome::Passed);
    let request = rig.world.with(|world| world.requests.remove(0));
    assert!(request.wants_docker);
    assert_eq!(request.resource_class.as_deref(), Some("medium"));
    assert_eq!(request.variables["USER_NAME"], "anna");
    rig.end(life).await;
}

#[tokio::test]
async fn code_that_is_not_trusted_gets_no_engine() {
    let rig = Rig::new();
    let life = rig.start();
    let docker = Step::SetupRemoteDocker(SetupRemoteDockerStep {
        name: None,
        version: None,
    });
    let mut wanted = task_of(vec![docker]);
    wanted.payload.trigger.untrusted = true;
    let id = rig.server.queue(wanted);
    soon(rig.server.finished(id)).await;
    assert!(
        !rig.world
            .with(|world| world.requests.remove(0))
            .wants_docker
    );
    rig.end(life).await;
}

#[tokio::test]
async fn a_lack_of_memory_is_the_reason() {
    let rig = Rig::new();
    let life = rig.start();
    let id = rig.server.queue(task([run("print greedy\nexit 137")]));
    let finished = soon(rig.server.finished(id)).await;
    let reason = EndReason::OutOfMemory {
        step: 0,
        name: "print greedy".to_owned(),
        limit_bytes: 64 << 20,
    };
    assert_eq!(finished.reason, Some(reason));
    rig.end(life).await;
}
