//! What the image of a primary container runs itself, beside the steps.

use outrider_executor::conformance::{Recorder, new_attempt};
use outrider_executor::{Executor, Fault, PrepareRequest};
use outrider_model::plan::{DockerImage, EnvironmentKind};
use outrider_model::report::Exit;
use outrider_testkit::docker::Image;

use super::support::{containers, exec, executor, prepare, settings};

fn job(image: DockerImage) -> PrepareRequest {
    let images = vec![image];
    let kind = EnvironmentKind::Docker { images };
    PrepareRequest::new(new_attempt(), 0, kind, "~/project")
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[tokio::test]
async fn the_configs_program_runs_beside_the_steps() {
    let (executor, _place) = executor(settings);
    let script = "id -u; echo $WHO; pwd; until [ -e ~/go ]; do sleep 0.1; done; exit 3";
    let image = DockerImage {
        command: words(&["sh", "-c", script]),
        environment: [("WHO".to_owned(), "me".to_owned())].into_iter().collect(),
        ..DockerImage::new(&Image::BusyboxAsUser.provide().await)
    };
    let name = format!("{} (entrypoint)", image.image);
    let (attempt, environment) = prepare(&executor, job(image)).await;
    assert_eq!(environment.services()[0].name, name);
    let output = Recorder::new();
    let following = environment.follow_service(0, output.clone());
    let step = async {
        output.wait_for("1000\nme\n/\n").await;
        exec(&*environment, "touch ~/go").await
    };
    let (ended, (step, _)) = tokio::join!(following, step);
    assert_eq!(ended, Some(Exit::Code(3)));
    let (after, _) = exec(&*environment, "true").await;
    assert!(step.expect("exec").exit.success() && after.expect("exec").exit.success());
    environment.cleanup().await.expect("cleanup");
    assert_eq!(containers(attempt).await, [""; 0]);
}

#[tokio::test]
async fn the_images_program_runs_if_its_label_says_so() {
    let (executor, _place) = executor(settings);
    for (made, count) in [(Image::Preserving, 1), (Image::Service, 0)] {
        let (_, environment) =
            prepare(&executor, job(DockerImage::new(&made.provide().await))).await;
        assert_eq!(environment.services().len(), count);
        let ask = "for i in 1 2 3 4 5 6 7 8 9; do \
                   wget -qO- http://localhost:8080/ && exit; sleep 0.3; done; exit 1";
        let (asked, output) = exec(&*environment, ask).await;
        let served = asked.expect("exec").exit.success();
        assert_eq!(served, count == 1, "{output}");
        environment.cleanup().await.expect("cleanup");
    }
}

#[tokio::test]
async fn a_program_that_cannot_start_is_the_users_fault() {
    let (executor, _place) = executor(settings);
    let primary = DockerImage {
        entrypoint: words(&["/no/such/program"]),
        ..DockerImage::new(&Image::Busybox.provide().await)
    };
    let mut request = job(primary);
    if let EnvironmentKind::Docker { images } = &mut request.kind {
        images.push(DockerImage::new(&Image::Service.provide().await));
    }
    let attempt = request.attempt;
    let error = executor.prepare(request).await.err().expect("refused");
    assert_eq!(error.fault, Fault::User);
    assert!(error.message.contains("/no/such/program"), "{error}");
    assert_eq!(containers(attempt).await, [""; 0], "the service is left");
}
