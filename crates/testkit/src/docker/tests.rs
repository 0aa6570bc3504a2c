//! What tests rely on holds at the real Engine.

use bollard::auth::DockerCredentials;
use bollard::query_parameters::CreateImageOptions;
use futures_util::TryStreamExt;

use super::{Image, PASSWORD, Registry, USER, client};

async fn pull(image: &str, password: Option<&str>) -> Result<(), bollard::errors::Error> {
    let (name, tag) = image.rsplit_once(':').unwrap();
    let options = CreateImageOptions {
        from_image: Some(name.to_owned()),
        tag: Some(tag.to_owned()),
        ..CreateImageOptions::default()
    };
    let credentials = password.map(|password| DockerCredentials {
        username: Some(USER.to_owned()),
        password: Some(password.to_owned()),
        ..DockerCredentials::default()
    });
    let engine = client();
    let pulled = engine.create_image(Some(options), None, credentials);
    pulled.try_collect::<Vec<_>>().await.map(drop)
}

#[tokio::test]
async fn an_image_is_made_once_and_found_again() {
    let (first, other) = tokio::join!(Image::Busybox.provide(), Image::Service.provide());
    assert_ne!(first, other);
    let made = client().inspect_image(&first).await.unwrap();
    let second = Image::Busybox.provide().await;
    assert_eq!(first, second);
    let found = client().inspect_image(&second).await.unwrap();
    assert_eq!(made.id, found.id);
    assert_eq!(made.metadata, found.metadata, "it was not loaded again");
}

#[tokio::test]
async fn images_say_what_they_are_for() {
    let config = async |image: Image| {
        let found = client()
            .inspect_image(&image.provide().await)
            .await
            .unwrap();
        (found.architecture.unwrap(), found.config.unwrap())
    };
    let (native, plain) = config(Image::Busybox).await;
    assert_eq!(plain.user.unwrap_or_default(), "");
    let (foreign, _) = config(Image::WrongArchitecture).await;
    assert_ne!(native, foreign);
    let (_, as_user) = config(Image::BusyboxAsUser).await;
    assert_eq!(as_user.user.as_deref(), Some("ci"));
    let (_, service) = config(Image::Service).await;
    assert!(
        service
            .exposed_ports
            .unwrap()
            .contains(&"8080/tcp".to_owned())
    );
    let (_, healthy) = config(Image::Healthy).await;
    assert!(healthy.healthcheck.is_some());
    let (_, scratch) = config(Image::Scratch).await;
    assert!(scratch.cmd.is_none_or(|command| command.is_empty()));
}

#[tokio::test]
async fn what_was_pushed_is_pulled_by_its_tag() {
    let image = Image::Busybox.provide().await;
    let registry = Registry::start();
    let pushed = registry.push(&image, "acme/app:1").await;
    let before = client().inspect_image(&pushed.by_tag).await;
    assert!(before.is_err(), "the Engine knows it by this name no more");
    pull(&pushed.by_tag, None).await.unwrap();
    client().inspect_image(&pushed.by_digest).await.unwrap();
    registry.forget(&pushed).await;
}

#[tokio::test]
async fn a_registry_that_asks_refuses_a_wrong_password() {
    let image = Image::Busybox.provide().await;
    let registry = Registry::start_with_auth();
    let pushed = registry.push(&image, "acme/private:1").await;
    assert!(pull(&pushed.by_tag, None).await.is_err());
    assert!(pull(&pushed.by_tag, Some("wrong")).await.is_err());
    pull(&pushed.by_tag, Some(PASSWORD)).await.unwrap();
    registry.forget(&pushed).await;
}

#[tokio::test]
async fn debian_is_there_with_its_user() {
    let image = Image::Debian.provide().await;
    let found = client().inspect_image(&image).await.unwrap();
    assert_eq!(found.config.unwrap().cmd.unwrap(), ["bash"]);
}
