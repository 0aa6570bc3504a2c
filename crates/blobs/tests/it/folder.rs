//! What is particular to folders.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use futures_util::stream;
use outrider_blobs::{Blobs, BlobsError, OpenError, Trouble};
use outrider_testkit::s3;

use crate::support::{body, bytes, get, keys, name, open, patience, put};

fn partial_files(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join(".partial")).expect("a folder for partial files");
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn a_blob_outlives_the_store_and_a_stranger_is_only_listed() {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().to_str().unwrap();
    let content = bytes(100_000, 1);
    let name = put(&open(location), &content, 1).await;
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let again = open(location);
    assert_eq!(
        keys(&again).await,
        [name.to_string(), "notes.txt".to_owned()]
    );
    assert!(get(&again, &name, 0..100_000).await.unwrap() == content);
}

#[tokio::test]
async fn a_put_that_is_dropped_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = open(folder.path().to_str().unwrap());
    let content = bytes(2_000_000, 1);
    let name = name(&content, 1);
    let halted = futures_util::StreamExt::chain(body(&content[..1_500_000]), stream::pending());
    let mut put = Box::pin(blobs.put(&name, 2_000_000, halted));
    // Until something is on the disk.
    while partial_files(folder.path()).is_empty() {
        tokio::select! {
            ended = &mut put => panic!("it ended: {ended:?}"),
            () = tokio::time::sleep(std::time::Duration::from_millis(5)) => {}
        }
    }
    drop(put);
    while !partial_files(folder.path()).is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(keys(&blobs).await, [""; 0]);
}

#[tokio::test]
async fn leftovers_go_at_the_start_and_what_is_being_written_stays() {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().to_str().unwrap();
    let blobs = open(location);
    let leftover = folder.path().join(".partial/.tmpLeftOver");
    fs::write(&leftover, "half").unwrap();
    let content = bytes(2_000_000, 1);
    let (send, receive) = tokio::sync::oneshot::channel::<()>();
    // The second half comes when it is let go.
    let (first, second) = (content[..1_000_000].to_vec(), content[1_000_000..].to_vec());
    let halves = futures_util::StreamExt::chain(
        body(&first),
        futures_util::StreamExt::flatten(stream::once(async move {
            receive.await.unwrap();
            body(&second)
        })),
    );
    let name = name(&content, 1);
    let writing = tokio::spawn({
        let blobs = blobs.clone();
        async move { blobs.put(&name, 2_000_000, halves).await }
    });
    while partial_files(folder.path()).len() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let _another = open(location);
    assert!(!leftover.exists());
    assert_eq!(partial_files(folder.path()).len(), 1);
    send.send(()).unwrap();
    writing.await.unwrap().expect("it was not disturbed");
    assert!(get(&blobs, &name, 0..2_000_000).await.unwrap() == content);
    assert!(partial_files(folder.path()).is_empty());
}

#[tokio::test]
async fn the_room_on_the_disk_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let space = open(folder.path().to_str().unwrap()).free_space().unwrap();
    assert!(space.free > 0 && space.free <= space.total, "{space:?}");
    assert_eq!(open("memory:").free_space(), None);
}

/// A file where a folder should be stops everybody, root too.
#[tokio::test]
async fn a_folder_that_cannot_be_made_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let location = file.join("blobs").to_str().unwrap().parse().unwrap();
    let refused = Blobs::open(&location, &s3::environment(), patience());
    assert!(matches!(refused, Err(OpenError::Folder(_))));
}

#[tokio::test]
async fn a_folder_that_is_not_ours_says_what_to_do() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root may write everywhere");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let blobs = open(folder.path().to_str().unwrap());
    let partial = folder.path().join(".partial");
    fs::set_permissions(&partial, fs::Permissions::from_mode(0o500)).unwrap();
    let content = bytes(10, 1);
    let refused = blobs.put(&name(&content, 1), 10, body(&content)).await;
    assert_trouble(refused, Trouble::Denied);
}

#[tokio::test]
async fn a_folder_that_went_away_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = open(folder.path().to_str().unwrap());
    fs::remove_dir_all(folder.path()).unwrap();
    let content = bytes(10, 1);
    let refused = blobs.put(&name(&content, 1), 10, body(&content)).await;
    assert_trouble(refused, Trouble::FolderGone);
}

#[tokio::test]
async fn a_full_disk_stores_nothing_and_works_again_with_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_disk) = SmallDisk::mount(folder.path(), "3m") else {
        return;
    };
    let blobs = open(folder.path().to_str().unwrap());
    let small = put(&blobs, &bytes(1_000_000, 1), 1).await;
    let content = bytes(3_000_000, 2);
    let large = name(&content, 2);
    let refused = blobs.put(&large, 3_000_000, body(&content)).await;
    assert_trouble(refused, Trouble::Full);
    assert_eq!(keys(&blobs).await, [small.to_string()]);
    assert!(partial_files(folder.path()).is_empty());
    blobs.delete(&[small]).await.unwrap();
    let content = bytes(2_000_000, 3);
    put(&blobs, &content, 3).await;
}

pub fn assert_trouble<T: std::fmt::Debug>(result: Result<T, BlobsError>, trouble: Trouble) {
    match result {
        Err(BlobsError::Store(error)) => assert_eq!(error.trouble, trouble, "{error:?}"),
        other => panic!("{other:?}"),
    }
}

/// A file system of a few megabytes. Unmounted when it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None, said aloud, where this process may not mount.
    fn mount(path: &Path, size: &str) -> Option<Self> {
        let options = format!("size={size},mode=0700");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(path);
        match mount.output() {
            Ok(output) if output.status.success() => Some(Self(path.to_owned())),
            why => {
                println!("skipped: a small file system cannot be mounted here: {why:?}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
