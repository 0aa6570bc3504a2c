//! Scripts and trees of processes that are ended from outside.

use std::time::Duration;

use outrider_model::report::Exit;
use tokio::time::{Instant, sleep, timeout};

use super::{DEADLINE, Dialect, Recorder, Subject, new_attempt};

/// Long enough that a shell that was told to end could do so, if it wanted.
const SHORT_GRACE: Duration = Duration::from_millis(300);

/// Who ends in an orderly way is not killed, nor is the whole grace waited for.
pub async fn orderly_end_within_the_grace(subject: Subject) {
    let environment = subject.prepare().await;
    let shell = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let script = subject.script(shell, "on-term 7\nprint ready\nhang");
    let (output, exec) = subject.start(&environment, subject.request(&*environment, script));
    output.wait_for("ready").await;
    let start = Instant::now();
    environment.stop(DEADLINE * 10).await.expect("stop");
    assert!(start.elapsed() < DEADLINE * 5);
    assert_eq!(
        exec.await.expect("no panic").expect("exec").exit,
        Exit::Code(7)
    );
    assert_eq!(output.contains("bye"), subject.dialect == Dialect::Shell);
    environment.cleanup().await.expect("cleanup");
}

/// Runs forty programs when it is told to end, and says how many of them were told so, too.
const TIDY: &str = r#"
tidy() {
    told=0
    for _ in {1..40}; do sleep 0.05 || told=$((told + 1)); done
    if [ $told -lt 10 ]; then exit 7; fi
    echo "told $told of those that tidy up"
    exit 8
}
trap tidy TERM
echo ready
while :; do sleep 0.05 || :; done
"#;

/// Who tidies up before its end may start programs for it: they are not told to end as well, but
/// for those of the first moment.
pub async fn end_may_start_programs(subject: Subject) {
    let environment = subject.prepare().await;
    let request = subject.request(&*environment, TIDY.to_owned());
    let (output, exec) = subject.start(&environment, request);
    output.wait_for("ready").await;
    environment.stop(DEADLINE * 10).await.expect("stop");
    let exit = exec.await.expect("no panic").expect("exec").exit;
    assert_eq!(exit, Exit::Code(7), "{output:?}");
    environment.cleanup().await.expect("cleanup");
}

/// Who ignores TERM is killed when the grace is over, not before.
pub async fn term_is_ignored(subject: Subject) {
    let environment = subject.prepare().await;
    let shell = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    let script = subject.script(shell, "ignore-term\nprint ready\nhang");
    let (output, exec) = subject.start(&environment, subject.request(&*environment, script));
    output.wait_for("ready").await;
    let start = Instant::now();
    environment.stop(SHORT_GRACE).await.expect("stop");
    assert!(start.elapsed() >= SHORT_GRACE);
    assert_eq!(
        exec.await.expect("no panic").expect("exec").exit,
        Exit::Signal(9)
    );
    environment.cleanup().await.expect("cleanup");
}

/// Three generations, the younger two in sessions of their own and without a parent, all of which
/// ignore TERM. `$1` is the generation, `$2` stands before the command that starts the next.
const STUBBORN_TREE: &str = r#"
trap '' TERM
case ${1-old} in
    old) ( $WRAP setsid "$BASH" "$0" middle "$MARK" & ) ;;
    middle) ( setsid "$BASH" "$0" young "$2" & ) ;;
esac
echo "ready ${1-old}"
while :; do sleep 0.2; done
"#;

async fn assert_tree_ends(subject: &Subject, wrap: &str) {
    let environment = subject.prepare().await;
    let mark = format!("outrider-conformance-{}", new_attempt());
    let mut request = subject.request(&*environment, STUBBORN_TREE.to_owned());
    request.environment.insert("MARK".to_owned(), mark.clone());
    request
        .environment
        .insert("WRAP".to_owned(), wrap.to_owned());
    let (output, exec) = subject.start(&environment, request);
    for generation in ["old", "middle", "young"] {
        output.wait_for(&format!("ready {generation}")).await;
    }
    assert!(subject.marked(&*environment, &mark).await.len() >= 3);
    environment.stop(SHORT_GRACE).await.expect("stop");
    let left = subject.marked(&*environment, &mark).await;
    assert_eq!(left, [0; 0], "left after `stop`");
    assert_eq!(
        exec.await.expect("no panic").expect("exec").exit,
        Exit::Signal(9)
    );
    environment.cleanup().await.expect("cleanup");
}

/// Nothing is left of children that fork twice, start a session and ignore TERM.
pub async fn whole_tree_ends(subject: Subject) {
    assert_tree_ends(&subject, "").await;
}

/// Nor if they throw away the environment that they were given.
pub async fn cleared_environment_is_no_escape(subject: Subject) {
    assert_tree_ends(&subject, "env -i").await;
}

/// `stop` may be repeated, also at the same time, and with less patience.
pub async fn stop_twice(subject: Subject) {
    let environment = subject.prepare().await;
    let shell = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    let script = subject.script(shell, "ignore-term\nprint ready\nhang");
    let (output, exec) = subject.start(&environment, subject.request(&*environment, script));
    output.wait_for("ready").await;
    let (patient, impatient) = tokio::join!(
        timeout(DEADLINE, environment.stop(DEADLINE * 10)),
        environment.stop(Duration::ZERO)
    );
    patient.expect("the other one has ended it").expect("stop");
    impatient.expect("stop");
    environment.stop(Duration::ZERO).await.expect("stop");
    assert_eq!(
        exec.await.expect("no panic").expect("exec").exit,
        Exit::Signal(9)
    );
    environment.cleanup().await.expect("cleanup");
}

/// `stop` after `cleanup` does nothing, least of all to the next attempt in the same slot.
pub async fn stop_after_cleanup(subject: Subject) {
    let old = subject.prepare().await;
    old.cleanup().await.expect("cleanup");
    let new = subject.prepare().await;
    let script = subject.script(
        "echo ready; read -r < fifo",
        "print ready\nsleep 100ms\nprint go",
    );
    let script = script.replace("echo ready", "mkfifo fifo; echo ready");
    let (output, exec) = subject.start(&new, subject.request(&*new, script));
    output.wait_for("ready").await;
    old.stop(Duration::ZERO).await.expect("stop");
    if subject.dialect == Dialect::Shell {
        subject.exec(&*new, "echo go > fifo", "").await;
    }
    assert_eq!(
        exec.await.expect("no panic").expect("exec").exit,
        Exit::Code(0)
    );
    new.cleanup().await.expect("cleanup");
}

/// Nothing starts after `stop`.
pub async fn exec_after_stop(subject: Subject) {
    let environment = subject.prepare().await;
    environment.stop(Duration::ZERO).await.expect("stop");
    let request = subject.request(&*environment, "exit 0".to_owned());
    environment
        .exec(request, Recorder::new())
        .await
        .expect_err("stopped");
    environment.cleanup().await.expect("cleanup");
}

/// Nor after `cleanup`.
pub async fn exec_after_cleanup(subject: Subject) {
    let environment = subject.prepare().await;
    environment.cleanup().await.expect("cleanup");
    let request = subject.request(&*environment, "exit 0".to_owned());
    environment
        .exec(request, Recorder::new())
        .await
        .expect_err("cleaned up");
}

/// `cleanup` needs no `stop` before it.
pub async fn cleanup_ends_what_runs(subject: Subject) {
    let environment = subject.prepare().await;
    let shell = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    let script = subject.script(shell, "ignore-term\nprint ready\nhang");
    let (output, exec) = subject.start(&environment, subject.request(&*environment, script));
    output.wait_for("ready").await;
    environment.cleanup().await.expect("cleanup");
    assert_eq!(
        exec.await.expect("no panic").expect("exec").exit,
        Exit::Signal(9)
    );
}

/// A caller that gives up waiting leaves neither a process nor one that nobody waits for.
pub async fn nobody_waits_for_exec(subject: Subject) {
    let environment = subject.prepare().await;
    let mark = format!("outrider-conformance-{}", new_attempt());
    let script = subject.script("echo ready; exec sleep 1000", "print ready\nhang");
    let mut request = subject.request(&*environment, script);
    request.environment.insert("MARK".to_owned(), mark.clone());
    let (output, exec) = subject.start(&environment, request);
    output.wait_for("ready").await;
    exec.abort();
    let _ = exec.await;
    environment.cleanup().await.expect("cleanup");
    let gone = async {
        while !subject.marked(&*environment, &mark).await.is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, gone).await.expect("nothing is left");
}
