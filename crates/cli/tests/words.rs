//! The example whose jobs hand data to each other, as its README says.

#[expect(dead_code, reason = "the other tests use the rest")]
mod support;

use std::path::Path;

use support::Home;

const WORDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/words");

/// What a run of the example prints.
fn run(home: &Home) -> String {
    let ran = home.run(&["run", WORDS, "--verbose", "--artifacts", "artifacts"]);
    ran.good().out
}

/// The tests that each task of a run has run.
fn tests(said: &str) -> Vec<&str> {
    let ran = said.lines().filter_map(|line| line.strip_prefix("ok "));
    let names = ran.filter_map(|line| line.split_whitespace().next());
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names
}

#[test]
fn the_second_run_builds_on_the_first() {
    let home = Home::new();
    let first = run(&home);
    assert!(first.contains("No cache is found for"), "{first}");
    assert!(first.contains("compiling strmap"), "{first}");
    assert!(first.contains("splitting by name"), "{first}");

    let second = run(&home);
    assert!(
        second.contains("Restoring the cache strmap-v1-"),
        "{second}"
    );
    assert!(second.contains("is compiled already"), "{second}");
    assert!(!second.contains("splitting by name"), "{second}");

    let all = std::fs::read_dir(Path::new(WORDS).join("tests/cases")).unwrap();
    assert_eq!(tests(&first).len(), all.count(), "{first}");
    assert_eq!(tests(&first), tests(&second));
    let artifacts = home.path("project/artifacts");
    assert!(artifacts.join("package/dist/SHA256SUMS").exists());
    for index in 0..4 {
        let report = artifacts.join(format!("test/{index}/test-reports/junit.xml"));
        assert!(report.exists(), "{}", report.display());
    }
}
