//! The example whose jobs hand data to each other, as its README says.

mod common;

use std::path::Path;

use common::outrider;

const WORDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/words");

/// What a run of the example prints.
fn run(cache: &Path, artifacts: &Path) -> String {
    let output = outrider()
        .args(["run", WORDS, "--verbose", "--artifacts"])
        .arg(artifacts)
        .env("OUTRIDER_FRESH", "false")
        .env("XDG_CACHE_HOME", cache)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let problems = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{problems}");
    said
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
    let place = tempfile::tempdir().unwrap();
    let artifacts = place.path().join("artifacts");
    let first = run(place.path(), &artifacts);
    assert!(first.contains("No cache is found for"), "{first}");
    assert!(first.contains("compiling strmap"), "{first}");
    assert!(first.contains("splitting by name"), "{first}");

    let second = run(place.path(), &artifacts);
    assert!(
        second.contains("Restoring the cache strmap-v1-"),
        "{second}"
    );
    assert!(second.contains("is compiled already"), "{second}");
    assert!(!second.contains("splitting by name"), "{second}");

    let all = std::fs::read_dir(Path::new(WORDS).join("tests/cases")).unwrap();
    assert_eq!(tests(&first).len(), all.count(), "{first}");
    assert_eq!(tests(&first), tests(&second));
    assert!(artifacts.join("package/dist/SHA256SUMS").exists());
    for index in 0..4 {
        let report = artifacts.join(format!("test/{index}/test-reports/junit.xml"));
        assert!(report.exists(), "{}", report.display());
    }
}
