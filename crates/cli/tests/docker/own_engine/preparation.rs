//! Engines that end while tasks are being prepared.

use outrider_testkit::docker::{Proxy, Registry};
use outrider_testkit::relay::Fate;
use tokio::time::timeout;

use super::*;

/// How far preparations are: what the Engine is asked for, and whether it does that.
const POINTS: [(&str, Fate); 6] = [
    ("/containers/create", Fate::Hold),
    ("/containers/create", Fate::HoldAnswer(0)),
    ("/attach", Fate::Hold),
    // The container runs, and its init is not heard.
    ("/attach", Fate::HoldAnswer(200)),
    ("/start", Fate::Hold),
    ("/start", Fate::HoldAnswer(0)),
];

#[tokio::test]
async fn preparations_fail_when_their_engine_is_terminated() {
    preparations_fail(End::Terminated, CONTAINERS_END).await;
}

#[tokio::test]
async fn preparations_fail_when_their_engine_is_terminated_although_containers_go_on() {
    preparations_fail(End::Terminated, CONTAINERS_GO_ON).await;
}

#[tokio::test]
async fn preparations_fail_when_their_engine_is_killed() {
    preparations_fail(End::Killed, CONTAINERS_END).await;
}

#[tokio::test]
async fn preparations_fail_when_their_engine_is_killed_although_containers_go_on() {
    preparations_fail(End::Killed, CONTAINERS_GO_ON).await;
}

/// Wherever they are, they name the Engine, and leave nothing once it is back.
async fn preparations_fail(how: End, arguments: &str) {
    let mut rig = Rig::at(OwnEngine::start_with(arguments).await).await;
    let registry = Registry::start();
    let mut preparations = vec![
        Preparation::pulls(&rig, &registry).await,
        Preparation::waits_for_a_service(&rig).await,
    ];
    for (request, fate) in POINTS {
        let preparation = Preparation::start(&rig, rig.request(), Some((request, fate))).await;
        preparation.proxy.met().await;
        preparations.push(preparation);
    }
    end(&rig.engine, how).await;
    let mut executors = Vec::new();
    for preparation in preparations {
        executors.push(preparation.fails().await);
    }
    rig.engine.run(arguments).await;
    for (executor, _proxy) in &executors {
        runs_a_task(executor, rig.request()).await;
    }
    rig.nothing_is_left().await;
}

/// A task on its way, through a proxy and an executor of its own.
struct Preparation {
    proxy: Proxy,
    executor: Arc<DockerExecutor>,
    running: JoinHandle<Option<ExecutorError>>,
}

impl Preparation {
    /// It gets no further than this.
    async fn start(
        rig: &Rig,
        request: PrepareRequest,
        until: Option<(&'static str, Fate)>,
    ) -> Self {
        let proxy = Proxy::start(&rig.engine.address());
        let mut settings = rig.impatient();
        settings.engine = Some(proxy.address());
        let executor = Arc::new(DockerExecutor::new(settings));
        runs_a_task(&executor, rig.request()).await;
        if let Some((request, fate)) = until {
            proxy.break_at(request, fate);
        }
        let running = {
            let executor = Arc::clone(&executor);
            TaskTracker::new().spawn(async move { executor.prepare(request).await.err() })
        };
        Self {
            proxy,
            executor,
            running,
        }
    }

    async fn pulls(rig: &Rig, registry: &Registry) -> Self {
        let image = Image::Busybox.provide().await;
        let mut request = rig.request();
        request.kind = kind(&registry.push(&image, "acme/app:1").await.by_tag);
        let pull = ("/images/create", Fate::Hold);
        let preparation = Self::start(rig, request, Some(pull)).await;
        preparation.proxy.met().await;
        preparation
    }

    /// The service is never healthy.
    async fn waits_for_a_service(rig: &Rig) -> Self {
        let request = rig.request_with(Image::Unhealthy).await;
        let attempt = request.attempt;
        let preparation = Self::start(rig, request, None).await;
        let deadline = Instant::now() + DEADLINE;
        while containers_at(&rig.client(), attempt).await.len() < 2 {
            assert!(Instant::now() < deadline, "the service is not made");
            sleep(Duration::from_millis(20)).await;
        }
        preparation
    }

    async fn fails(self) -> (Arc<DockerExecutor>, Proxy) {
        let error = timeout(DEADLINE, self.running).await.expect("it hangs");
        let error = error.expect("no panic").expect("it is cut off");
        assert_eq!(error.fault, Fault::Infrastructure, "{error}");
        assert!(error.message.contains("Engine"), "{error}");
        assert!(error.message.contains('\n'), "there is advice: {error}");
        self.proxy.heal();
        (self.executor, self.proxy)
    }
}
