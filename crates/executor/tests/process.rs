//! The process executor with cgroups, where this host has them; else as it is without.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::{place, settings, subject};
use outrider_executor::conformance::{Dialect, Recorder, Subject, ThisHost, new_attempt};
use outrider_executor::process::{ProcessExecutor, ProcessSettings};
use outrider_executor::{Executor, Fault, Handle, PrepareRequest};
use outrider_model::plan::{DockerImage, EnvironmentKind};
use outrider_model::report::Exit;

outrider_executor::conformance_suite!(|| subject(true));

/// Whether this host lets us use cgroups.
async fn has_cgroups() -> bool {
    let place = place();
    let executor = ProcessExecutor::new(settings(place.path(), true));
    let environment = executor
        .prepare(request("~/project"))
        .await
        .expect("prepare");
    environment.cleanup().await.expect("cleanup");
    executor.cgroups_missing().is_none()
}

fn request(working_directory: &str) -> PrepareRequest {
    PrepareRequest::new(
        new_attempt(),
        0,
        EnvironmentKind::Machine { image: None },
        working_directory,
    )
}

#[tokio::test]
async fn doomed_runner() {
    common::doomed_runner(true).await;
}

#[tokio::test]
async fn recovery_after_the_runner_was_killed() {
    common::recovery_after_kill(has_cgroups().await).await;
}

#[tokio::test]
async fn nothing_is_left_when_the_executor_is_gone() {
    let place = place();
    let executor = ProcessExecutor::new(settings(place.path(), true));
    let environment = executor
        .prepare(request("~/project"))
        .await
        .expect("prepare");
    let Handle::Process(handle) = environment.handle() else {
        panic!("of another executor")
    };
    let mode = handle
        .directory
        .metadata()
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o700);
    environment.cleanup().await.expect("cleanup");
    drop((environment, executor));
    assert!(
        handle
            .cgroup
            .is_none_or(|path| !path.exists() && !path.parent().unwrap().exists())
    );
    assert_eq!(fs::read_dir(place.path()).expect("listed").count(), 0);
}

#[tokio::test]
async fn no_directory_is_given_twice() {
    let subject = subject(true);
    let mut homes = Vec::new();
    for _ in 0..3 {
        let environment = subject.prepare().await;
        homes.push(environment.resolve("~"));
        environment.cleanup().await.expect("cleanup");
    }
    homes.sort();
    homes.dedup();
    assert_eq!(homes.len(), 3, "{homes:?}");
}

#[tokio::test]
async fn the_directory_is_kept_if_that_is_wanted() {
    let place = place();
    let kept = ProcessSettings {
        cleanup_working_directory: false,
        ..settings(place.path(), true)
    };
    let subject = Subject::new(ProcessExecutor::new(kept), Dialect::Shell, ThisHost);
    let environment = subject.prepare().await;
    subject.exec(&*environment, "echo kept > file", "").await;
    environment.cleanup().await.expect("cleanup");
    subject
        .executor
        .recover(&environment.handle())
        .await
        .expect("recover");
    assert_eq!(
        fs::read(environment.resolve("file")).expect("kept"),
        b"kept\n"
    );
}

#[tokio::test]
async fn a_prefix_stands_before_the_shell() {
    let place = place();
    let with = |words: &[&str]| {
        let command_prefix = words.iter().map(|&word| word.to_owned()).collect();
        let settings = ProcessSettings {
            command_prefix,
            ..settings(place.path(), true)
        };
        Subject::new(ProcessExecutor::new(settings), Dialect::Shell, ThisHost)
    };
    let subject = with(&["env", "PREFIX=yes"]);
    let environment = subject.prepare().await;
    let (result, output) = subject.exec(&*environment, "echo $PREFIX", "").await;
    assert_eq!((result.exit, &output[..]), (Exit::Code(0), &b"yes\n"[..]));
    environment.cleanup().await.expect("cleanup");

    let subject = with(&["/no/such/prefix"]);
    let environment = subject.prepare().await;
    let request = subject.request(&*environment, "true".to_owned());
    let error = environment
        .exec(request, Recorder::new())
        .await
        .expect_err("no prefix");
    assert_eq!(error.fault, Fault::Infrastructure);
    assert!(error.message.contains("/no/such/prefix"), "{error}");
    environment.cleanup().await.expect("cleanup");
}

#[tokio::test]
async fn mistakes_of_the_user_are_named() {
    let subject = subject(true);
    let environment = subject.prepare().await;
    let base = subject.request(&*environment, "true".to_owned());
    fs::write(environment.files().here().expect("here").join("file"), "").expect("written");
    let mut no_directory = base.clone();
    no_directory.working_directory = environment.resolve("~/file/below");
    let mut nul = base.clone();
    nul.environment.insert("BAD".to_owned(), "a\0b".to_owned());
    let mut too_long = base.clone();
    too_long
        .environment
        .insert("LONG".to_owned(), "x".repeat(200_000));
    for (request, word) in [
        (no_directory, "file/below"),
        (nul, "`BAD`"),
        (too_long, "too long"),
    ] {
        let error = environment
            .exec(request, Recorder::new())
            .await
            .expect_err(word);
        assert_eq!(error.fault, Fault::User, "{error}");
        assert!(error.message.contains(word), "{error}");
        assert_eq!(
            error.message.lines().count(),
            2,
            "what is wrong, and what to do: {error}"
        );
    }
    environment.cleanup().await.expect("cleanup");
}

#[tokio::test]
async fn images_need_permission() {
    let image = DockerImage::new("cimg/rust:1.90");
    let kind = EnvironmentKind::Docker {
        images: vec![image],
    };
    let place = place();
    for images_on_host in [false, true] {
        let settings = ProcessSettings {
            images_on_host,
            ..settings(place.path(), true)
        };
        let executor = ProcessExecutor::new(settings);
        let request = PrepareRequest {
            kind: kind.clone(),
            ..request("~/project")
        };
        match executor.prepare(request).await {
            Ok(environment) => {
                assert!(images_on_host);
                environment.cleanup().await.expect("cleanup");
            }
            Err(error) => {
                assert!(
                    !images_on_host && error.message.contains("cimg/rust:1.90"),
                    "{error}"
                );
                assert_eq!(error.fault, Fault::User);
            }
        }
    }
}

/// Programs expect to be stopped by a closed pipe, and not to find files open that they do not
/// know: neither what this process ignores nor what it has open may reach them.
#[tokio::test]
async fn scripts_start_clean() {
    let subject = subject(true);
    let environment = subject.prepare().await;
    let shell = "grep -E '^Sig(Ign|Blk)' /proc/self/status\nls /proc/self/fd | tr '\\n' ' '";
    let (_, output) = subject.exec(&*environment, shell, "").await;
    let text = String::from_utf8_lossy(&output).into_owned();
    let masks = text.lines().filter(|line| line.starts_with("Sig"));
    for mask in masks.map(|line| line.rsplit('\t').next().expect("a number")) {
        // The C library keeps the first two real-time signals, 32 and 33, to itself.
        let mask = u64::from_str_radix(mask, 16).expect("hexadecimal") & !(0b11 << 31);
        assert_eq!(mask, 0, "{text}");
    }
    assert!(text.ends_with("0 1 2 3 "), "3 is the listing's own: {text}");
    environment.cleanup().await.expect("cleanup");
}

/// Two runners that were given the same name by mistake do not end each other's tasks.
#[tokio::test]
async fn runners_of_the_same_name_do_no_harm() {
    let place = place();
    let settings = settings(place.path(), true);
    let one = Subject::new(
        ProcessExecutor::new(settings.clone()),
        Dialect::Shell,
        ThisHost,
    );
    let other = Subject::new(ProcessExecutor::new(settings), Dialect::Shell, ThisHost);
    let environment = one.prepare().await;
    let request = one.request(
        &*environment,
        "mkfifo f; echo ready; read -r < f".to_owned(),
    );
    let (output, exec) = one.start(&environment, request);
    output.wait_for("ready").await;
    let rival = other.prepare().await;
    other.exec(&*rival, "sleep 1000 &", "").await;
    rival.cleanup().await.expect("cleanup");
    other
        .executor
        .recover(&rival.handle())
        .await
        .expect("recover");
    fs::write(environment.resolve("f"), "go\n").expect("someone reads");
    assert_eq!(
        exec.await.expect("no panic").expect("exec").exit,
        Exit::Code(0)
    );
    environment.cleanup().await.expect("cleanup");
}
