//! `checkout` from a directory of the host, with the process executor and a real git.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use outrider_model::Outcome;
use outrider_model::plan::{CheckoutStep, Source, Step, Trigger};

use crate::support::repository::{Host, git, rig, write};
use crate::support::rig::{Rig, soon};
use crate::support::tasks::{run, task_of};

/// A repository with a commit, and changes on top of it.
fn repository(directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    git(directory, &["init", "--quiet"]);
    write(directory, "kept", "committed");
    write(directory, "changed", "committed");
    write(directory, "deleted", "committed");
    write(directory, "sub/inner", "committed");
    write(directory, ".gitignore", "ignored\n");
    git(directory, &["add", "."]);
    git(directory, &["commit", "--quiet", "-m", "one"]);
    write(directory, "changed", "uncommitted");
    write(directory, "new file\twith'odd\"name", "new");
    write(directory, "ignored", "secret");
    write(directory, "sub/new", "new");
    std::fs::remove_file(directory.join("deleted")).unwrap();
    write(directory, "tool", "#!/bin/sh\n");
    std::fs::set_permissions(directory.join("tool"), PermissionsExt::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("kept", directory.join("link")).unwrap();
}

/// Runs `checkout` and then a script in the working directory.
async fn check_out(
    rig: Rig,
    source: Source,
    step: CheckoutStep,
    script: &str,
) -> (Outcome, String) {
    let trigger = Trigger {
        source,
        ..Trigger::default()
    };
    let host = Host::of(rig);
    let task = host.queue(trigger, step, script);
    let ended = host.ended(task).await;
    host.end().await;
    ended
}

fn directory(path: &Path, committed: bool) -> Source {
    Source::Directory {
        path: path.to_str().unwrap().to_owned(),
        committed,
    }
}

#[tokio::test]
async fn a_working_tree_is_copied_as_it_is() {
    let rig = rig();
    let source = rig.directory.path().join("source");
    repository(&source);
    let script = "test \"$(cat kept)\" = committed
        test \"$(cat changed)\" = uncommitted
        test ! -e deleted
        test ! -e ignored
        test -x tool
        test -L link
        test \"$(cat sub/new)\" = new
        test -e \"$(printf 'new file\\twith')'odd\\\"name\"
        git log --format='commit: %s'
        git status --short | sort";
    let (outcome, log) = check_out(
        rig,
        directory(&source, false),
        CheckoutStep::default(),
        script,
    )
    .await;
    assert_eq!(outcome, Outcome::Passed, "{log}");
    assert!(
        log.starts_with("Copying the working tree of ") && log.contains("8 files copied"),
        "{log}"
    );
    assert!(
        log.contains("commit: one\n D deleted\n M changed\n??"),
        "{log}"
    );
}

#[tokio::test]
async fn head_is_taken_where_that_is_asked_for() {
    let rig = rig();
    let source = rig.directory.path().join("source");
    repository(&source);
    let script = "test \"$(cat changed)\" = committed
        test -e deleted
        test ! -e tool
        test -z \"$(git status --short)\"
        git branch --show-current";
    let (outcome, log) = check_out(
        rig,
        directory(&source, true),
        CheckoutStep::default(),
        script,
    )
    .await;
    assert_eq!(outcome, Outcome::Passed, "{log}");
    assert!(log.ends_with("main\n"), "{log}");
}

#[tokio::test]
async fn a_directory_inside_a_repository_is_taken_alone() {
    for (committed, script) in [
        (
            false,
            "test -e inner; test -e new; test ! -e .git; test ! -e kept",
        ),
        (true, "test \"$(ls -A)\" = inner"),
    ] {
        let rig = rig();
        let source = rig.directory.path().join("source");
        repository(&source);
        let source = directory(&source.join("sub"), committed);
        let (outcome, log) = check_out(rig, source, CheckoutStep::default(), script).await;
        assert_eq!(outcome, Outcome::Passed, "{log}");
    }
}

#[tokio::test]
async fn without_git_everything_is_copied_and_that_is_said() {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("source");
    write(&source, "a", "a");
    write(&source, "ignored", "b");
    write(&source, "deep/er/c", "c");
    let script = "cat a ignored deep/er/c";
    let (outcome, log) = check_out(
        rig(),
        directory(&source, false),
        CheckoutStep::default(),
        script,
    )
    .await;
    assert_eq!(outcome, Outcome::Passed, "{log}");
    assert!(
        log.contains("is not in a git repository: copying everything in it"),
        "{log}"
    );
    assert!(log.ends_with("3 files copied\nabc"), "{log}");
    let (outcome, log) = check_out(
        rig(),
        directory(&source, true),
        CheckoutStep::default(),
        "true",
    )
    .await;
    assert_eq!(outcome, Outcome::Failed);
    assert!(log.contains("Run without --committed"), "{log}");
}

#[tokio::test]
async fn the_runners_own_directory_below_the_source_is_not_copied_into_itself() {
    let rig = rig();
    let source = rig.directory.path().to_owned();
    let source = source.as_path();
    write(source, "a", "a");
    let (outcome, log) = check_out(
        rig,
        directory(source, false),
        CheckoutStep::default(),
        "cat a; test ! -e work/x",
    )
    .await;
    assert_eq!(outcome, Outcome::Passed, "{log}");
}

#[tokio::test]
async fn repositories_inside_a_repository_come_along() {
    let rig = rig();
    let source = rig.directory.path().join("source");
    repository(&source);
    repository(&source.join("nested"));
    let script = "test -e nested/changed; test ! -e nested/ignored; test ! -e nested/.git";
    let (outcome, log) = check_out(
        rig,
        directory(&source, false),
        CheckoutStep::default(),
        script,
    )
    .await;
    assert_eq!(outcome, Outcome::Passed, "{log}");
}

#[tokio::test]
async fn a_repository_without_a_commit_is_copied() {
    let rig = rig();
    let source = rig.directory.path().join("source");
    std::fs::create_dir_all(&source).unwrap();
    git(&source, &["init", "--quiet"]);
    write(&source, "a", "a");
    let (outcome, log) = check_out(
        rig,
        directory(&source, false),
        CheckoutStep::default(),
        "cat a; test -e .git",
    )
    .await;
    assert_eq!(outcome, Outcome::Passed, "{log}");
}

#[tokio::test]
async fn what_cannot_be_checked_out_is_told() {
    let gone = rig().directory.path().join("gone");
    for (source, part) in [
        (Source::None, "triggered without code"),
        (directory(&gone, false), "there is no directory"),
        (
            Source::Git {
                url: gone.display().to_string(),
                revision: None,
                reference: None,
            },
            "does not appear to be a git repository",
        ),
    ] {
        let (outcome, log) = check_out(rig(), source, CheckoutStep::default(), "true").await;
        assert_eq!(outcome, Outcome::Failed);
        assert!(log.contains(part), "{log}");
    }
}

#[tokio::test]
async fn exports_carry_over_to_the_next_step() {
    let rig = rig();
    let life = rig.start();
    let steps = [
        "echo 'export NAME=carried' >> \"$BASH_ENV\"",
        "echo \"got $NAME\"; pwd",
    ];
    let id = rig
        .server
        .queue(task_of(steps.map(|step| Step::Run(run(step))).to_vec()));
    let finished = soon(rig.server.finished(id)).await;
    assert_eq!(finished.outcome, Outcome::Passed, "{}", rig.server.log(id));
    assert!(
        rig.server.log(id).starts_with("got carried\n"),
        "{}",
        rig.server.log(id)
    );
    rig.end(life).await;
}
