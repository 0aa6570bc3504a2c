//! Containers that wait for tasks.

use std::collections::HashMap;
use std::path::Path;
use std::slice::from_ref;

use bollard::query_parameters::{
    KillContainerOptions, ListContainersOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder,
};
use outrider_executor::conformance::{DEADLINE, Dialect, Subject, new_attempt, until};
use outrider_executor::docker::{
    DockerExecutor, DockerHandle, DockerSettings, Privileges, PullPolicy, Warm,
};
use outrider_executor::{Environment, Executor, Fault, Handle, PrepareRequest};
use outrider_model::plan::{DockerImage, EnvironmentKind, RegistryAuth};
use outrider_model::report::Exit;
use outrider_testkit::docker::{Image, PASSWORD, Registry, USER, client};
use tempfile::TempDir;
use tokio::time::{Duration, Instant, sleep};

use super::lookout::EngineLookout;
use super::support::{containers, exec, executor, kind, listed, prepare, request, settings};

/// An executor of which so many containers wait, and the name of its runner.
fn warm(count: usize, images: &[&str]) -> (DockerExecutor, TempDir, String) {
    let runner = format!("warm-{}", new_attempt());
    let (executor, place) = executor(|place| warm_settings(place, &runner, count, images));
    (executor, place, runner)
}

fn warm_settings(place: &Path, runner: &str, count: usize, images: &[&str]) -> DockerSettings {
    DockerSettings {
        runner_name: runner.to_owned(),
        warm: Warm {
            containers: count,
            images: images.iter().map(|&image| image.to_owned()).collect(),
        },
        ..settings(place)
    }
}

/// Waits until so many containers wait.
async fn full(executor: &DockerExecutor, count: usize) -> Vec<String> {
    until("containers wait", || executor.waiting().len() == count).await;
    executor.waiting()
}

/// The containers of a runner that the Engine has.
async fn of_runner(runner: &str) -> Vec<String> {
    let label = format!("outrider.runner={runner}");
    let filters = HashMap::from([("label".to_owned(), vec![label])]);
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filters)
        .build();
    listed(&client(), options).await
}

async fn until_nothing_is_left(runner: &str) {
    let end = Instant::now() + DEADLINE;
    while !of_runner(runner).await.is_empty() {
        assert!(Instant::now() < end, "containers are left");
        sleep(Duration::from_millis(20)).await;
    }
}

fn container_of(environment: &dyn Environment) -> String {
    match environment.handle() {
        Handle::Docker(DockerHandle { container, .. }) => container.expect("a container"),
        other => panic!("{other:?}"),
    }
}

async fn of_image(image: Image) -> PrepareRequest {
    PrepareRequest {
        kind: kind(&image.provide().await),
        ..request().await
    }
}

#[tokio::test]
async fn a_job_takes_a_container_that_waits_and_another_one_takes_its_place() {
    let image = Image::Busybox.provide().await;
    let (executor, _place, runner) = warm(1, &[&image]);
    executor.begin();
    let waiting = full(&executor, 1).await.remove(0);
    assert_eq!(of_runner(&runner).await, from_ref(&waiting));
    let found = client().inspect_container(&waiting, None).await;
    let labels = found.expect("it is there").config.expect("a config").labels;
    assert_eq!(labels.expect("labels")["outrider.role"], "warm");

    let (_, environment) = prepare(&executor, request().await).await;
    let (_, name) = exec(&*environment, "hostname; pwd; id -u").await;
    assert!(name.starts_with(&waiting[..12]), "{name}");
    assert!(name.ends_with("/root/project\n0\n"), "{name}");
    let next = full(&executor, 1).await.remove(0);
    assert_ne!(next, waiting);
    environment.cleanup().await.expect("cleanup");
    assert_eq!(of_runner(&runner).await, [next]);
    executor.end().await;
    assert_eq!(of_runner(&runner).await, [""; 0]);
}

#[tokio::test]
async fn what_the_last_job_used_waits_for_the_next() {
    let (executor, _place, runner) = warm(2, &[]);
    executor.begin();
    let (_, first) = prepare(&executor, request().await).await;
    let waiting = full(&executor, 2).await;
    let (_, second) = prepare(&executor, request().await).await;
    assert!(waiting.contains(&container_of(&*second)));
    for environment in [first, second] {
        environment.cleanup().await.expect("cleanup");
    }
    executor.end().await;
    assert_eq!(of_runner(&runner).await, [""; 0]);
}

#[tokio::test]
async fn nobody_gets_a_container_with_the_limits_or_the_image_of_others() {
    let (executor, _place, runner) = warm(1, &[]);
    prepare(&executor, request().await)
        .await
        .1
        .cleanup()
        .await
        .expect("cleanup");
    let waiting = full(&executor, 1).await;
    let small = PrepareRequest {
        resource_class: Some("small".to_owned()),
        ..request().await
    };
    for other in [small.clone(), of_image(Image::BusyboxAsUser).await] {
        let attempt = other.attempt;
        let (_, environment) = prepare(&executor, other).await;
        assert!(!waiting.contains(&container_of(&*environment)));
        assert_eq!(containers(attempt).await, [container_of(&*environment)]);
        environment.cleanup().await.expect("cleanup");
    }
    // The pool follows.
    prepare(&executor, small.clone())
        .await
        .1
        .cleanup()
        .await
        .expect("cleanup");
    let limit_of = async |id: &str| {
        let found = client().inspect_container(id, None).await.ok()?;
        found.host_config?.nano_cpus
    };
    let end = Instant::now() + DEADLINE;
    let mut last = None;
    while last != Some(1_000_000_000) {
        assert!(Instant::now() < end, "it has {last:?}");
        sleep(Duration::from_millis(20)).await;
        last = match executor.waiting().as_slice() {
            [id] => limit_of(id).await,
            _ => None,
        };
    }
    let again = PrepareRequest {
        attempt: new_attempt(),
        ..small
    };
    let waiting = executor.waiting();
    let (_, environment) = prepare(&executor, again).await;
    assert_eq!(waiting, [container_of(&*environment)]);
    environment.cleanup().await.expect("cleanup");
    executor.end().await;
    assert_eq!(of_runner(&runner).await, [""; 0]);
}

#[tokio::test]
async fn a_read_only_root_is_writable_where_the_job_works() {
    let image = Image::Busybox.provide().await;
    let (executor, _place) = executor(|place| DockerSettings {
        privileges: Privileges {
            read_only_root: true,
            ..Privileges::default()
        },
        ..warm_settings(place, "tests", 1, &[&image])
    });
    executor.begin();
    let elsewhere = PrepareRequest {
        working_directory: "/work".to_owned(),
        ..request().await
    };
    for (request, fits) in [(request().await, true), (elsewhere, false)] {
        let waiting = full(&executor, 1).await;
        let (_, environment) = prepare(&executor, request).await;
        assert_eq!(waiting.contains(&container_of(&*environment)), fits);
        let (result, output) = exec(&*environment, "touch file && ! touch /etc/file").await;
        assert_eq!(result.expect("exec").exit, Exit::Code(0), "{output}");
        environment.cleanup().await.expect("cleanup");
    }
    executor.end().await;
}

#[tokio::test]
async fn a_container_that_died_while_it_waited_is_for_nobody() {
    let image = Image::Busybox.provide().await;
    let (executor, _place, runner) = warm(1, &[&image]);
    executor.begin();
    for _ in 0..3 {
        let victim = full(&executor, 1).await.remove(0);
        let options = None::<KillContainerOptions>;
        client()
            .kill_container(&victim, options)
            .await
            .expect("killed");
        // At once: the executor may not know of it yet.
        let (_, environment) = prepare(&executor, request().await).await;
        let (_, name) = exec(&*environment, "hostname").await;
        assert!(
            !name.is_empty() && !victim.starts_with(name.trim()),
            "{name}"
        );
        environment.cleanup().await.expect("cleanup");
    }
    executor.end().await;
    assert_eq!(of_runner(&runner).await, [""; 0]);
}

#[tokio::test]
async fn a_container_that_has_waited_is_found_by_its_handle() {
    let image = Image::Busybox.provide().await;
    let (executor, place, _) = warm(1, &[&image]);
    executor.begin();
    let waiting = full(&executor, 1).await.remove(0);
    let (_, environment) = prepare(&executor, request().await).await;
    let handle = environment.handle();
    let stored = serde_json::to_string(&handle).expect("it can be stored");
    let restored: Handle = serde_json::from_str(&stored).expect("it can be read");
    assert_eq!(restored, handle);
    let next = DockerExecutor::new(settings(place.path()));
    next.recover(&restored).await.expect("recover");
    let gone = client().inspect_container(&waiting, None).await;
    assert!(gone.is_err(), "{gone:?}");
    next.recover(&restored).await.expect("it may be repeated");
    environment.cleanup().await.expect("cleanup");
    executor.end().await;
}

#[test]
fn a_handle_of_an_older_runner_is_understood() {
    let attempt = new_attempt();
    let older = format!(r#"{{"executor": "docker", "attempt": "{attempt}"}}"#);
    let handle = DockerHandle {
        attempt,
        container: None,
    };
    let read: Handle = serde_json::from_str(&older).expect("it can be read");
    assert_eq!(read, Handle::Docker(handle));
}

#[tokio::test]
async fn an_executor_that_is_dropped_leaves_nothing() {
    let image = Image::Busybox.provide().await;
    let (executor, _place, runner) = warm(2, &[&image]);
    executor.begin();
    full(&executor, 2).await;
    drop(executor);
    until_nothing_is_left(&runner).await;
}

#[tokio::test]
async fn an_executor_that_ends_while_it_makes_one_leaves_nothing() {
    let image = Image::Busybox.provide().await;
    let (executor, _place, runner) = warm(3, &[&image]);
    executor.begin();
    full(&executor, 1).await;
    executor.end().await;
    assert_eq!(of_runner(&runner).await, [""; 0]);
    let (_, environment) = prepare(&executor, request().await).await;
    environment.cleanup().await.expect("cleanup");
    assert_eq!(of_runner(&runner).await, [""; 0], "nothing waits any more");
}

#[tokio::test]
async fn an_image_that_is_not_there_holds_up_nobody_and_is_tried_again() {
    let image = Image::Busybox.provide().await;
    let repository = format!("outrider-test/later-{}", new_attempt()).to_lowercase();
    let later = format!("{repository}:1");
    let runner = format!("warm-{}", new_attempt());
    let (executor, _place) = executor(|place| DockerSettings {
        pull: PullPolicy::Never,
        ..warm_settings(place, &runner, 1, &[&later, &image])
    });
    executor.begin();
    full(&executor, 1).await;
    let (_, environment) = prepare(&executor, request().await).await;
    environment.cleanup().await.expect("cleanup");
    let tag = TagImageOptionsBuilder::new()
        .repo(&repository)
        .tag("1")
        .build();
    client().tag_image(&image, Some(tag)).await.expect("tagged");
    full(&executor, 2).await;
    executor.end().await;
    let options = None::<RemoveImageOptions>;
    client()
        .remove_image(&later, options, None)
        .await
        .expect("removed");
    assert_eq!(of_runner(&runner).await, [""; 0]);
}

#[tokio::test]
async fn a_private_image_takes_its_password_also_while_a_container_of_it_waits() {
    let registry = Registry::start_with_auth();
    let image = Image::Busybox.provide().await;
    let pushed = registry.push(&image, "acme/app:1").await;
    let with = |password: Option<&str>| EnvironmentKind::Docker {
        images: vec![DockerImage {
            auth: password.map(|password| RegistryAuth::Password {
                username: USER.to_owned(),
                password: password.to_owned(),
            }),
            ..DockerImage::new(&pushed.by_tag)
        }],
    };
    let (executor, _place, _) = warm(1, &[]);
    let job = async |password| PrepareRequest {
        kind: with(password),
        ..request().await
    };
    let (_, environment) = prepare(&executor, job(Some(PASSWORD)).await).await;
    environment.cleanup().await.expect("cleanup");
    let waiting = full(&executor, 1).await;
    for wrong in [None, Some("swordfish")] {
        let refused = executor.prepare(job(wrong).await).await;
        assert_eq!(refused.err().expect("refused").fault, Fault::User);
    }
    assert_eq!(executor.waiting(), waiting);
    let (_, environment) = prepare(&executor, job(Some(PASSWORD)).await).await;
    assert_eq!(waiting, [container_of(&*environment)]);
    environment.cleanup().await.expect("cleanup");
    executor.end().await;
    registry.forget(&pushed).await;
}

/// Not a test of its own: the runner that `a_killed_runner_leaves_nothing_that_waits` kills.
#[tokio::test]
async fn doomed_runner() {
    let Some(folder) = std::env::var_os("OUTRIDER_DOOMED_WARM") else {
        return;
    };
    let folder = Path::new(&folder);
    let runner = folder
        .file_name()
        .and_then(|it| it.to_str())
        .expect("a name");
    let executor = DockerExecutor::new(warm_settings(folder, runner, 2, &[]));
    let (_, first) = prepare(&executor, request().await).await;
    full(&executor, 2).await;
    let (_, second) = prepare(&executor, request().await).await;
    full(&executor, 2).await;
    let handles = [first.handle(), second.handle()];
    let handles = serde_json::to_vec(&handles).expect("they can be stored");
    std::fs::write(folder.join("new"), handles).expect("written");
    std::fs::rename(folder.join("new"), folder.join("handles")).expect("renamed");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_runner_leaves_nothing_that_waits() {
    let place = tempfile::tempdir().expect("a folder");
    let runner = place.path().file_name().and_then(|it| it.to_str());
    let runner = runner.expect("a name").to_owned();
    let mut process = std::process::Command::new(std::env::current_exe().expect("it runs"))
        .args(["--exact", "warm::doomed_runner"])
        .env("OUTRIDER_DOOMED_WARM", place.path())
        .spawn()
        .expect("started");
    let mut handles = None;
    until("the runner's containers wait", || {
        handles = std::fs::read(place.path().join("handles")).ok();
        handles.is_some()
    })
    .await;
    assert_eq!(of_runner(&runner).await.len(), 4);
    process.kill().expect("killed");
    process.wait().expect("ended");
    until_nothing_is_left(&runner).await;
    let next = DockerExecutor::new(settings(place.path()));
    let handles: Vec<Handle> =
        serde_json::from_slice(&handles.expect("there")).expect("they can be read");
    for handle in handles {
        next.recover(&handle).await.expect("recover");
    }
}

mod suite {
    use super::*;

    /// The first environment of each case is a container that has waited.
    fn subject() -> Subject {
        let image = crate::image();
        let (executor, place, _) = warm(1, &[&image]);
        executor.begin();
        let end = Instant::now() + DEADLINE;
        while executor.waiting().is_empty() {
            assert!(Instant::now() < end, "no container waits");
            std::thread::sleep(Duration::from_millis(5));
        }
        Subject::new(executor, Dialect::Shell, EngineLookout::default())
            .of_kind(kind(&image))
            .keep(place)
    }

    outrider_executor::conformance_suite!(subject);
}
