//! Volumes with programs that no runner uses any more.

use std::fs::{self, File};
use std::path::Path;
use std::time::SystemTime;

use bollard::models::{ContainerCreateBody, HostConfig, VolumeCreateRequest};
use bollard::query_parameters::{RemoveContainerOptions, RemoveVolumeOptions};
use outrider_executor::docker::ImageCare;
use outrider_executor::docker::care::Care;
use outrider_testkit::docker::{Image, client};

/// A volume of this test, and the note about it: as if nobody had used it for years.
async fn volume(owners: &Path) -> String {
    let made = client().create_volume(VolumeCreateRequest::default()).await;
    let name = made.expect("made").name;
    let folder = owners.join("programs");
    fs::create_dir_all(&folder).expect("a folder");
    let note = File::create(folder.join(&name)).expect("a note");
    let old = note.set_modified(SystemTime::UNIX_EPOCH);
    old.expect("a time that can be set");
    name
}

async fn is_there(volume: &str) -> bool {
    client().inspect_volume(volume).await.is_ok()
}

#[tokio::test]
async fn volumes_go_that_no_runner_has_used_for_long() {
    let owners = tempfile::tempdir().expect("a folder");
    let [unused, used, own, gone] = [
        volume(owners.path()).await,
        volume(owners.path()).await,
        volume(owners.path()).await,
        volume(owners.path()).await,
    ];
    let remove = async |volume: &str| {
        let options = None::<RemoveVolumeOptions>;
        client().remove_volume(volume, options).await
    };
    remove(&gone).await.expect("removed");
    let container = ContainerCreateBody {
        image: Some(Image::Busybox.provide().await),
        host_config: Some(HostConfig {
            binds: Some(vec![format!("{used}:/used")]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let container = client().create_container(None, container).await;
    let container = container.expect("made").id;
    let settings = ImageCare {
        min_free: None,
        ..ImageCare::default()
    };
    let care = Care::new(client(), settings, owners.path()).sparing(&own);
    care.care().await;
    assert!(!is_there(&unused).await);
    assert!(is_there(&used).await && is_there(&own).await);
    let options = None::<RemoveContainerOptions>;
    let removed = client().remove_container(&container, options).await;
    removed.expect("removed");
    care.care().await;
    assert!(!is_there(&used).await && is_there(&own).await);
    let notes = fs::read_dir(owners.path().join("programs")).expect("a folder");
    assert_eq!(notes.count(), 1, "only that about our own");
    remove(&own).await.expect("removed");
}
