//! `outrider run`, twice in one folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::common::outrider;
use crate::support::*;

/// A home of its own, and a folder with a config in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, project: &Path) -> Command {
        let mut command = outrider();
        command
            .args(["run", "--verbose"])
            .arg(project)
            .env("OUTRIDER_FRESH", "false")
            .env("HOME", self.path("home"))
            .env("XDG_CACHE_HOME", self.path("cache"));
        command
    }

    /// Runs the config in a folder; what it printed.
    fn run(&self, name: &str, steps: &Value) -> String {
        let project = self.path(name);
        std::fs::create_dir_all(project.join(".circleci")).unwrap();
        std::fs::create_dir_all(self.path("home")).unwrap();
        let file = project.join(".circleci").join("config.yml");
        std::fs::write(file, one(steps.clone())).unwrap();
        said(self.command(&project).output().unwrap())
    }
}

fn said(output: Output) -> String {
    let (out, err) = (output.stdout, output.stderr);
    let said = String::from_utf8_lossy(&[out, err].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

fn restored_and_saved() -> Value {
    json!([
        restore("k"),
        show(),
        run("mkdir -p kept && echo good > kept/file"),
        save("k", "kept"),
    ])
}

#[test]
fn the_second_run_of_a_folder_finds_the_caches_of_the_first() {
    let folder = Folder::new();
    says(
        &folder.run("one", &restored_and_saved()),
        &["found: nothing"],
    );
    says(&folder.run("one", &restored_and_saved()), &["found: good"]);
    // Another folder is another project.
    says(
        &folder.run("two", &restored_and_saved()),
        &["found: nothing"],
    );
}

#[test]
fn what_an_earlier_run_kept_and_is_broken_hinders_no_run() {
    let folder = Folder::new();
    folder.run("one", &restored_and_saved());
    let blobs = objects(&folder.path("cache"));
    assert_eq!(blobs.len(), 2);
    for blob in blobs {
        std::fs::write(blob, "noise").unwrap();
    }
    // A run meets one damaged blob: first the manifest, then the pack.
    for _ in 0..2 {
        let log = folder.run("one", &restored_and_saved());
        says(
            &log,
            &["No cache is restored, as after a miss", "found: nothing"],
        );
    }
    says(&folder.run("one", &restored_and_saved()), &["found: good"]);
}

#[test]
fn the_example_runs_twice_and_compiles_its_library_once() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path("home")).unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/words");
    let run = || said(folder.command(&example).output().unwrap());
    says(&run(), &["compiling strmap"]);
    says(&run(), &["is compiled already"]);
}
