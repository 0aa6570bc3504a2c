//! `examples/service`: a primary image, a database beside it, a cache, and tests that are split.

use std::path::{Path, PathBuf};
use std::process::Command;

use outrider_testkit::docker::{Image, engine};
use outrider_testkit::git;

use crate::common::{World, outrider};
use crate::program::{Home, Ran};
use crate::steps::says;
use crate::support::*;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/service");
const TESTS: [&str; 4] = ["counts", "forgets", "keeps", "prices"];

/// The example's parameters, with images that are here.
async fn images() -> Vec<String> {
    let (primary, database) = tokio::join!(Image::Busybox.provide(), Image::Redis.provide());
    let given = [format!("image={primary}"), format!("database={database}")];
    given
        .into_iter()
        .flat_map(|value| ["--parameter".to_owned(), value])
        .collect()
}

/// Every test has run in one of the two tasks.
#[track_caller]
fn ran_all_tests(said: &str) {
    for test in TESTS {
        let line = format!("ok tests/{test}.sh\n");
        assert_eq!(said.matches(&line).count(), 1, "{line} in\n{said}");
    }
}

#[tokio::test]
async fn it_runs_here_and_the_second_time_finds_its_cache() {
    let home = Home::new();
    let images = images().await;
    let run = || {
        let mut command = home.command(&["run", "--verbose", "--docker-host", &engine()]);
        Ran::of(command.args(&images).arg(EXAMPLE)).good().out
    };
    let first = run();
    ran_all_tests(&first);
    says(
        &first,
        &["making the price list", "Ready to accept connections"],
    );
    let second = run();
    ran_all_tests(&second);
    assert!(!second.contains("making the price list"), "{second}");
    assert_eq!(home.leftovers(), [""; 0].map(Path::new));
}

/// A repository with the example.
fn repository(world: &World) -> PathBuf {
    let repository = world.path("shop");
    let mut copy = Command::new("cp");
    assert!(
        copy.arg("-r")
            .args([Path::new(EXAMPLE), &repository])
            .status()
            .unwrap()
            .success()
    );
    git(&repository, &["init", "--quiet"]);
    git(&repository, &["add", "."]);
    git(&repository, &["commit", "--quiet", "-m", "all"]);
    repository
}

/// A command that talks to the server of this world, as its admin.
fn command(world: &World, arguments: &[&str]) -> Command {
    let mut command = outrider();
    command
        .args(arguments)
        .args(["--url", &world.url(), "--token-file"])
        .arg(world.path("server/admin-token"));
    command
}

#[tokio::test]
async fn it_runs_on_a_server_twice_and_shows_all_that_came_of_it() {
    let (world, _processes) = start(&["--slots", "2"]).await;
    let repository = repository(&world);
    let images = images().await;
    let url = repository.display().to_string();
    let trigger = || {
        let arguments = [
            "pipeline",
            "trigger",
            "--follow",
            "--project",
            "acme/shop",
            "--git",
            &url,
            "--ref",
            "main",
        ];
        Ran::of(command(&world, &arguments).args(&images)).good()
    };
    let (first, second) = (trigger(), trigger());
    says(&first.out, &["2/2 tasks"]);
    says(&second.out, &["2/2 tasks"]);
    let mut logs = Vec::new();
    for pipeline in world
        .admin()
        .pipelines(&Default::default())
        .await
        .unwrap()
        .items
    {
        logs.push(crate::steps::logs(&world, pipeline.id).await);
        let job = world.jobs(pipeline.id).await.remove(0);
        let tests = Ran::of(&mut command(
            &world,
            &["tests", &job.id.to_string(), "--all"],
        ))
        .good();
        for test in TESTS {
            says(&tests.out, &[&format!("✓ shop › tests/{test}.sh")]);
        }
    }
    let [second, first] = &logs[..] else {
        panic!("{logs:?}")
    };
    ran_all_tests(first);
    ran_all_tests(second);
    says(
        first,
        &["making the price list", "Ready to accept connections"],
    );
    assert!(!second.contains("making the price list"), "{second}");
}
