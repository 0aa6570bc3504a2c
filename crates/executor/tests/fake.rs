//! The fake passes the suite, keeps time with tokio, and notices broken contracts.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use outrider_executor::conformance::{Dialect, Lookout, Recorder, Subject, new_attempt};
use outrider_executor::fake::FakeExecutor;
use outrider_executor::{Executor, ExecutorError, Fault, Handle, PrepareRequest};
use outrider_model::plan::EnvironmentKind;
use outrider_model::report::Exit;
use tokio::time::Instant;

outrider_executor::conformance_suite!(|| subject().1, without processes);

fn subject() -> (FakeExecutor, Subject) {
    let executor = FakeExecutor::new();
    let subject = Subject::new(executor.clone(), Dialect::Fake, Books(executor.clone()));
    (executor, subject)
}

/// What the fake has made is only in its books.
struct Books(FakeExecutor);

#[async_trait]
impl Lookout for Books {
    async fn marked(&self, _: &Handle, _: &str) -> Vec<u32> {
        Vec::new()
    }

    async fn remains(&self, handle: &Handle) -> Vec<String> {
        let Handle::Fake(handle) = handle else {
            panic!("not of the fake: {handle:?}")
        };
        let live = self.0.live_environments().into_iter();
        live.filter(|attempt| *attempt == handle.attempt)
            .map(|attempt| attempt.to_string())
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn sleeping_takes_no_time_when_the_clock_is_paused() {
    let (executor, subject) = subject();
    let environment = subject.prepare().await;
    let start = Instant::now();
    let (result, output) = subject
        .exec(&*environment, "", "sleep 30s\ncargo test\nexit 3")
        .await;
    assert_eq!(
        (result.exit, &output[..]),
        (Exit::Code(3), &b"cargo test\n"[..])
    );
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    environment.cleanup().await.expect("cleanup");
    assert_eq!(executor.violations(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_grace_is_over_to_the_millisecond() {
    let (_, subject) = subject();
    let environment = subject.prepare().await;
    let script = "ignore-term\nprint ready\nhang".to_owned();
    let (output, exec) = subject.start(&environment, subject.request(&*environment, script));
    output.wait_for("ready").await;
    let start = Instant::now();
    environment
        .stop(Duration::from_secs(10))
        .await
        .expect("stop");
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    assert_eq!(
        exec.await.expect("no panic").expect("exec").exit,
        Exit::Signal(9)
    );
}

#[tokio::test]
async fn broken_contracts_are_noticed() {
    let (executor, subject) = subject();
    let environment = subject.prepare().await;
    let request = |attempt, slot| {
        PrepareRequest::new(
            attempt,
            slot,
            EnvironmentKind::Machine { image: None },
            "~/project",
        )
    };
    let live = executor.live_environments()[0];
    assert!(executor.prepare(request(live, 1)).await.is_err());
    assert!(executor.prepare(request(new_attempt(), 0)).await.is_err());
    environment.cleanup().await.expect("cleanup");
    assert!(executor.prepare(request(live, 0)).await.is_err());
    let late = subject.request(&*environment, "exit 0".to_owned());
    assert!(environment.exec(late, Recorder::new()).await.is_err());
    let violations = executor.violations();
    assert_eq!(violations.len(), 4, "{violations:?}");
    assert_eq!(executor.live_environments(), []);
}

#[tokio::test]
async fn a_prepare_can_be_made_to_fail() {
    let (executor, subject) = subject();
    executor.refuse_next(ExecutorError::infrastructure("no space", None));
    let request = PrepareRequest::new(
        new_attempt(),
        0,
        EnvironmentKind::Machine { image: None },
        "~/project",
    );
    let error = executor
        .prepare(request.clone())
        .await
        .err()
        .expect("refused");
    assert_eq!(
        (error.fault, error.message.as_str()),
        (Fault::Infrastructure, "no space")
    );
    executor
        .prepare(request)
        .await
        .expect("only once")
        .cleanup()
        .await
        .expect("cleanup");
    drop(subject);
}

#[tokio::test]
async fn what_is_recovered_is_gone() {
    let (executor, subject) = subject();
    let environment = subject.prepare().await;
    let attempt = executor.live_environments();
    executor
        .recover(&environment.handle())
        .await
        .expect("recover");
    assert_eq!(
        (executor.recovered(), executor.live_environments()),
        (attempt, vec![])
    );
    assert_eq!(Arc::strong_count(&environment), 1);
}
