//! Pulling images, and removing them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bollard::body_full;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateImageOptions, RemoveContainerOptions};
use futures_util::TryStreamExt as _;
use outrider_executor::docker::care::Care;
use outrider_executor::docker::image::{HostLogins, Images, Patience, Provided};
use outrider_executor::docker::{ImageCare, PullPolicy};
use outrider_executor::{ExecutorError, Fault, Output};
use outrider_model::plan::{DockerImage, RegistryAuth};
use outrider_testkit::docker::{Image, PASSWORD, Pushed, Registry, USER, at_podman, client};
use outrider_testkit::relay::{Fate, Relay};
use tempfile::TempDir;

use super::Said;

const NOTHING_IS_REMOVED: ImageCare = ImageCare {
    max_bytes: None,
    max_age: None,
    min_free: None,
};

/// The images of a runner of its own.
struct Runner {
    owners: TempDir,
    images: Images,
}

impl Runner {
    fn new(policy: PullPolicy) -> Self {
        Self::with(policy, Patience::default().stall)
    }

    fn with(policy: PullPolicy, stall: Duration) -> Self {
        let owners = tempfile::tempdir().expect("a folder");
        let images = images(owners.path(), policy, stall);
        Self { owners, images }
    }

    async fn provide(&self, image: &DockerImage) -> Result<(Provided, String), ExecutorError> {
        let said = Arc::new(Said::default());
        let progress: Arc<dyn Output> = Arc::<Said>::clone(&said);
        let variables = BTreeMap::from([("PASSWORD".to_owned(), PASSWORD.to_owned())]);
        let provided = self.images.provide(image, &variables, &progress).await?;
        Ok((provided, said.text()))
    }

    async fn refused(&self, image: &DockerImage, fault: Fault) -> String {
        let result = self.provide(image).await;
        let error = result.map(|(it, _)| it).expect_err("it is refused");
        assert_eq!(error.fault, fault, "{error}");
        error.to_string()
    }
}

fn images(owners: &Path, policy: PullPolicy, stall: Duration) -> Images {
    let care = Arc::new(Care::new(client(), NOTHING_IS_REMOVED, owners));
    let patience = Patience {
        stall,
        pauses: [Duration::from_millis(10); 3],
    };
    let logins = HostLogins::in_file(owners.join("no-logins.json"));
    Images::new(client(), policy, logins, care, patience)
}

/// An image that is nowhere but in this registry: one layer that nobody has seen.
async fn unique(registry: &Registry) -> Pushed {
    let mut content = vec![0; 1 << 20];
    let mut random = File::open("/dev/urandom").expect("random bytes");
    std::io::Read::read_exact(&mut random, &mut content).expect("random bytes");
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    let mut layer = tar::Builder::new(Vec::new());
    layer
        .append_data(&mut header, "content", content.as_slice())
        .expect("written");
    let layer = layer.into_inner().expect("written");
    let name = format!("outrider-test/unique-{}:1", registry.address().port());
    let options = CreateImageOptions {
        from_src: Some("-".to_owned()),
        // Podman does not look at `tag`.
        repo: Some(name.clone()),
        ..CreateImageOptions::default()
    };
    client()
        .create_image(Some(options), Some(body_full(layer.into())), None)
        .try_collect::<Vec<_>>()
        .await
        .expect("an image");
    let pushed = registry.push(&name, "acme/app:1").await;
    remove(&name).await;
    pushed
}

async fn remove(image: &str) {
    let options = None::<bollard::query_parameters::RemoveImageOptions>;
    client()
        .remove_image(image, options, None)
        .await
        .expect("removed");
}

async fn is_there(image: &str) -> bool {
    client().inspect_image(image).await.is_ok()
}

fn with_password(image: &str, password: &str) -> DockerImage {
    DockerImage {
        auth: Some(RegistryAuth::Password {
            username: USER.to_owned(),
            password: password.to_owned(),
        }),
        ..DockerImage::new(image)
    }
}

#[tokio::test]
async fn by_tag_and_by_digest() {
    let registry = Registry::start();
    let pushed = unique(&registry).await;
    let runner = Runner::new(PullPolicy::Missing);
    let (by_tag, said) = runner
        .provide(&DockerImage::new(&pushed.by_tag))
        .await
        .expect("pulled");
    assert!(
        said.starts_with(&format!("Pulling {}\n", pushed.by_tag)),
        "{said}"
    );
    assert!(
        said.contains("Pulled") && !said.contains("nothing new"),
        "{said}"
    );
    // Podman does not tell what it has pulled.
    assert_eq!(said.contains("sha256:"), !at_podman(), "{said}");
    let (again, said) = runner
        .provide(&DockerImage::new(&pushed.by_tag))
        .await
        .expect("there");
    assert_eq!((again, said.as_str()), (by_tag.clone(), ""));
    registry.forget(&pushed).await;
    let (by_digest, said) = runner
        .provide(&DockerImage::new(&pushed.by_digest))
        .await
        .expect("pulled");
    assert!(said.contains("Pulled"), "{said}");
    assert_eq!(by_digest, by_tag);
    registry.forget(&pushed).await;
}

#[tokio::test]
async fn what_a_job_may_see_is_not_for_others() {
    let registry = Registry::start_with_auth();
    let pushed = unique(&registry).await;
    let runner = Runner::new(PullPolicy::Missing);
    let name = pushed.by_tag.as_str();
    let wrong = with_password(name, "swordfish");
    let error = runner.refused(&wrong, Fault::User).await;
    assert!(
        error.contains("auth") && !error.contains("swordfish"),
        "{error}"
    );
    runner.refused(&DockerImage::new(name), Fault::User).await;
    let error = runner
        .refused(&with_password(name, "$UNSET"), Fault::User)
        .await;
    assert!(error.contains("UNSET"), "{error}");
    let right = with_password(name, "$PASSWORD");
    runner.provide(&right).await.expect("pulled");
    // The Engine has it now: it still takes the right password, whatever the image is called.
    runner.refused(&DockerImage::new(name), Fault::User).await;
    runner
        .refused(&DockerImage::new(&pushed.by_digest), Fault::User)
        .await;
    runner.refused(&wrong, Fault::User).await;
    // Another runner of the host, and one that pulls nothing.
    let stall = Patience::default().stall;
    let other = images(runner.owners.path(), PullPolicy::Never, stall);
    let progress: Arc<dyn Output> = Arc::new(Said::default());
    let refused = other
        .provide(&DockerImage::new(name), &BTreeMap::new(), &progress)
        .await;
    let error = refused.expect_err("it is refused");
    assert!(error.message.contains("credentials of its own"), "{error}");
    let (_, said) = runner.provide(&right).await.expect("it may");
    assert!(said.contains("Pulled") && !said.contains("B\n"), "{said}");
    registry.forget(&pushed).await;
}

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// A registry that claims to have everything, and has nothing. Until the test ends.
fn impostor() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || claim(stream));
        }
    });
    address
}

fn claim(mut stream: std::net::TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().expect("the same stream")).lines();
    let request = lines.next().and_then(Result::ok).unwrap_or_default();
    let path = request.split(' ').nth(1).unwrap_or_default();
    let digest = path.rsplit('/').next().unwrap_or_default();
    let zeros = "0".repeat(64);
    let body = format!(
        r#"{{"schemaVersion": 2, "mediaType": "{MANIFEST}", "layers": [], "config": {{"mediaType":
        "application/vnd.docker.container.image.v1+json", "size": 1, "digest": "sha256:{zeros}"}}}}"#
    );
    // Nobody waits for an answer that has gone.
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: {MANIFEST}\r\n\
         Content-Length: {}\r\nDocker-Content-Digest: {digest}\r\n\r\n{}",
        body.len(),
        if request.starts_with("HEAD") {
            ""
        } else {
            &body
        }
    );
}

#[tokio::test]
async fn a_registry_that_claims_an_image_does_not_get_that_of_another() {
    let registry = Registry::start_with_auth();
    let pushed = unique(&registry).await;
    let runner = Runner::new(PullPolicy::Missing);
    let by_digest = with_password(&pushed.by_digest, "$PASSWORD");
    runner.provide(&by_digest).await.expect("pulled");
    let (_, digest) = pushed.by_digest.split_once('@').expect("a digest");
    let claimed = format!("{}/acme/app@{digest}", impostor());
    for image in [
        DockerImage::new(&claimed),
        with_password(&claimed, "$PASSWORD"),
    ] {
        for _ in 0..2 {
            let error = runner.refused(&image, Fault::User).await;
            assert!(error.contains("another registry"), "{error}");
        }
    }
    assert!(!is_there(&claimed).await);
    runner.provide(&by_digest).await.expect("it still may");
    remove(&pushed.by_digest).await;
}

#[tokio::test]
async fn what_a_job_took_elsewhere_is_not_for_others() {
    let (closed, open) = (Registry::start_with_auth(), Registry::start());
    let pushed = unique(&closed).await;
    let runner = Runner::new(PullPolicy::Missing);
    let right = with_password(&pushed.by_tag, "$PASSWORD");
    runner.provide(&right).await.expect("pulled");
    let elsewhere = open.push(&pushed.by_tag, "acme/app:1").await;
    let image = DockerImage::new(&elsewhere.by_tag);
    let error = runner.refused(&image, Fault::User).await;
    assert!(error.contains("another registry"), "{error}");
    assert!(!is_there(&elsewhere.by_tag).await);
    runner.provide(&right).await.expect("it still may");
    closed.forget(&pushed).await;
}

#[tokio::test]
async fn the_hosts_own_login_is_used() {
    let registry = Registry::start_with_auth();
    let pushed = unique(&registry).await;
    let runner = Runner::new(PullPolicy::Missing);
    // The user and the password of the registry.
    let logins = format!(
        r#"{{"auths": {{"{}": {{"auth": "b3V0cmlkZXI6bm90LWEtc2VjcmV0LW91dHNpZGUtb2YtdGVzdHM="}}}}}}"#,
        registry.address()
    );
    std::fs::write(runner.owners.path().join("no-logins.json"), logins).expect("written");
    runner
        .provide(&DockerImage::new(&pushed.by_tag))
        .await
        .expect("pulled");
    registry.forget(&pushed).await;
}

#[tokio::test]
async fn jobs_that_want_the_same_share_a_pull() {
    let registry = Registry::start();
    let pushed = unique(&registry).await;
    let runner = Runner::new(PullPolicy::Missing);
    let image = DockerImage::new(&pushed.by_tag);
    let (one, two) = tokio::join!(runner.provide(&image), runner.provide(&image));
    let (one, two) = (one.expect("pulled"), two.expect("pulled"));
    assert_eq!(one.0, two.0);
    // Whoever joins a pull has missed its first line.
    let beginnings = [one.1, two.1].map(|said| said.matches("Pulling ").count());
    assert_eq!(beginnings.iter().sum::<usize>(), 1);
    registry.forget(&pushed).await;
}

#[tokio::test]
async fn what_is_not_there_is_the_users_fault_and_a_dead_registry_is_not() {
    let registry = Registry::start();
    let runner = Runner::new(PullPolicy::Missing);
    let address = registry.address();
    let missing = DockerImage::new(format!("{address}/acme/nothing:1"));
    let error = runner.refused(&missing, Fault::User).await;
    assert!(error.contains("check the name"), "{error}");
    drop(registry);
    let error = runner.refused(&missing, Fault::Infrastructure).await;
    assert!(error.contains("acme/nothing:1"), "{error}");
    let never = Runner::new(PullPolicy::Never);
    let error = never.refused(&missing, Fault::User).await;
    assert!(error.contains("does not have it"), "{error}");
}

#[tokio::test]
async fn a_pull_that_stands_still_is_tried_again() {
    let registry = Registry::start();
    let pushed = unique(&registry).await;
    // The Engine also makes connections on which little is said.
    let relay = Relay::start(registry.address(), &[Fate::HoldAnswer(200_000); 8]).await;
    let name = format!("{}/acme/app:1", relay.address);
    let runner = Runner::with(PullPolicy::Missing, Duration::from_secs(2));
    let (_, said) = runner
        .provide(&DockerImage::new(&name))
        .await
        .expect("pulled in the end");
    assert!(relay.met() > 0);
    assert!(said.contains("has stood still for 2 s, at "), "{said}");
    assert!(
        said.contains("trying again") && said.contains("Pulled"),
        "{said}"
    );
    remove(&name).await;
    registry.forget(&pushed).await;
}

#[tokio::test]
async fn another_processor_is_warned_of() {
    let runner = Runner::new(PullPolicy::Never);
    let image = Image::WrongArchitecture.provide().await;
    let (_, said) = runner
        .provide(&DockerImage::new(&image))
        .await
        .expect("it may be emulated");
    assert!(
        said.starts_with("Warning: ") && said.contains("linux/"),
        "{said}"
    );
}

#[tokio::test]
async fn old_images_are_removed_unless_they_are_in_use_or_not_ours() {
    let registries = [Registry::start(), Registry::start(), Registry::start()];
    let [old, used, fresh] = [
        unique(&registries[0]).await,
        unique(&registries[1]).await,
        unique(&registries[2]).await,
    ];
    let theirs = Image::Busybox.provide().await;
    let runner = Runner::new(PullPolicy::Missing);
    runner
        .provide(&DockerImage::new(&theirs))
        .await
        .expect("there");
    runner
        .provide(&DockerImage::new(&old.by_tag))
        .await
        .expect("pulled");
    let (provided, _) = runner
        .provide(&DockerImage::new(&used.by_tag))
        .await
        .expect("pulled");
    let container = ContainerCreateBody {
        image: Some(provided.id),
        cmd: Some(vec!["true".to_owned()]),
        ..ContainerCreateBody::default()
    };
    let container = client()
        .create_container(None, container)
        .await
        .expect("made");
    age_records(runner.owners.path());
    runner
        .provide(&DockerImage::new(&fresh.by_tag))
        .await
        .expect("pulled");
    let settings = ImageCare {
        max_age: Some(Duration::from_secs(14 * 24 * 3_600)),
        ..NOTHING_IS_REMOVED
    };
    let care = Care::new(client(), settings, runner.owners.path());
    assert_eq!(care.care().await, None);
    assert!(!is_there(&old.by_tag).await);
    assert!(is_there(&used.by_tag).await);
    assert!(is_there(&fresh.by_tag).await);
    assert!(is_there(&theirs).await);
    let options = Some(RemoveContainerOptions::default());
    client()
        .remove_container(&container.id, options)
        .await
        .expect("removed");
    care.care().await;
    assert!(!is_there(&used.by_tag).await);
    registries[2].forget(&fresh).await;
}

/// As if nobody had used them for years.
fn age_records(owners: &Path) {
    for entry in std::fs::read_dir(owners.join("images")).expect("records") {
        let file = File::options()
            .write(true)
            .open(entry.expect("a record").path());
        let old = file.expect("a record").set_modified(SystemTime::UNIX_EPOCH);
        old.expect("a time that can be set");
    }
}
