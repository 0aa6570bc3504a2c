//! Containers that want more than they may have.

use std::time::Duration;

use outrider_executor::conformance::{DEADLINE, Lookout};
use outrider_executor::docker::{DockerExecutor, Limits, Privileges};
use outrider_executor::{Fault, PrepareRequest};
use outrider_model::plan::{DockerImage, EnvironmentKind};
use outrider_model::report::Exit;
use outrider_testkit::docker::Image;
use tempfile::TempDir;
use tokio::time::timeout;

use super::lookout::EngineLookout;
use super::support::{containers, exec, executor, prepare, request, settings};

fn limited(limits: Limits) -> (DockerExecutor, TempDir) {
    executor(|place| {
        let mut settings = settings(place);
        settings.limits = limits;
        settings
    })
}

#[tokio::test]
async fn who_forks_without_end_hits_the_limit_and_is_ended() {
    let (executor, _place) = limited(Limits {
        pids: Some(50),
        ..Limits::default()
    });
    let (attempt, environment) = prepare(&executor, request().await).await;
    let script = "i=0; while [ $i -lt 100 ]; do sleep 1000 & i=$((i+1)); done; echo all of them";
    let (result, output) = exec(&*environment, script).await;
    let result = result.expect("exec");
    assert_ne!(result.exit, Exit::Code(0), "{output}");
    assert!(!output.contains("all of them"), "{output}");
    environment.stop(Duration::ZERO).await.expect("stop");
    environment.cleanup().await.expect("cleanup");
    assert_eq!(containers(attempt).await, [""; 0]);
}

#[tokio::test]
async fn who_eats_memory_is_told_the_limit() {
    let limit = 64 << 20;
    let (executor, _place) = limited(Limits {
        memory: Some(limit),
        ..Limits::default()
    });
    let (_, environment) = prepare(&executor, request().await).await;
    let (result, output) = exec(
        &*environment,
        "head -c 200000000 /dev/zero | tail -c 190000000 | wc -c",
    )
    .await;
    let told = match result {
        Ok(result) => result.out_of_memory == Some(limit),
        Err(error) => error.fault == Fault::User && error.message.contains("64 MiB"),
    };
    assert!(told, "{output}");
    environment.cleanup().await.expect("cleanup");
}

/// A bomb in many small processes leaves the kernel nobody better to kill than the init, sooner or
/// later: with it the container is gone.
#[tokio::test]
async fn who_eats_memory_in_small_bites_is_told_the_limit() {
    let limit = 32 << 20;
    let (executor, _place) = limited(Limits {
        memory: Some(limit),
        ..Limits::default()
    });
    let (attempt, environment) = prepare(&executor, request().await).await;
    let script = "trap '' TERM; while :; do sleep 1000 & done 2>&1";
    let ended = timeout(DEADLINE, exec(&*environment, script)).await;
    let (result, output) = ended.expect("it does not hang");
    let told = match result {
        Ok(result) => result.out_of_memory == Some(limit),
        Err(error) => error.fault == Fault::User && error.message.contains("32 MiB"),
    };
    assert!(told, "{output}");
    environment.cleanup().await.expect("cleanup");
    assert_eq!(containers(attempt).await, [""; 0]);
}

/// Not only the container's own processes are bounded: so is what it keeps in `/dev/shm`.
#[tokio::test]
async fn who_fills_shared_memory_is_bounded() {
    let (executor, _place) = limited(Limits {
        memory: Some(64 << 20),
        ..Limits::default()
    });
    let (_, environment) = prepare(&executor, request().await).await;
    let script = "dd if=/dev/zero of=/dev/shm/big bs=1M count=60";
    let (result, output) = exec(&*environment, script).await;
    assert_eq!(result.expect("exec").exit, Exit::Code(1), "{output}");
    assert!(output.contains("No space left"), "{output}");
    environment.cleanup().await.expect("cleanup");
}

#[tokio::test]
async fn a_fork_bomb_harms_only_its_container() {
    let (executor, _place) = limited(Limits {
        pids: Some(100),
        ..Limits::default()
    });
    let (attempt, bomb) = prepare(&executor, request().await).await;
    let (_, other) = prepare(&executor, request().await).await;
    let lit = exec(&*bomb, "bomb() { bomb | bomb & }; bomb; sleep 1000");
    let beside = async {
        let (result, _) = exec(
            &*other,
            "i=0; while [ $i -lt 50 ]; do true | cat; i=$((i+1)); done",
        )
        .await;
        assert_eq!(result.expect("exec").exit, Exit::Code(0));
        bomb.stop(Duration::ZERO).await.expect("stop");
    };
    let (_, ()) = timeout(DEADLINE, async { tokio::join!(lit, beside) })
        .await
        .expect("it does not hang");
    other.cleanup().await.expect("cleanup");
    bomb.cleanup().await.expect("cleanup");
    assert_eq!(containers(attempt).await, [""; 0]);
}

#[tokio::test]
async fn who_fills_the_disk_is_ended_with_the_limit() {
    let (executor, _place) = limited(Limits {
        storage: Some(20 << 20),
        ..Limits::default()
    });
    let (_, environment) = prepare(&executor, request().await).await;
    let script = "head -c 60000000 /dev/zero > big && sleep 1000";
    let (result, output) = exec(&*environment, script).await;
    match result {
        // The driver has bounded it.
        Ok(result) => assert!(output.contains("space") && result.exit != Exit::Code(0)),
        Err(error) => {
            assert_eq!(error.fault, Fault::User);
            assert!(error.message.contains("20 MiB"), "{error}");
        }
    }
    environment.cleanup().await.expect("cleanup");
}

#[tokio::test]
async fn a_container_may_do_little() {
    let (executor, _place) = executor(settings);
    let (_, environment) = prepare(&executor, request().await).await;
    let script = "grep -E 'NoNewPrivs|Seccomp:|CapBnd' /proc/self/status; ls /var/run/docker.sock";
    let (_, output) = exec(&*environment, script).await;
    let has = |name: &str, value: &str| {
        let mut lines = output.lines().filter_map(|line| line.split_once(":\t"));
        lines.any(|(key, is)| key == name && is == value)
    };
    assert!(has("NoNewPrivs", "1"), "{output}");
    assert!(has("CapBnd", "00000000800404fb"), "{output}");
    assert!(output.contains("No such file"), "{output}");
    environment.cleanup().await.expect("cleanup");
}

#[tokio::test]
async fn a_read_only_root_leaves_places_to_write() {
    let (executor, _place) = executor(|place| {
        let mut settings = settings(place);
        settings.privileges = Privileges {
            read_only_root: true,
            ..Privileges::default()
        };
        settings
    });
    let lookout = EngineLookout::default();
    for (directory, image) in [
        ("~/project", Image::Busybox),
        ("/work", Image::BusyboxAsUser),
        ("/home", Image::Busybox),
    ] {
        let named = DockerImage {
            name: Some("main".to_owned()),
            ..DockerImage::new(&image.provide().await)
        };
        let request = PrepareRequest {
            working_directory: directory.to_owned(),
            kind: EnvironmentKind::Docker {
                images: vec![named],
            },
            ..request().await
        };
        let (_, environment) = prepare(&executor, request).await;
        let script = "touch file ~/file /tmp/file && ! touch /etc/file && grep main /etc/hosts";
        let (result, output) = exec(&*environment, script).await;
        assert_eq!(result.expect("exec").exit, Exit::Code(0), "{output}");
        let there = lookout.remains(&environment.handle()).await;
        assert!(
            there.iter().any(|it| it.starts_with("volume ")),
            "{there:?}"
        );
        environment.cleanup().await.expect("cleanup");
        assert_eq!(lookout.remains(&environment.handle()).await, [""; 0]);
    }
}
