//! Engines that stand still, and connections that break.

use outrider_testkit::docker::Proxy;
use outrider_testkit::relay::Fate;

use super::*;

#[tokio::test]
async fn an_engine_that_stands_still_is_named() {
    let rig = Rig::start().await;
    let fresh = DockerExecutor::new(rig.impatient());
    let known = DockerExecutor::new(rig.impatient());
    runs_a_task(&known, rig.request()).await;
    rig.engine.stall();
    let [first, later] = [&fresh, &known].map(|executor| executor.prepare(rig.request()));
    let (first, later) = tokio::join!(first, later);
    rig.engine.resume();
    for error in [first, later] {
        names_the_engine(&error.err().expect("nobody answers"), &rig.engine.address());
    }
    runs_a_task(&fresh, rig.request()).await;
    runs_a_task(&known, rig.request()).await;
    rig.nothing_is_left().await;
}

/// What a step writes meanwhile arrives later, all of it and in order.
#[tokio::test]
async fn a_step_outlives_an_engine_that_stands_still_for_a_while() {
    let rig = Rig::start().await;
    let environment = rig.executor.prepare(rig.request()).await.expect("prepare");
    let output = Recorder::new();
    let script = "i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i + 1)); done";
    let running = environment.exec(step(&*environment, script), Arc::clone(&output) as _);
    let stalling = async {
        output.wait_for("line 100\n").await;
        rig.engine.stall();
        // As long as this, whatever else goes on.
        sleep(Duration::from_secs(1)).await;
        rig.engine.resume();
    };
    let (result, ()) = tokio::join!(running, stalling);
    assert_eq!(result.expect("exec").exit, Exit::Code(0));
    let expected: String = (0..30_000).map(|i| format!("line {i}\n")).collect();
    assert!(
        output.bytes() == expected.as_bytes(),
        "something is missing"
    );
    environment.cleanup().await.expect("cleanup");
    rig.nothing_is_left().await;
}

/// Where a preparation may hang or be cut off: the request, and what becomes of it.
const BREAKS: [(&str, Fate); 9] = [
    ("/images/", Fate::Hold),
    ("/containers/create", Fate::Hold),
    // The container is there, and nobody knows.
    ("/containers/create", Fate::HoldAnswer(0)),
    ("/containers/create", Fate::CutAnswer(0)),
    // The answer stops in the middle.
    ("/containers/create", Fate::HoldAnswer(150)),
    ("/attach", Fate::Hold),
    // The connection stands, and nothing comes from the container.
    ("/attach", Fate::HoldAnswer(200)),
    ("/start", Fate::Hold),
    ("/start", Fate::CutAnswer(0)),
];

#[tokio::test]
async fn no_preparation_hangs() {
    let rig = Rig::start().await;
    let tries = BREAKS.map(|(request, fate)| try_to_prepare(&rig, request, fate));
    futures_util::future::join_all(tries).await;
    rig.nothing_is_left().await;
}

/// The preparation fails in time, and the same executor works when the connection does.
async fn try_to_prepare(rig: &Rig, request: &'static str, fate: Fate) {
    let proxy = Proxy::start(&rig.engine.address());
    let mut settings = rig.impatient();
    settings.engine = Some(proxy.address());
    let executor = DockerExecutor::new(settings);
    runs_a_task(&executor, rig.request()).await;
    proxy.break_at(request, fate);
    let error = tokio::time::timeout(DEADLINE, executor.prepare(rig.request())).await;
    proxy.heal();
    let error = error.unwrap_or_else(|_| panic!("{request} {fate:?} hangs"));
    let error = error.err().expect("it is broken");
    assert_eq!(error.fault, Fault::Infrastructure, "{error}");
    assert!(error.message.contains('\n'), "there is advice: {error}");
    assert!(error.message.contains("Engine"), "{request}: {error}");
    runs_a_task(&executor, rig.request()).await;
}
