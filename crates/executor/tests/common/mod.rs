//! What the tests of the process executor share.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use outrider_executor::conformance::{
    Dialect, Subject, ThisHost, marked_processes, new_attempt, until,
};
use outrider_executor::process::{ProcessExecutor, ProcessSettings};
use outrider_executor::{Executor, Handle};
use tempfile::TempDir;

/// Set for the process that plays the runner that is killed.
const DOOMED: &str = "OUTRIDER_TEST_DOOMED_RUNNER";

pub fn place() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

pub fn settings(root: &Path, cgroups: bool) -> ProcessSettings {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("test-{}-{number}", std::process::id());
    ProcessSettings {
        cgroups,
        ..ProcessSettings::new(root, name)
    }
}

pub fn subject(cgroups: bool) -> Subject {
    let place = place();
    let executor = ProcessExecutor::new(settings(&place.path().join("work"), cgroups));
    Subject::new(executor, Dialect::Shell, ThisHost).keep(place)
}

/// A runner is killed while a tree of processes runs, and another one cleans up after it.
pub async fn recovery_after_kill(cgroups: bool) {
    let place = place();
    let mark = format!("outrider-test-{}", new_attempt());
    let mut doomed = start_doomed_runner(place.path(), &mark);
    let handle = place.path().join("handle");
    let ready = place.path().join("ready");
    until("the tree is there", || {
        ready.exists() || !is_running(&mut doomed)
    })
    .await;
    doomed.kill().expect("killed");
    doomed.wait().expect("waited for");
    assert!(
        marked_processes(&mark).len() >= 2,
        "the tree outlives the runner"
    );

    let handle: Handle =
        serde_json::from_str(&fs::read_to_string(&handle).expect("a handle")).expect("a handle");
    let Handle::Process(inner) = &handle else {
        panic!("{handle:?}")
    };
    assert_eq!(inner.cgroup.is_some(), cgroups);
    assert!(inner.directory.exists());
    let executor = ProcessExecutor::new(runner_settings(place.path(), cgroups));
    executor.recover(&handle).await.expect("recover");
    assert_eq!(marked_processes(&mark), [0; 0]);
    assert!(!inner.directory.exists());
    assert!(inner.cgroup.as_ref().is_none_or(|cgroup| !cgroup.exists()));
    executor.recover(&handle).await.expect("it may be repeated");
    drop(executor);
    let left: Vec<_> = fs::read_dir(place.path().join("work"))
        .expect("listed")
        .collect();
    assert!(
        left.len() <= 1,
        "only the empty directory for scripts: {left:?}"
    );
}

fn is_running(child: &mut Child) -> bool {
    child.try_wait().expect("a child of ours").is_none()
}

fn runner_settings(place: &Path, cgroups: bool) -> ProcessSettings {
    let name = place
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    ProcessSettings {
        cgroups,
        ..ProcessSettings::new(place.join("work"), name)
    }
}

fn start_doomed_runner(place: &Path, mark: &str) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "doomed_runner", "--nocapture"])
        .env(DOOMED, place)
        .env("MARK", mark)
        .stdout(Stdio::null())
        .spawn()
        .expect("the test starts itself")
}

/// What the process that is killed does. Nothing, if this is the test itself.
pub async fn doomed_runner(cgroups: bool) {
    let Some(place) = std::env::var_os(DOOMED).map(PathBuf::from) else {
        return;
    };
    let mark = std::env::var_os("MARK")
        .expect("set")
        .into_string()
        .expect("text");
    let executor = ProcessExecutor::new(runner_settings(&place, cgroups));
    let subject = Subject::new(executor, Dialect::Shell, ThisHost);
    let environment = subject.prepare().await;
    let handle = serde_json::to_string(&environment.handle()).expect("serialised");
    fs::write(place.join("handle"), handle).expect("written");
    let script = r#"
        trap '' TERM
        (setsid "$BASH" -c 'trap "" TERM; touch "$PLACE/ready"; while :; do sleep 0.2; done' &)
        while :; do sleep 0.2; done
    "#;
    let mut request = subject.request(&*environment, script.to_owned());
    request.environment.insert("MARK".to_owned(), mark);
    request
        .environment
        .insert("PLACE".to_owned(), place.display().to_string());
    let (_, exec) = subject.start(&environment, request);
    let _ = exec.await;
}
