//! Tools, and files that they touch.

use std::path::Path;

use bytes::Bytes;
use outrider_executor::{Inside, Tool};
use outrider_model::report::Exit;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{Container, LONG, MIB, user_fault};

#[tokio::test]
async fn files_come_and_go() {
    let container = Container::start().await;
    let client = &container.client;
    let path = container.home.path().join("a/b/file");
    assert!(!client.exists(&path).await.expect("is looked for"));
    let bytes = Bytes::from(vec![b'x'; 3 * MIB]);
    for mode in [0o600, 0o755] {
        let written = client.write_file(&path, mode, bytes.clone()).await;
        written.expect("is written");
        let (_, text) = container.exec("stat -c %a ~/a/b/file; ls -A ~/a/b").await;
        assert_eq!(text, format!("{mode:o}\nfile\n"));
    }
    assert!(std::fs::read(&path).expect("is there") == bytes);
    assert!(client.exists(&path).await.expect("is looked for"));
    container.exec("ln -s nowhere ~/dangling").await;
    let dangling = container.home.path().join("dangling");
    assert!(client.exists(&dangling).await.expect("is looked for"));
    client.remove(&dangling).await.expect("is removed");
    let folder = container.home.path().join("a");
    client.remove(&folder).await.expect("is removed");
    client.remove(&folder).await.expect("nothing to do");
    assert!(!folder.exists() && dangling.symlink_metadata().is_err());
    let failed = client
        .write_file(Path::new("/etc/passwd/x"), 0o600, Bytes::new())
        .await;
    assert!(user_fault(failed).starts_with("the file `/etc/passwd/x` could not be written"));
}

/// `cat`, in this program's place.
async fn with_cat() -> Container {
    let started = Container::start_with(|set_up| set_up.tool = vec!["/bin/cat".to_owned()]).await;
    started.expect("is made ready")
}

#[tokio::test]
async fn a_tool_is_spoken_to_both_ways() {
    let container = with_cat().await;
    let Tool {
        mut stdin,
        mut stdout,
        ended,
    } = container.tool(&["-"]).await;
    let sent: Vec<u8> = (0..10 * MIB).map(|at| (at % 251) as u8).collect();
    let send = async {
        stdin.write_all(&sent).await.expect("is taken");
        stdin.shutdown().await.expect("is closed");
    };
    let mut came = Vec::new();
    let (read, ()) = tokio::join!(stdout.read_to_end(&mut came), send);
    read.expect("is read");
    assert!(came == sent);
    assert_eq!(ended.await.expect("ends").exit, Exit::Code(0));
}

#[tokio::test]
async fn a_tool_that_nobody_wants_is_killed() {
    let container = Container::start_with(|set_up| {
        set_up.tool = ["/bin/sh", "-c"].map(str::to_owned).into();
    });
    let container = container.await.expect("is made ready");
    let lock = container.home.path().join("lock");
    let script = format!("exec 9>{}; flock 9; echo up; sleep 1000", lock.display());
    let mut tool = container.tool(&[&script]).await;
    let mut up = [0; 3];
    tool.stdout.read_exact(&mut up).await.expect("it runs");
    drop(tool);
    let free = tokio::task::spawn_blocking(move || {
        let file = std::fs::File::open(lock).expect("is there");
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
    });
    let free = tokio::time::timeout(LONG, free).await.expect("in time");
    free.expect("is asked").expect("nobody is left");
}
