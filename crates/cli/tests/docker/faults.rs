//! What goes wrong with containers: it is told, and nothing is left.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bollard::query_parameters::RemoveContainerOptionsBuilder;
use outrider_executor::conformance::{DEADLINE, Recorder, new_attempt};
use outrider_executor::docker::DockerExecutor;
use outrider_executor::{Executor, Fault, PrepareRequest, Verdict};
use outrider_model::plan::EnvironmentKind;
use outrider_model::report::Exit;
use outrider_testkit::docker::client;
use tokio::sync::Barrier;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::support::{
    containers, exec, executor, kind, prepare, request, settings, step, until_gone,
};

/// What a step may do to the init without harm. Each is done as root.
const ATTACKS: [&str; 7] = [
    "kill -9 1; kill -TERM 1; kill -STOP 1; kill -CONT 1",
    "kill -TERM -1; kill -9 -1",
    "echo nonsense > /proc/1/fd/1; echo nonsense > /proc/1/fd/0; cat < /proc/1/fd/0",
    "echo nonsense > /proc/1/mem; echo 1000 > /proc/1/oom_score_adj",
    "rm -rf /.outrider /proc/1; mount -t tmpfs none /proc; umount -l /proc",
    "dd if=/dev/zero of=/dev/shm/big bs=1M; rm /dev/shm/big",
    "rm -rf /bin/[a-r]* /etc /tmp /root",
];

#[tokio::test]
async fn the_init_outlives_what_steps_do_to_it() {
    let (executor, _place) = executor(|place| {
        let mut settings = settings(place);
        settings.limits.memory = Some(256 << 20);
        settings
    });
    let (attempt, environment) = prepare(&executor, request().await).await;
    for attack in ATTACKS {
        let script = format!("set +e\n{attack}\necho still here");
        let (result, output) = timeout(DEADLINE, exec(&*environment, &script))
            .await
            .unwrap_or_else(|_| panic!("`{attack}` hangs"));
        let result = result.unwrap_or_else(|error| panic!("`{attack}`: {error}"));
        assert_eq!(result.exit, Exit::Code(0), "{attack}: {output}");
        assert!(output.ends_with("still here\n"), "{attack}: {output}");
    }
    environment.cleanup().await.expect("cleanup");
    assert_eq!(containers(attempt).await, [""; 0]);
}

#[tokio::test]
async fn a_container_that_is_removed_from_outside_is_told() {
    let (executor, _place) = executor(settings);
    let (attempt, environment) = prepare(&executor, request().await).await;
    let output = Recorder::new();
    let running = {
        let (environment, output) = (Arc::clone(&environment), output.clone());
        let step = step(&*environment, "echo ready; sleep 1000");
        TaskTracker::new().spawn(async move { environment.exec(step, output).await })
    };
    output.wait_for("ready").await;
    let options = RemoveContainerOptionsBuilder::new().force(true).build();
    let container = containers(attempt).await.remove(0);
    let removed = client().remove_container(&container, Some(options)).await;
    removed.expect("removed");
    let error = running.await.expect("no panic").expect_err("it is gone");
    assert_eq!(error.fault, Fault::Infrastructure);
    // Podman does not tell who it was.
    let told = ["from outside", "was killed"];
    let told = told.iter().any(|words| error.message.contains(words));
    assert!(told, "{error}");
    environment.stop(Duration::ZERO).await.expect("stop");
    environment.cleanup().await.expect("cleanup");
}

#[tokio::test]
async fn what_is_no_job_for_containers_is_refused() {
    let (executor, _place) = executor(settings);
    let kinds = [
        EnvironmentKind::Machine { image: None },
        kind("outrider-tests/there-is-no-such-image:1"),
        kind("not a name"),
    ];
    for kind in kinds {
        let request = PrepareRequest::new(new_attempt(), 0, kind, "~/project");
        let attempt = request.attempt;
        let error = executor.prepare(request).await.err().expect("refused");
        assert!(!error.message.is_empty());
        assert_eq!(containers(attempt).await, [""; 0]);
    }
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_named() {
    let (executor, place) = executor(|place| {
        let mut settings = settings(place);
        settings.engine = Some("unix:///nowhere/docker.sock".to_owned());
        settings
    });
    let findings = executor.check().await;
    assert_eq!(findings[0].verdict, Verdict::Missing);
    assert!(findings[0].detail.contains("/nowhere/docker.sock"));
    let error = executor.prepare(request().await).await.err();
    let error = error.expect("nobody answers");
    assert_eq!(error.fault, Fault::Infrastructure);
    assert!(error.message.contains("/nowhere/docker.sock"), "{error}");
    assert!(!place.path().join("owners").exists(), "nothing was touched");
}

#[tokio::test]
async fn a_program_that_is_none_is_named() {
    let (executor, _place) = executor(|place| {
        let mut settings = settings(place);
        settings.program = place.join("nothing");
        settings
    });
    let error = executor.prepare(request().await).await.err();
    let error = error.expect("there is no program");
    assert!(error.message.contains("nothing"), "{error}");
}

#[tokio::test]
async fn odd_names_do_no_harm() {
    let (executor, _place) = executor(|place| {
        let mut settings = settings(place);
        settings.runner_name = "a \"b\"/ü=,;$(x)\n".to_owned();
        settings
    });
    let mut request = request().await;
    request.working_directory = "~/it's a \"project\" ü".to_owned();
    let (attempt, environment) = prepare(&executor, request).await;
    let (result, output) = exec(&*environment, "pwd").await;
    assert_eq!(result.expect("exec").exit, Exit::Code(0));
    assert!(output.ends_with("/it's a \"project\" ü\n"), "{output}");
    environment.cleanup().await.expect("cleanup");
    assert_eq!(containers(attempt).await, [""; 0]);
}

/// How many tasks run at once.
const MANY: usize = 50;

#[tokio::test]
async fn many_at_once_are_strangers_to_each_other() {
    let (executor, _place) = executor(|place| {
        let mut settings = settings(place);
        // The machine has to bear them all.
        settings.limits.memory = Some(64 << 20);
        settings
    });
    let executor = Arc::new(executor);
    let together = Arc::new(Barrier::new(MANY));
    let tasks = TaskTracker::new();
    let many: Vec<_> = (0..MANY)
        .map(|slot| tasks.spawn(one_of_many(executor.clone(), slot, together.clone())))
        .collect();
    for one in many {
        one.await.expect("it went well");
    }
}

/// All are there at the same time.
async fn one_of_many(executor: Arc<DockerExecutor>, slot: usize, together: Arc<Barrier>) {
    let mut request = request().await;
    request.slot = slot;
    let (attempt, environment) = prepare(&executor, request).await;
    let script = format!("ls -A; echo {slot} > {slot}; cat *; hostname");
    let (result, host) = exec(&*environment, &script).await;
    assert_eq!(result.expect("exec").exit, Exit::Code(0));
    assert!(host.starts_with(&format!("{slot}\n")), "{host}");
    together.wait().await;
    let lines = "own=$(cat *); for i in $(seq 500); do echo $own line $i; done; hostname";
    let (result, output) = exec(&*environment, lines).await;
    assert_eq!(result.expect("exec").exit, Exit::Code(0));
    let mut expected: String = (1..=500).map(|i| format!("{slot} line {i}\n")).collect();
    expected += host.split_once('\n').expect("two lines").1;
    assert_eq!(output, expected);
    environment.cleanup().await.expect("cleanup");
    assert_eq!(containers(attempt).await, [""; 0]);
}

/// Not a test of its own: the runner that `a_killed_runner_leaves_nothing` kills.
#[tokio::test]
async fn doomed_runner() {
    let Some(folder) = std::env::var_os("OUTRIDER_DOOMED") else {
        return;
    };
    let executor = DockerExecutor::new(settings(folder.as_ref()));
    let (attempt, environment) = prepare(&executor, request().await).await;
    let output = Recorder::new();
    let step = step(&*environment, "trap '' TERM; echo ready; sleep 1000");
    let ready = async {
        output.wait_for("ready").await;
        let file = std::path::Path::new(&folder).join("attempt");
        std::fs::write(file, attempt.to_string()).expect("written");
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = environment.exec(step, output.clone()) => {}
        () = ready => {}
    }
}

#[tokio::test]
async fn a_killed_runner_leaves_nothing() {
    let place = tempfile::tempdir().expect("a folder");
    let mut runner = std::process::Command::new(std::env::current_exe().expect("it runs"))
        .args(["--exact", "faults::doomed_runner"])
        .env("OUTRIDER_DOOMED", place.path())
        .spawn()
        .expect("started");
    let mut attempt = None;
    outrider_executor::conformance::until("the runner's step runs", || {
        let text = std::fs::read_to_string(place.path().join("attempt"));
        attempt = text.ok().and_then(|text| text.parse().ok());
        attempt.is_some()
    })
    .await;
    let attempt = attempt.expect("it runs");
    assert_eq!(containers(attempt).await.len(), 1);
    runner.kill().expect("killed");
    runner.wait().expect("ended");
    until_gone(attempt).await;
    let next = DockerExecutor::new(settings(place.path()));
    let (_, environment) = prepare(&next, request().await).await;
    environment.cleanup().await.expect("cleanup");
    assert_eq!(locks(place.path()), 1, "only that of the next one");
}

fn locks(place: &Path) -> usize {
    let entries = std::fs::read_dir(place.join("owners")).expect("there");
    let names = entries.map(|entry| entry.expect("listed").file_name());
    let locks = names.filter(|name| name.to_string_lossy().ends_with(".lock"));
    locks.count()
}

#[tokio::test]
async fn an_executor_that_ends_removes_what_is_its_own() {
    let (executor, place) = executor(settings);
    let (attempt, _environment) = prepare(&executor, request().await).await;
    assert_eq!(locks(place.path()), 1);
    executor.end().await;
    assert_eq!(containers(attempt).await, [""; 0]);
    assert_eq!(locks(place.path()), 0);
}
