//! Service containers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{ListContainersOptions, RemoveContainerOptions};
use outrider_executor::docker::ImageCare;
use outrider_executor::docker::PullPolicy;
use outrider_executor::docker::care::Care;
use outrider_executor::docker::image::{HostLogins, Images, Patience, Provided};
use outrider_executor::docker::service::{Listening, Services, ServicesRequest};
use outrider_executor::{ExecutorError, Fault, Output};
use outrider_model::plan::DockerImage;
use outrider_model::report::Exit;
use outrider_testkit::docker::{Image, client};

use super::Said;

/// A primary container, as far as services need one.
struct Primary {
    id: String,
}

impl Primary {
    async fn start() -> Self {
        let config = ContainerCreateBody {
            image: Some(Image::Busybox.provide().await),
            cmd: Some(vec!["sleep".to_owned(), "1000000".to_owned()]),
            ..ContainerCreateBody::default()
        };
        let id = client()
            .create_container(None, config)
            .await
            .expect("made")
            .id;
        client().start_container(&id, None).await.expect("started");
        Self { id }
    }

    async fn end(self) {
        assert_eq!(services_of(&self.id).await, 0, "services were left");
        let options = RemoveContainerOptions {
            force: true,
            ..Default::default()
        };
        client()
            .remove_container(&self.id, Some(options))
            .await
            .expect("removed");
    }

    async fn listening(&self) -> Listening {
        let found = client()
            .inspect_container(&self.id, None)
            .await
            .expect("there");
        let pid = found.state.and_then(|it| it.pid).expect("it runs");
        Arc::new(move || Box::pin(async move { Ok(listening(pid)) }))
    }

    async fn serve(
        &self,
        images: Vec<(DockerImage, Provided)>,
        progress: &Arc<dyn Output>,
    ) -> Result<Services, ExecutorError> {
        let request = ServicesRequest {
            images,
            primary: self.id.clone(),
            labels: HashMap::from([("outrider.test-of".to_owned(), self.id.clone())]),
            supervisor: None,
            limits: HostConfig::default(),
            listening: self.listening().await,
            ready_within: None,
        };
        Services::start(client(), request, progress).await
    }
}

/// What the kernel says of the network that this process sees.
fn listening(pid: i64) -> Vec<u16> {
    ["tcp", "tcp6"]
        .into_iter()
        .flat_map(|kind| {
            let table = std::fs::read_to_string(format!("/proc/{pid}/net/{kind}"));
            let table = table.expect("a table of sockets");
            let ports = table.lines().filter_map(|line| {
                let fields = line.split_whitespace().collect::<Vec<_>>();
                let (_, port) = fields.get(1)?.rsplit_once(':')?;
                (fields.get(3) == Some(&"0A")).then(|| u16::from_str_radix(port, 16).ok())?
            });
            ports.collect::<Vec<_>>()
        })
        .collect()
}

async fn services_of(primary: &str) -> usize {
    let label = format!("outrider.test-of={primary}");
    let options = ListContainersOptions {
        all: true,
        filters: Some(HashMap::from([("label".to_owned(), vec![label])])),
        ..ListContainersOptions::default()
    };
    client()
        .list_containers(Some(options))
        .await
        .expect("a list")
        .len()
}

async fn image(image: Image) -> (DockerImage, Provided) {
    let owners = tempfile::tempdir().expect("a folder");
    let care = Arc::new(Care::new(client(), ImageCare::default(), owners.path()));
    let logins = HostLogins::in_file(owners.path().join("none"));
    let images = Images::new(
        client(),
        PullPolicy::Never,
        logins,
        care,
        Patience::default(),
    );
    let image = DockerImage::new(&image.provide().await);
    let progress: Arc<dyn Output> = Arc::new(Said::default());
    let provided = images.provide(&image, &Default::default(), &progress).await;
    (image, provided.expect("it is there"))
}

/// A shell script as a service, which exposes a port or not.
async fn script(text: &str, exposed_tcp: &[u16]) -> (DockerImage, Provided) {
    let (mut config, mut provided) = image(Image::Busybox).await;
    config.command = ["sh", "-c", text].map(str::to_owned).into();
    provided.exposed_tcp = exposed_tcp.to_vec();
    (config, provided)
}

#[tokio::test]
async fn services_are_on_localhost_when_they_are_ready() {
    let primary = Primary::start().await;
    let said = Arc::new(Said::default());
    let progress: Arc<dyn Output> = Arc::<Said>::clone(&said);
    let both = vec![image(Image::Service).await, image(Image::Healthy).await];
    let services = primary.serve(both, &progress).await.expect("started");
    assert_eq!(
        said.text().matches("is ready after").count(),
        2,
        "{}",
        said.text()
    );
    let ask = "wget -qO /dev/null http://localhost:8080/ && echo $GREETING there";
    let (mut asks, provided) = script(ask, &[]).await;
    asks.environment
        .insert("GREETING".to_owned(), "it is".to_owned());
    let client = primary
        .serve(vec![(asks, provided)], &progress)
        .await
        .expect("started");
    let output = Arc::new(Said::default());
    let exit = client.follow(0, Arc::<Said>::clone(&output) as _).await;
    assert_eq!(
        (exit, output.text().as_str()),
        (Some(Exit::Code(0)), "it is there\n")
    );
    client.end().await.expect("ended");
    services.end().await.expect("ended");
    services.end().await.expect("ended again");
    primary.end().await;
}

#[tokio::test]
async fn the_job_goes_on_without_a_service_that_ends_before_it_is_ready() {
    let primary = Primary::start().await;
    let said = Arc::new(Said::default());
    let progress: Arc<dyn Output> = Arc::<Said>::clone(&said);
    let images = vec![
        image(Image::Service).await,
        script("echo no license >&2; exit 3", &[9]).await,
    ];
    let services = primary.serve(images, &progress).await.expect("started");
    assert!(
        said.text().contains("with code 3: the job goes on"),
        "{}",
        said.text()
    );
    let output = Arc::new(Said::default());
    let exit = services.follow(1, Arc::<Said>::clone(&output) as _).await;
    assert_eq!(
        (exit, output.text().as_str()),
        (Some(Exit::Code(3)), "no license\n")
    );
    services.end().await.expect("ended");
    primary.end().await;
}

#[tokio::test]
async fn a_service_that_cannot_start_is_the_users_fault() {
    let primary = Primary::start().await;
    let progress: Arc<dyn Output> = Arc::new(Said::default());
    let (mut config, provided) = image(Image::Busybox).await;
    config.entrypoint = vec!["/no/such/program".to_owned()];
    let result = primary.serve(vec![(config, provided)], &progress).await;
    let error = result.err().expect("it cannot start");
    assert_eq!(error.fault, Fault::User, "{error}");
    assert!(error.message.contains("entrypoint"), "{error}");
    primary.end().await;
}

#[tokio::test]
async fn the_job_goes_on_without_a_service_that_is_never_ready() {
    let primary = Primary::start().await;
    let said = Arc::new(Said::default());
    let progress: Arc<dyn Output> = Arc::<Said>::clone(&said);
    let request = ServicesRequest {
        images: vec![
            script("sleep 1000000", &[9]).await,
            image(Image::Unhealthy).await,
        ],
        primary: primary.id.clone(),
        labels: HashMap::from([("outrider.test-of".to_owned(), primary.id.clone())]),
        supervisor: None,
        limits: HostConfig::default(),
        listening: primary.listening().await,
        ready_within: Some(Duration::from_millis(500)),
    };
    let services = Services::start(client(), request, &progress)
        .await
        .expect("started");
    assert_eq!(
        said.text().matches("is not ready").count(),
        2,
        "{}",
        said.text()
    );
    services.end().await.expect("ended");
    primary.end().await;
}
