//! Scripts, and what the config can get wrong about them.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_executor::{Discard, ExecRequest, Fault, Inside, Output};
use outrider_model::report::Exit;
use tokio::sync::Semaphore;

use super::support::{Collected, Container, MIB, is_root, user_fault};

/// An output that takes nothing until it is let.
struct Slow {
    gate: Semaphore,
    taken: Collected,
}

#[async_trait]
impl Output for Slow {
    async fn write(&self, bytes: Bytes) {
        drop(self.gate.acquire().await);
        self.taken.write(bytes).await;
    }
}

#[tokio::test]
async fn scripts_end_as_they_say_and_see_what_they_were_given() {
    let container = Container::start().await;
    assert_eq!(container.exec("exit 7").await.0, Exit::Code(7));
    assert_eq!(container.exec("kill -KILL $$").await.0, Exit::Signal(9));
    let (exit, text) = container
        .exec("echo out; echo err >&2; echo again; pwd; echo $HOME; cat")
        .await;
    assert_eq!(exit, Exit::Code(0));
    let home = container.home.path().display();
    assert_eq!(
        text,
        format!("out\nerr\nagain\n{home}/project/deep\n{home}\n")
    );
    let mut request =
        container.request("echo \"$A-$OUTRIDER_ATTEMPT\"; ps 2>&1 | wc -l >/dev/null");
    request.environment.insert("A".to_owned(), "a b".to_owned());
    let output = Arc::new(Collected::default());
    let ended = container.client.exec(request, output.clone()).await;
    let ended = ended.expect("is run");
    assert!(ended.usage.is_some() && ended.out_of_memory.is_none());
    assert!(output.text().starts_with("a b-") && output.text().len() > 36);
    assert!(!container.ready.shell.is_empty());
}

#[tokio::test]
async fn much_output_arrives_whole() {
    let container = Container::start().await;
    let script =
        "i=0; while [ $i -lt 10 ]; do head -c 1048576 /dev/zero | tr '\\0' $i; i=$((i+1)); done";
    let (exit, text) = container.exec(script).await;
    assert_eq!(exit, Exit::Code(0));
    let expected: String = (0..10).map(|i| i.to_string().repeat(MIB)).collect();
    assert!(text == expected, "{} bytes", text.len());
}

#[tokio::test]
async fn a_slow_reader_holds_nobody_else_back() {
    let container = Container::start().await;
    let slow = Arc::new(Slow {
        gate: Semaphore::new(0),
        taken: Collected::default(),
    });
    let script = "head -c 8388608 /dev/zero; echo end";
    let held = container
        .client
        .exec(container.request(script), slow.clone());
    let others = async {
        for _ in 0..3 {
            let (exit, text) = container.exec("head -c 2097152 /dev/zero").await;
            assert_eq!((exit, text.len()), (Exit::Code(0), 2 * MIB));
        }
        assert_eq!(slow.taken.text().len(), 0);
        slow.gate.add_permits(1);
    };
    let (ended, ()) = tokio::join!(held, others);
    assert_eq!(ended.expect("is run").exit, Exit::Code(0));
    let text = slow.taken.text();
    assert_eq!(text.len(), 8 * MIB + 4);
    assert!(text.ends_with("end\n"));
}

#[tokio::test]
async fn who_outlives_its_script_is_still_heard() {
    let container = Container::start().await;
    let go = container.home.path().join("go");
    let script = format!(
        "(while [ ! -e {} ]; do sleep 0.02; done; echo later) & echo now",
        go.display()
    );
    let output = Arc::new(Collected::default());
    let ended = container
        .client
        .exec(container.request(&script), output.clone());
    assert_eq!(ended.await.expect("is run").exit, Exit::Code(0));
    assert_eq!(output.text(), "now\n");
    std::fs::write(go, "").expect("written");
    output.until("later").await;
}

#[tokio::test]
async fn what_the_config_can_get_wrong() {
    let failed =
        Container::start_with(|set_up| set_up.user = Some("no-such-user".to_owned())).await;
    assert!(user_fault(failed).starts_with("there is no user `no-such-user` in the image\n"));
    let container = Container::start().await;
    let exec = async |change: fn(&mut ExecRequest)| {
        let mut request = container.request("true");
        change(&mut request);
        container.client.exec(request, Arc::new(Discard)).await
    };
    let failed = exec(|request| request.shell = vec!["/no/such/shell".to_owned()]).await;
    assert!(user_fault(failed).contains("`/no/such/shell` does not exist in the image"));
    let failed = exec(|request| request.shell = vec!["/etc/passwd".to_owned()]).await;
    assert!(user_fault(failed).contains("`/etc/passwd` cannot be executed"));
    let failed = exec(|request| request.working_directory = "/etc/passwd/x".into()).await;
    assert!(user_fault(failed).contains("`/etc/passwd/x` could not be created"));
    let failed = exec(|request| drop(request.environment.insert("A".into(), "\0".into()))).await;
    assert!(user_fault(failed).contains("NUL"));
}

#[tokio::test]
async fn root_gives_its_rights_away() {
    if !is_root() {
        return;
    }
    let container = Container::start_with(|set_up| {
        set_up.user = Some("65534:65533".to_owned());
        set_up.extra_groups = vec![4321];
        set_up.environment.clear();
    })
    .await
    .expect("is made ready");
    let (exit, text) = container
        .exec("id -u; id -g; id -G; touch new; touch /etc/new 2>/dev/null || echo refused")
        .await;
    assert_eq!(exit, Exit::Code(0));
    assert_eq!(text, "65534\n65533\n65533 4321\nrefused\n");

    let client = &container.client;
    let refused = client.write_file(Path::new("/etc/new"), 0o644, Bytes::new());
    let refused = refused.await.expect_err("only root may");
    assert_eq!(refused.fault, Fault::User, "{refused}");
    let closed = tempfile::tempdir().expect("a folder of root");
    let private = Permissions::from_mode(0o700);
    std::fs::set_permissions(closed.path(), private).expect("closed");
    let refused = client.exists(&closed.path().join("anything")).await;
    assert!(refused.is_err(), "nobody else sees what is in it");
    let own = container.ready.working_directory.join("new.txt");
    let written = client.write_file(&own, 0o640, "new".into()).await;
    written.expect("at home it may");
    let found = own.metadata().expect("it is there");
    assert_eq!((found.uid(), found.gid()), (65534, 65533));
}

#[tokio::test]
async fn two_scripts_run_at_once() {
    let container = Container::start().await;
    let (one, two) = (
        container.home.path().join("1"),
        container.home.path().join("2"),
    );
    let meet = |own: &Path, other: &Path| {
        let (own, other) = (own.display(), other.display());
        container.request(&format!(
            "touch {own}; while [ ! -e {other} ]; do sleep 0.02; done"
        ))
    };
    let first = container.client.exec(meet(&one, &two), Arc::new(Discard));
    let second = container.client.exec(meet(&two, &one), Arc::new(Discard));
    let (first, second) = tokio::join!(first, second);
    assert!(first.expect("is run").exit.success() && second.expect("is run").exit.success());
}
