//! Services below their supervisor.

use std::path::Path;

use bollard::query_parameters::{KillContainerOptionsBuilder, ListContainersOptionsBuilder};
use outrider_executor::conformance::{Recorder, new_attempt, until};
use outrider_executor::docker::DockerExecutor;
use outrider_executor::{Environment, Executor, Fault, PrepareRequest};
use outrider_model::AttemptId;
use outrider_model::plan::{DockerImage, EnvironmentKind};
use outrider_model::report::Exit;
use outrider_testkit::docker::{Image, client};
use tokio::time::sleep;

use super::support::{containers, exec, executor, listed, prepare, settings, until_gone};

/// A job in busybox with these services.
async fn job(services: Vec<DockerImage>) -> PrepareRequest {
    let mut images = vec![DockerImage::new(&Image::Busybox.provide().await)];
    images.extend(services);
    let kind = EnvironmentKind::Docker { images };
    PrepareRequest::new(new_attempt(), 0, kind, "~/project")
}

async fn script(made: Image, script: &str) -> DockerImage {
    DockerImage {
        command: ["sh", "-c", script].map(str::to_owned).into(),
        ..DockerImage::new(&made.provide().await)
    }
}

async fn output(environment: &dyn Environment) -> (Option<Exit>, String) {
    let output = Recorder::new();
    let exit = environment.follow_service(0, output.clone()).await;
    let text = String::from_utf8_lossy(&output.bytes()).into_owned();
    (exit, text)
}

#[tokio::test]
async fn a_service_is_what_its_image_says() {
    let (executor, _place) = executor(settings);
    let says = "sleep 1; id -u; echo $LD_PRELOAD $LD_AUDIT.; cat; kill -9 $$";
    let mut service = script(Image::BusyboxAsUser, says).await;
    let preload = ("LD_PRELOAD".to_owned(), "/no such.so".to_owned());
    service.environment = [preload].into_iter().collect();
    let (attempt, environment) = prepare(&executor, job(vec![service]).await).await;
    let said = output(&*environment).await;
    assert_eq!(
        said,
        (Some(Exit::Code(137)), "1000\n/no such.so .\n".to_owned())
    );
    let (after, _) = exec(&*environment, "true").await;
    assert!(after.expect("exec").exit.success());
    environment.cleanup().await.expect("cleanup");
    assert_eq!(containers(attempt).await, [""; 0]);
}

#[tokio::test]
async fn a_service_is_reached_by_its_name() {
    let (executor, _place) = executor(settings);
    let mut service = DockerImage::new(&Image::Service.provide().await);
    service.name = Some("web".to_owned());
    let (attempt, environment) = prepare(&executor, job(vec![service]).await).await;
    assert_eq!(containers(attempt).await.len(), 2);
    let ask = "wget -qO - http://web:8080/ && wget -qO - http://localhost:8080/";
    let (result, output) = exec(&*environment, ask).await;
    assert_eq!(result.expect("exec").exit, Exit::Code(0), "{output}");
    assert_eq!(output, "hello from a service\n".repeat(2));
    environment.cleanup().await.expect("cleanup");
    assert_eq!(containers(attempt).await, [""; 0]);
}

#[tokio::test]
async fn a_service_hears_the_signals_that_it_is_sent() {
    let (executor, _place) = executor(settings);
    let says = "trap 'echo told; exit 5' USR1; echo up; while :; do sleep 0.1; done";
    let service = script(Image::Busybox, says).await;
    let (attempt, environment) = prepare(&executor, job(vec![service]).await).await;
    let output = Recorder::new();
    let following = environment.follow_service(0, output.clone());
    let tell = async {
        output.wait_for("up").await;
        let options = KillContainerOptionsBuilder::new().signal("USR1").build();
        let service = with_role(attempt, "service").await.remove(0);
        client().kill_container(&service, Some(options)).await
    };
    let (ended, told) = tokio::join!(following, tell);
    told.expect("it runs");
    assert_eq!(ended, Some(Exit::Code(5)));
    assert_eq!(output.bytes(), b"up\ntold\n");
    environment.cleanup().await.expect("cleanup");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_the_users_fault() {
    let (executor, _place) = executor(settings);
    let service = DockerImage {
        entrypoint: vec!["/no/such/program".to_owned()],
        ..DockerImage::new(&Image::Service.provide().await)
    };
    let request = job(vec![service]).await;
    let attempt = request.attempt;
    let error = executor
        .prepare(request)
        .await
        .err()
        .expect("it cannot start");
    assert_eq!(error.fault, Fault::User, "{error}");
    for text in ["/no/such/program", "entrypoint"] {
        assert!(error.message.contains(text), "{error}");
    }
    assert_eq!(containers(attempt).await, [""; 0]);
}

async fn with_role(attempt: AttemptId, role: &str) -> Vec<String> {
    let labels = vec![
        format!("outrider.attempt={attempt}"),
        format!("outrider.role={role}"),
    ];
    let filters = [("label".to_owned(), labels)].into();
    // Those that run.
    let options = ListContainersOptionsBuilder::new()
        .filters(&filters)
        .build();
    listed(&client(), options).await
}

/// Not a test of its own: the runner that `services_end_with_their_runner` kills.
#[tokio::test]
async fn doomed_runner() {
    let Some(folder) = std::env::var_os("OUTRIDER_DOOMED_WITH_SERVICES") else {
        return;
    };
    let folder = Path::new(&folder);
    let executor = DockerExecutor::new(settings(folder));
    let stubborn = script(
        Image::BusyboxAsUser,
        "trap '' TERM; while :; do sleep 1; done",
    )
    .await;
    let services = vec![DockerImage::new(&Image::Service.provide().await), stubborn];
    let (attempt, _environment) = prepare(&executor, job(services).await).await;
    std::fs::write(folder.join("attempt"), attempt.to_string()).expect("written");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn services_end_with_their_runner() {
    let place = tempfile::tempdir().expect("a folder");
    let mut runner = std::process::Command::new(std::env::current_exe().expect("it runs"))
        .args(["--exact", "services::doomed_runner"])
        .env("OUTRIDER_DOOMED_WITH_SERVICES", place.path())
        .spawn()
        .expect("started");
    let mut attempt = None;
    until("the runner's services run", || {
        let text = std::fs::read_to_string(place.path().join("attempt"));
        attempt = text.ok().and_then(|text| text.parse().ok());
        attempt.is_some()
    })
    .await;
    let attempt = attempt.expect("they run");
    assert_eq!(with_role(attempt, "service").await.len(), 2);
    runner.kill().expect("killed");
    runner.wait().expect("ended");
    let end = tokio::time::Instant::now() + outrider_executor::conformance::DEADLINE;
    while !with_role(attempt, "service").await.is_empty() {
        assert!(tokio::time::Instant::now() < end, "services run on");
        sleep(std::time::Duration::from_millis(20)).await;
    }
    let next = DockerExecutor::new(settings(place.path()));
    let (_, environment) = prepare(&next, job(Vec::new()).await).await;
    until_gone(attempt).await;
    environment.cleanup().await.expect("cleanup");
}
