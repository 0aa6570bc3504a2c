//! What outlives a script, an environment or the runner.

use outrider_model::report::Exit;
use tokio::time::timeout;

use super::{DEADLINE, Dialect, Recorder, Subject, new_attempt};
use crate::Fault;

/// A child that keeps the pipe open does not hold `exec`; what it writes later still arrives.
pub async fn survivor_does_not_hold_exec(subject: Subject) {
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
    subject.exec(&*environment, "echo word > fifo", "").await;
    output.wait_for("late word\n").await;
    environment.cleanup().await.expect("cleanup");
    assert_eq!(output.bytes(), b"on\nlate word\n");
}

/// Not even if it never pauses. After `cleanup` nothing arrives any more.
pub async fn endless_survivor_does_not_hold_exec(subject: Subject) {
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

/// `cleanup` removes everything, also what is read-only, and follows no links.
pub async fn cleanup_leaves_nothing(subject: Subject) {
    let outside = subject.prepare_in(1).await;
    subject.exec(&*outside, "touch kept", "").await;
    let environment = subject.prepare().await;
    let shell = format!(
        "mkdir -p a/b/c ../x; touch a/b/c/file ../x/file; ln -s '{}' a/b/link; ln -s . a/loop\n\
         chmod 0555 a/b/c a/b ../x; chmod 0 a",
        outside.resolve(".").display()
    );
    let (result, output) = subject.exec(&*environment, &shell, "").await;
    assert_eq!(result.exit, Exit::Code(0), "{}", output.escape_ascii());
    assert!(!subject.remains(&*environment).await.is_empty());
    environment.cleanup().await.expect("cleanup");
    assert_eq!(subject.remains(&*environment).await, [""; 0]);
    let (kept, _) = subject.exec(&*outside, "test -e kept", "").await;
    assert_eq!(kept.exit, Exit::Code(0), "what is another's is left alone");
    outside.cleanup().await.expect("cleanup");
}

/// The next attempt in a slot finds nothing of the one before it.
pub async fn slot_is_used_again(subject: Subject) {
    let mut untouched = None;
    for round in 0..4 {
        let environment = subject.prepare().await;
        // The home of an image has files of its own.
        let (result, found) = subject.exec(&*environment, "ls -A . ..", "").await;
        assert_eq!(result.exit, Exit::Code(0), "{}", found.escape_ascii());
        let found = found.escape_ascii().to_string();
        assert_eq!(&found, untouched.get_or_insert(found.clone()), "{round}");
        if round % 2 == 1 {
            let shell = "touch file ../file; sleep 1000 &";
            let dirty = subject.exec(&*environment, shell, "").await;
            assert_eq!(dirty.0.exit, Exit::Code(0));
        }
        environment.cleanup().await.expect("cleanup");
        assert_eq!(subject.remains(&*environment).await, [""; 0]);
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
        // In a container, who could have told how it ended is gone as well.
        Err(error) => assert_eq!(error.fault, Fault::Infrastructure, "{error}"),
    }
    let left = subject.marked(&*environment, &mark).await;
    assert_eq!(left, [0; 0], "left after `recover`");
    assert_eq!(subject.remains(&*environment).await, [""; 0]);
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
