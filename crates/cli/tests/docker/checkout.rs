//! `checkout` in containers whose image has no git, and what is left when it is cut off.

use std::path::{Path, PathBuf};

use outrider_api::pipelines::SubmitPipeline;
use outrider_model::plan::Source;
use outrider_model::{Outcome, PipelineId};
use outrider_testkit::docker::{Image, engine};
use outrider_testkit::git;
use tokio::net::TcpListener;

use crate::common::{Process, World, outrider, submission, wait_for};

/// A repository with 20 MB in it.
fn origin(directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    git(directory, &["init", "--quiet"]);
    let mut noise = vec![0; 20_000_000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    std::fs::write(directory.join("large"), noise).unwrap();
    std::os::unix::fs::symlink("/nowhere", directory.join("dangling")).unwrap();
    git(directory, &["add", "."]);
    git(directory, &["commit", "--quiet", "-m", "large"]);
}

/// A server, a runner with a slot for containers, and a repository.
struct Place {
    world: World,
    _server: Process,
    runner: Process,
    image: String,
}

impl Place {
    async fn start(image: Image, arguments: &[&str]) -> Self {
        let mut world = World::new();
        let server = world.start_server(&["--startup-grace", "0s"]).await;
        origin(&world.path("origin"));
        Self {
            runner: start_runner(&world, arguments).await,
            _server: server,
            image: image.provide().await,
            world,
        }
    }

    /// Queues a job with these steps, one JSON value each, of the code at this URL.
    async fn submit(&self, url: &str, steps: &[&str]) -> PipelineId {
        let config = format!(
            "version: 2.1\njobs:\n  build:\n    docker: [{{image: \"{}\"}}]\n    \
             environment: {{GIT_SSH_COMMAND: touch /x, LD_PRELOAD: \"\"}}\n    \
             steps: [{}]\n",
            self.image,
            steps.join(", ")
        );
        let request = SubmitPipeline {
            source: Source::Git {
                url: url.to_owned(),
                revision: None,
                reference: Some("main".to_owned()),
            },
            branch: Some("main".to_owned()),
            ..submission(&config)
        };
        let submitted = self.world.admin().submit_pipeline(&request, None).await;
        submitted.unwrap().id
    }

    fn origin(&self) -> String {
        self.world.path("origin").display().to_string()
    }

    async fn log(&self, pipeline: PipelineId) -> String {
        let log = self.world.log(self.world.task(pipeline).await).await;
        String::from_utf8_lossy(&log).into_owned()
    }

    async fn ends(&self, pipeline: PipelineId, expected: Outcome, words: &[&str]) {
        let outcome = self.world.outcome(pipeline).await;
        self.world.ended(self.world.task(pipeline).await).await;
        let log = self.log(pipeline).await;
        assert_eq!(outcome, expected, "{log}");
        for word in words {
            assert!(log.contains(word), "no {word:?} in:\n{log}");
        }
    }

    /// Waits until the host has nothing of any checkout, neither files nor processes.
    async fn is_clean(&self) {
        let work = self.world.path("runner/work");
        wait_for("an empty place on the host", async || {
            left(&work).is_empty().then_some(())
        })
        .await;
        self.world.nothing_runs().await;
    }
}

async fn start_runner(world: &World, arguments: &[&str]) -> Process {
    let engine = engine();
    let arguments = [&["--docker-host", &engine], arguments].concat();
    world.start_runner("runner", &arguments).await
}

fn left(work: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(work).into_iter().flatten().flatten();
    let attempts = entries.filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    attempts.map(|entry| entry.path()).collect()
}

fn run(script: &str) -> String {
    serde_json::json!({"run": {"command": script}}).to_string()
}

/// Looks for the tool from within its container, and sends it a signal once it has begun to unpack.
fn signal(signal: &str) -> String {
    let script = format!(
        "tool=
        until [ $tool ]; do
          for process in /proc/[0-9]*; do
            if tr '\\0' ' ' <$process/cmdline | grep -q 'task-cod[e]'; then
              tool=${{process#/proc/}}
            fi
          done
        done
        until [ -e .git/objects ]; do :; done
        kill -{signal} $tool && echo signalled"
    );
    serde_json::json!({"run": {"command": script, "background": true}}).to_string()
}

#[tokio::test]
async fn code_comes_as_the_user_of_the_steps_and_again_over_itself() {
    let place = Place::start(Image::BusyboxAsUser, &[]).await;
    let script = "test $(id -u) = 1000 && test -O large && test -O .git/config && test -L dangling
        test $(wc -c <large) = 20000000 && ! command -v git
        touch mine && echo changed >large && mkdir -p sub && : >sub/mine";
    let again = "test $(wc -c <large) = 20000000 && test -e mine && test -e sub/mine";
    let steps = [
        "checkout",
        &run(script),
        "checkout",
        &run(again),
        "{checkout: {path: /code}}",
    ];
    let pipeline = place.submit(&place.origin(), &steps).await;
    let words = [
        "Branch main is at ",
        "cannot write /code: Permission denied",
        "another user",
    ];
    place.ends(pipeline, Outcome::Failed, &words).await;
    place.is_clean().await;
}

#[tokio::test]
async fn a_full_disk_inside_is_told() {
    // The memory bounds what fits into /dev/shm.
    let place = Place::start(Image::Busybox, &["--container-limit-memory", "64Mi"]).await;
    let fill = "df -k /dev/shm | tail -1; dd if=/dev/zero of=/dev/shm/full bs=1M count=20";
    let steps = [&*run(fill), "{checkout: {path: /dev/shm/code}}"];
    let pipeline = place.submit(&place.origin(), &steps).await;
    let words = ["No space left on device", "The disk of the job is full"];
    place.ends(pipeline, Outcome::Lost, &words).await;
    place.is_clean().await;
}

#[tokio::test]
async fn a_tool_that_is_killed_from_inside_fails_the_step() {
    let place = Place::start(Image::Busybox, &[]).await;
    let steps = [&*signal("KILL"), "checkout"];
    let pipeline = place.submit(&place.origin(), &steps).await;
    let words = ["the step was ended from inside"];
    place.ends(pipeline, Outcome::Failed, &words).await;
    place.is_clean().await;
}

#[tokio::test]
async fn whoever_cancels_does_not_wait_for_a_tool_that_takes_nothing() {
    let place = Place::start(Image::Busybox, &[]).await;
    let steps = [&*signal("STOP"), "checkout"];
    let pipeline = place.submit(&place.origin(), &steps).await;
    wait_for("a tool that is held", async || {
        place
            .log(pipeline)
            .await
            .contains("signalled")
            .then_some(())
    })
    .await;
    place.world.admin().cancel_pipeline(pipeline).await.unwrap();
    place.ends(pipeline, Outcome::Canceled, &[]).await;
    place.is_clean().await;
}

#[tokio::test]
async fn a_runner_killed_while_git_is_at_work_leaves_nothing_on_its_host() {
    let mut place = Place::start(Image::Busybox, &[]).await;
    // A server that never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/shop", listener.local_addr().unwrap());
    let pipeline = place.submit(&url, &["checkout"]).await;
    let (_held, _) = listener.accept().await.unwrap();
    let work = place.world.path("runner/work");
    assert_eq!(left(&work).len(), 1);
    place.runner.kill9();
    assert!(!place.world.step_processes().is_empty(), "git outlives it");
    let _runner = start_runner(&place.world, &[]).await;
    place.ends(pipeline, Outcome::Lost, &[]).await;
    place.is_clean().await;
}

#[tokio::test]
async fn the_working_tree_of_a_folder_gets_into_a_container() {
    let image = Image::Busybox.provide().await;
    let place = tempfile::tempdir().unwrap();
    let project = place.path().join("project");
    origin(&project);
    let config = |expected: &str| {
        format!(
            "version: 2.1\njobs:\n  build:\n    docker: [{{image: \"{image}\"}}]\n    steps:\n      \
             - checkout\n      - run: test \"$(ls)\" = \"$(printf '{expected}')\" && test -d .git\n"
        )
    };
    for (arguments, expected) in [
        (&[][..], "dangling\\nlarge\\nnew"),
        (&["--committed"], "dangling\\nlarge"),
    ] {
        std::fs::create_dir_all(project.join(".circleci")).unwrap();
        std::fs::write(project.join(".circleci/config.yml"), config(expected)).unwrap();
        git(&project, &["add", ".circleci"]);
        git(&project, &["commit", "--quiet", "-m", "config"]);
        std::fs::write(project.join("new"), "").unwrap();
        let mut command = outrider();
        command
            .args(["run", "--docker-host", &engine()])
            .args(arguments)
            .env("HOME", place.path())
            .current_dir(&project);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}
