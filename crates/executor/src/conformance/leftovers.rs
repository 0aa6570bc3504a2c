//! What outlives a script, an environment or the runner.

use std::path::Path;

use outrider_model::report::Exit;
use tokio::time::timeout;

use super::{DEADLINE, Dialect, Recorder, Subject, marked_processes, new_attempt};
use crate::Environment;

/// A child that keeps the pipe open does not hold `exec`; what it writes later still arrives.
pub async fn survivor_does_not_hold_exec(subject: Subject) {
    if !subject.on_this_host {
        return;
    }
    let environment = subject.prepare().await;
    let shell =
        "mkfifo fifo\n(read -r word < fifo; echo \"late $word\"; exec sleep 1000) &\necho on";
    let request = subject.request(&*environment, shell.to_owned());
    let output = Recorder::new();
    let exec = environment.exec(request, output.clone());
    let result = timeout(DEADLINE, exec)
        .await
        .expect("it is not held")
        .expect("exec");
    assert_eq!(
        (result.exit, output.bytes()),
        (Exit::Code(0), b"on\n".to_vec())
    );
    std::fs::write(environment.resolve("fifo"), "word\n").expect("someone reads");
    output.wait_for("late word\n").await;
    environment.cleanup().await.expect("cleanup");
    assert_eq!(output.bytes(), b"on\nlate word\n");
}

/// Not even if it never pauses. After `cleanup` nothing arrives any more.
pub async fn endless_survivor_does_not_hold_exec(subject: Subject) {
    if !subject.on_this_host {
        return;
    }
    let environment = subject.prepare().await;
    let request = subject.request(&*environment, "yes &\necho on".to_owned());
    let output = Recorder::new();
    let exec = environment.exec(request, output.clone());
    let result = timeout(DEADLINE, exec)
        .await
        .expect("it is not held")
        .expect("exec");
    assert_eq!(result.exit, Exit::Code(0));
    assert!(output.contains("on\n"));
    let so_far = output.len();
    super::until("more arrives", || output.len() > so_far).await;
    timeout(DEADLINE, environment.cleanup())
        .await
        .expect("it ends")
        .expect("cleanup");
    let (all, readers) = (output.len(), std::sync::Arc::strong_count(&output));
    assert_eq!(
        (output.len(), readers),
        (all, 1),
        "nobody else has the output"
    );
}

/// `cleanup` may be repeated, also at the same time.
pub async fn cleanup_twice(subject: Subject) {
    let environment = subject.prepare().await;
    let (first, second) = tokio::join!(environment.cleanup(), environment.cleanup());
    first.expect("cleanup");
    second.expect("cleanup");
    environment.cleanup().await.expect("cleanup");
}

/// `cleanup` removes the directory, also if parts of it are read-only, and follows no links.
pub async fn cleanup_leaves_nothing(subject: Subject) {
    if !subject.on_this_host {
        return;
    }
    let outside = subject.prepare_in(1).await;
    let kept = here(&*outside).join("kept");
    std::fs::write(&kept, "").expect("written");
    let environment = subject.prepare().await;
    let shell = format!(
        "mkdir -p a/b/c ../x; touch a/b/c/file ../x/file; ln -s '{}' a/b/link; ln -s . a/loop\n\
         chmod 0555 a/b/c a/b ../x; chmod 0 a",
        here(&*outside).display()
    );
    let (result, output) = subject.exec(&*environment, &shell, "").await;
    assert_eq!(result.exit, Exit::Code(0), "{}", output.escape_ascii());
    let directory = here(&*environment).to_owned();
    assert!(directory.exists());
    environment.cleanup().await.expect("cleanup");
    assert!(!directory.exists() && kept.exists());
    outside.cleanup().await.expect("cleanup");
}

/// The next attempt in a slot finds nothing of the one before it.
pub async fn slot_is_used_again(subject: Subject) {
    // The home of an image has files of its own.
    let shell = match subject.on_this_host {
        true => "test -z \"$(ls -A . ..  | grep -v -e ^project -e : -e '^$')\"; pwd",
        false => "test ! -e file; test ! -e ../file; pwd",
    };
    let mut seen = Vec::new();
    for round in 0..4 {
        let environment = subject.prepare().await;
        let (result, output) = subject.exec(&*environment, shell, "pwd").await;
        assert_eq!(
            result.exit,
            Exit::Code(0),
            "round {round}: {}",
            output.escape_ascii()
        );
        if round % 2 == 1 {
            let shell = "touch file ../file; sleep 1000 &";
            let dirty = subject.exec(&*environment, shell, "").await;
            assert_eq!(dirty.0.exit, Exit::Code(0));
        }
        environment.cleanup().await.expect("cleanup");
        assert!(is_gone(&*environment));
        // Each container has its own file system, in which the same paths are free again.
        let is_new = !seen.contains(&output) || environment.files().here().is_none();
        assert!(is_new, "a directory is never given twice");
        seen.push(output);
    }
}

/// What an environment left is found again by its handle, and ended. That the runner itself is
/// gone then is up to the tests of the executor.
pub async fn recovery(subject: Subject) {
    let environment = subject.prepare().await;
    let mark = format!("outrider-conformance-{}", new_attempt());
    let shell = "trap '' TERM; (setsid sleep 1000 & ); echo ready; while :; do sleep 0.1; done";
    let script = subject.script(shell, "ignore-term\nprint ready\nhang");
    let mut request = subject.request(&*environment, script);
    request.environment.insert("MARK".to_owned(), mark.clone());
    let (output, exec) = subject.start(&environment, request);
    output.wait_for("ready").await;
    let handle = environment.handle();
    subject.executor.recover(&handle).await.expect("recover");
    match exec.await.expect("no panic") {
        Ok(result) => assert_eq!(result.exit, Exit::Signal(9)),
        // Who could have told how it ended is gone as well.
        Err(error) => assert!(environment.files().here().is_none(), "{error}"),
    }
    if subject.on_this_host {
        assert_eq!(marked_processes(&mark), [0; 0], "left after `recover`");
    }
    assert!(is_gone(&*environment));
    subject
        .executor
        .recover(&handle)
        .await
        .expect("it may be repeated");
    environment.cleanup().await.expect("cleanup");
}

/// A handle of what was removed long ago is no error.
pub async fn recovery_of_nothing(subject: Subject) {
    let environment = subject.prepare().await;
    let handle = environment.handle();
    environment.cleanup().await.expect("cleanup");
    let new = subject.prepare().await;
    let scripts = match subject.dialect {
        Dialect::Shell => ["echo ready; exec sleep 1000", ""],
        Dialect::Fake => ["", "print ready\nhang"],
    };
    let script = subject.script(scripts[0], scripts[1]);
    let (output, exec) = subject.start(&new, subject.request(&*new, script));
    output.wait_for("ready").await;
    subject.executor.recover(&handle).await.expect("recover");
    assert!(
        !exec.is_finished(),
        "the next attempt in the slot is left alone"
    );
    new.cleanup().await.expect("cleanup");
    assert_eq!(
        exec.await.expect("no panic").expect("exec").exit,
        Exit::Signal(9)
    );
}

fn here(environment: &dyn Environment) -> &Path {
    environment.files().here().expect("files on this host")
}

/// What is not on this host, its executor's own tests look for.
fn is_gone(environment: &dyn Environment) -> bool {
    environment.files().here().is_none_or(|here| !here.exists())
}
