//! The runner itself in a container, started by the line that `outrider runner install-command`
//! prints, at a real Engine.

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod common;
mod site;

use outrider_api::pipelines::SubmitPipeline;
use outrider_model::Outcome;
use outrider_model::plan::Source;
use outrider_model::reason::EndReason;
use outrider_testkit::docker::Image;

use self::common::submission;
use self::site::{Site, docker};

/// A job that goes on when there is a file `/tmp/go`, with a service beside it.
async fn waits() -> String {
    let image = Image::Busybox.provide().await;
    let service = Image::Service.provide().await;
    let images = format!("[{{image: {image}}}, {{image: {service}}}]");
    let script = "echo waiting; until [ -e /tmp/go ]; do sleep 0.1; done; env; mkdir out; echo made > out/file";
    job(
        &images,
        &format!("{{run: {script:?}}}, {{store_artifacts: {{path: out}}}}"),
    )
}

fn job(images: &str, steps: &str) -> String {
    format!(
        "version: 2.1\njobs:\n  build:\n    docker: {images}\n    resource_class: {}\n    \
         steps: [{steps}]\nworkflows: {{main: {{jobs: [build]}}}}\n",
        site::CLASS
    )
}

#[tokio::test]
async fn the_line_starts_a_runner_and_again_another_one() {
    let site = Site::start(&[]).await;
    let line = site.line(&[]);
    let first = site.run(&line);
    let named = site.runners(1).await;
    assert!(
        named[0].ends_with(&format!("-{}", &first[..12])),
        "{named:?}"
    );

    let pipeline = site.world.submit(&waits().await).await;
    let containers = site.jobs_of(&first, 2).await;
    for container in &containers {
        let mounts = docker(&["inspect", "--format", "{{json .Mounts}}", container]);
        assert!(
            !mounts.contains(r#""bind""#),
            "nothing is the host's: {mounts}"
        );
    }
    site.let_go(&first).await;
    assert_eq!(site.world.outcome(pipeline).await, Outcome::Passed);
    let log = site.world.log(site.world.task(pipeline).await).await;
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains("CIRCLE_JOB=build"), "{log}");
    assert!(
        !log.contains(&line.token) && !log.contains("OUTRIDER_TOKEN"),
        "{log}"
    );
    site.jobs_of(&first, 0).await;

    let second = site.run(&line);
    let named = site.runners(2).await;
    assert!(
        named.iter().any(|name| name.ends_with(&second[..12])),
        "{named:?}"
    );

    // It has nothing to wait for.
    docker(&["stop", &first]);
    let code = docker(&["inspect", "--format", "{{.State.ExitCode}}", &first]);
    assert_eq!(code, "0");
}

#[tokio::test]
async fn what_a_dead_runner_leaves_is_removed_by_the_next_one_and_nothing_else() {
    let leases = ["--running-lease", "20s", "--startup-grace", "0s"];
    let site = Site::start(&leases).await;
    let line = site.line(&[]);
    let (dead, alive) = (site.run(&line), site.run(&line));
    site.runners(2).await;
    let config = waits().await;
    let pipelines = [
        site.world.submit(&config).await,
        site.world.submit(&config).await,
    ];
    for pipeline in pipelines {
        site.says(pipeline, "waiting").await;
    }
    site.jobs_of(&dead, 2).await;
    let kept = site.jobs_of(&alive, 2).await;

    docker(&["kill", "--signal", "KILL", &dead]);
    // The primary container goes by itself. A service has no init of ours, and stays.
    let left = site.jobs_of(&dead, 1).await;
    docker(&["rm", "--volumes", &dead]);
    let next = site.run(&line);
    let third = site.world.submit(&config).await;
    site.says(third, "waiting").await;
    assert_eq!(site.jobs_of(&dead, 0).await, [""; 0], "{left:?}");
    assert_eq!(site.jobs_of(&alive, 2).await, kept);

    site.let_go(&next).await;
    assert_eq!(site.world.outcome(third).await, Outcome::Passed);
    site.let_go(&alive).await;
    let mut outcomes = Vec::new();
    for pipeline in pipelines {
        outcomes.push(site.world.outcome(pipeline).await);
    }
    outcomes.sort_by_key(|outcome| *outcome != Outcome::Passed);
    assert_eq!(outcomes, [Outcome::Passed, Outcome::Lost]);
    for runner in [&alive, &next] {
        site.jobs_of(runner, 0).await;
    }
}

#[tokio::test]
async fn a_container_that_is_restarted_is_the_same_runner_and_says_what_became_of_its_task() {
    let site = Site::start(&["--startup-grace", "0s"]).await;
    let runner = site.run(&site.line(&[]));
    let pipeline = site.world.submit(&waits().await).await;
    site.says(pipeline, "waiting").await;
    docker(&["restart", "--time", "0", &runner]);
    let task = site.world.ended(site.world.task(pipeline).await).await;
    let reason = task.attempts[0].reason.clone().expect("a reason");
    let names = site.runners(1).await;
    assert!(
        matches!(&reason, EndReason::RunnerRestarted { runner } if *runner == names[0]),
        "{reason:?}"
    );
    site.jobs_of(&runner, 0).await;
}

#[tokio::test]
async fn a_job_may_get_the_socket_that_has_another_name_on_the_host() {
    let site = Site::start(&[]).await;
    let line = site.line(&["--env", "OUTRIDER_ALLOW_DOCKER_SOCKET=true"]);
    site.run(&line);
    let image = Image::Debian.provide().await;
    let ask = r#"perl -MIO::Socket::UNIX -e '
        my $engine = IO::Socket::UNIX->new(Peer => substr($ENV{DOCKER_HOST}, 7)) or die $!;
        print $engine "GET /_ping HTTP/1.0\r\n\r\n"; print <$engine>' | grep OK"#;
    let steps = format!("setup_remote_docker, {{run: {ask:?}}}");
    let images = format!("[{{image: {image}, user: ci}}]");
    let pipeline = site.world.submit(&job(&images, &steps)).await;
    let outcome = site.world.outcome(pipeline).await;
    let log = site.world.log(site.world.task(pipeline).await).await;
    assert_eq!(
        outcome,
        Outcome::Passed,
        "{}",
        String::from_utf8_lossy(&log)
    );
}

/// In the image of the job there is no git.
#[tokio::test]
async fn code_is_checked_out_by_the_git_of_the_runners_container() {
    let site = Site::start(&[]).await;
    site.run(&site.line(&[]));
    let image = Image::Busybox.provide().await;
    let steps = "checkout, {run: '! command -v git && test -d .git && cat greeting'}";
    let request = SubmitPipeline {
        source: Source::Git {
            url: site::CODE.to_owned(),
            revision: None,
            reference: Some("main".to_owned()),
        },
        branch: Some("main".to_owned()),
        ..submission(&job(&format!("[{{image: {image}}}]"), steps))
    };
    let submitted = site.world.admin().submit_pipeline(&request, None).await;
    let pipeline = submitted.unwrap().id;
    let outcome = site.world.outcome(pipeline).await;
    let log = site.world.log(site.world.task(pipeline).await).await;
    let log = String::from_utf8_lossy(&log);
    assert_eq!(outcome, Outcome::Passed, "{log}");
    assert!(log.contains("hello from git"), "{log}");
}

#[tokio::test]
async fn the_engines_disk_is_watched_from_a_container() {
    let site = Site::start(&[]).await;
    site.run(&site.line(&["--env", "OUTRIDER_MIN_FREE_DISK=1000000Ti"]));
    let image = Image::Busybox.provide().await;
    let config = job(&format!("[{{image: {image}}}]"), "{run: 'true'}");
    let pipeline = site.world.submit(&config).await;
    assert_eq!(site.world.outcome(pipeline).await, Outcome::Passed);
    site.says(pipeline, "the Engine's disk is nearly full")
        .await;
}

#[tokio::test]
async fn a_job_without_an_image_is_no_process_beside_the_socket() {
    let site = Site::start(&[]).await;
    site.run(&site.line(&[]));
    let config = job("[]", "{run: 'true'}").replace("docker: []", "machine: true");
    let pipeline = site.world.submit(&config).await;
    let outcome = site.world.outcome(pipeline).await;
    assert_ne!(outcome, Outcome::Passed);
    let task = site.world.ended(site.world.task(pipeline).await).await;
    assert!(
        format!("{task:?}").contains("names no docker image"),
        "{task:?}"
    );
}

#[tokio::test]
async fn a_line_that_cannot_be_made_leaves_no_token() {
    let site = Site::start(&[]).await;
    let tokens = async || site.world.admin().tokens().await.unwrap().items.len();
    let before = tokens().await;
    let ran = site.install_command(&["--docker", "--server", "ci.example.com"]);
    assert_eq!(ran.status.code(), Some(78), "{ran:?}");
    assert!(ran.stdout.is_empty(), "{ran:?}");
    assert_eq!(tokens().await, before);
    let ran = site.install_command(&["--docker", "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    let command = shown["command"].as_str().unwrap();
    assert!(command.contains(" docker run "), "{shown}");
    let made = site.world.admin().tokens().await.unwrap().items;
    assert!(
        made.iter().any(|it| shown["token_id"] == it.id.to_string()),
        "{shown}"
    );
}
