//! `checkout` of a git repository, by way of a mirror and without one.

use std::path::Path;

use outrider_model::plan::{CheckoutMethod, CheckoutStep, Source, Step, Trigger};

use crate::support::repository::{Host, branch, commit, git, origin, rig, write};
use crate::support::tasks::{run, task_of};

/// A runner with mirrors, and one without.
fn hosts() -> [Host; 2] {
    let mut without = rig();
    without.settings.mirrors = None;
    [Host::new(), Host::of(without)]
}

fn at(path: &str) -> CheckoutStep {
    CheckoutStep {
        path: Some(path.to_owned()),
        ..CheckoutStep::default()
    }
}

fn trigger(url: &str, revision: Option<&str>, reference: Option<&str>) -> Trigger {
    Trigger {
        source: Source::Git {
            url: url.to_owned(),
            revision: revision.map(str::to_owned),
            reference: reference.map(str::to_owned),
        },
        ..Trigger::default()
    }
}

#[tokio::test]
async fn every_method_finds_the_commit_by_every_name() {
    let place = tempfile::tempdir().unwrap();
    let repository = place.path().join("o'rigin $(x)");
    origin(&repository);
    let first = git(&repository, &["rev-parse", "HEAD"]);
    git(&repository, &["update-ref", "refs/pull/5/head", "HEAD"]);
    let second = commit(&repository, "kept", "changed");
    git(&repository, &["tag", "v1"]);
    let url = format!("file://{}", repository.display());
    let path = repository.display().to_string();
    let methods = [
        CheckoutMethod::Blobless,
        CheckoutMethod::Full,
        CheckoutMethod::Shallow { depth: 1 },
    ];
    let names = [
        (&url, Some(&first), Some("main"), &first),
        (&url, None, Some("main"), &second),
        (&path, None, Some("refs/heads/main"), &second),
        (&url, None, Some("v1"), &second),
        (&url, None, Some("refs/pull/5/head"), &first),
        (&path, Some(&first), None, &first),
        (&path, None, None, &second),
    ];
    for host in hosts() {
        for method in methods {
            for (url, revision, reference, expected) in names {
                let step = CheckoutStep {
                    method,
                    ..CheckoutStep::default()
                };
                let trigger = trigger(url, revision.map(String::as_str), reference);
                let script = "git rev-parse HEAD; git status --short; git config gc.auto";
                let log = host.passed(host.queue(trigger, step, script)).await;
                assert!(log.ends_with(&format!("{expected}\n0\n")), "{log}");
            }
        }
    }
}

#[tokio::test]
async fn a_clone_has_what_one_at_circleci_has() {
    let place = tempfile::tempdir().unwrap();
    let repository = place.path().join("origin");
    origin(&repository);
    let inner = place.path().join("inner");
    origin(&inner);
    git(&repository, &["branch", "other"]);
    git(&repository, &["tag", "v1"]);
    let add = [
        "submodule",
        "add",
        "--quiet",
        inner.to_str().unwrap(),
        "inner",
    ];
    let add = [&["-c", "protocol.file.allow=always"], &add[..]].concat();
    git(&repository, &add);
    git(&repository, &["commit", "--quiet", "-m", "submodule"]);
    let script = "git rev-parse --verify origin/other
        git rev-parse --verify v1
        test \"$(git branch --show-current)\" = main
        test -z \"$(ls -A inner)\"
        test -z \"$(git for-each-ref refs/outrider)\"
        test -z \"$(ls .git | grep outrider)\"
        echo \"origin $(git remote get-url origin)\"";
    for host in hosts() {
        let url = repository.to_str().unwrap();
        let log = host.passes(branch(url, "main"), script).await;
        assert!(log.ends_with(&format!("origin {url}\n")), "{log}");
        let tag = Trigger {
            branch: None,
            tag: Some("v1".to_owned()),
            ..branch(url, "v1")
        };
        let script = "test -z \"$(git branch --show-current)\"";
        let log = host.passes(tag, script).await;
        assert!(log.contains("HEAD is at "), "{log}");
    }
}

#[tokio::test]
async fn a_repository_that_is_there_is_brought_to_the_commit() {
    let place = tempfile::tempdir().unwrap();
    let repository = place.path().join("origin");
    origin(&repository);
    let url = repository.to_str().unwrap();
    for host in hosts() {
        let elsewhere = "git remote set-url origin /nowhere
            echo changed >kept
            echo mine >untracked
            git -c user.name=T -c user.email=t@example.com commit -qam own";
        let script = "test \"$(cat kept)\" = committed
            test \"$(cat untracked)\" = mine
            git remote get-url origin
            git branch --show-current";
        let checkout = || Step::Checkout(CheckoutStep::default());
        let steps = vec![
            checkout(),
            Step::Run(run(elsewhere)),
            checkout(),
            Step::Run(run(script)),
        ];
        let log = host
            .passed(host.queue_steps(branch(url, "main"), steps))
            .await;
        assert!(log.contains("into the repository in "), "{log}");
        assert!(log.ends_with(&format!("{url}\nmain\n")), "{log}");
    }
}

#[tokio::test]
async fn files_in_the_way_are_an_error() {
    let place = tempfile::tempdir().unwrap();
    let repository = place.path().join("origin");
    origin(&repository);
    for host in hosts() {
        let steps = vec![
            Step::Run(run("touch .hidden")),
            Step::Checkout(CheckoutStep::default()),
        ];
        let trigger = branch(repository.to_str().unwrap(), "main");
        let log = host.failed(host.queue_steps(trigger, steps)).await;
        assert!(
            log.contains("is not empty and not a git repository"),
            "{log}"
        );
    }
}

#[tokio::test]
async fn code_goes_where_the_path_says() {
    let place = tempfile::tempdir().unwrap();
    let repository = place.path().join("origin");
    origin(&repository);
    let absolute = place.path().join("a b/it's \"$HOME\"\n-x");
    let paths = [
        (".", "kept"),
        ("~", "../kept"),
        ("~/-deep/er", "../-deep/er/kept"),
        ("in here", "in here/kept"),
        (absolute.to_str().unwrap(), absolute.to_str().unwrap()),
    ];
    for host in hosts() {
        for (path, expected) in paths {
            let trigger = branch(repository.to_str().unwrap(), "main");
            let quoted = expected.replace('\'', "'\\''");
            let script = format!("test -e '{quoted}'");
            host.passed(host.queue(trigger, at(path), &script)).await;
            assert_eq!(path == expected, absolute.join("kept").exists(), "{path}");
        }
        std::fs::remove_dir_all(&absolute).unwrap();
    }
}

#[tokio::test]
async fn a_relative_working_directory_is_where_the_code_goes() {
    let place = tempfile::tempdir().unwrap();
    origin(place.path());
    let trigger = branch(place.path().to_str().unwrap(), "main");
    let checkout = Step::Checkout(CheckoutStep::default());
    let mut work = task_of(vec![checkout, Step::Run(run("cat kept"))]);
    work.payload.trigger = trigger;
    work.payload.spec.working_directory = "code".to_owned();
    let host = Host::new();
    host.passed(host.rig.server.queue(work)).await;
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let place = tempfile::tempdir().unwrap();
    let repository = place.path().join("origin");
    origin(&repository);
    let url = format!("file://{}", repository.display());
    let gone = place.path().join("gone").display().to_string();
    let unknown = "f".repeat(40);
    for host in hosts() {
        for (trigger, part) in [
            (
                trigger(&url, Some(&unknown), Some("main")),
                "There is no commit ffff",
            ),
            (
                trigger(&url, None, Some("gone")),
                "There is no branch, tag or ref gone",
            ),
            (
                trigger(&url, None, Some("refs/pull/9/head")),
                "no branch, tag or ref refs/pull/9",
            ),
            (
                trigger(&url, None, Some("--upload-pack=x")),
                "is not a branch, a tag or a ref",
            ),
            (trigger(&url, Some("--help"), None), "is not a commit"),
            (
                trigger("--upload-pack=x", None, None),
                "is not the URL of a repository",
            ),
            (trigger(&gone, None, None), "There is no such repository"),
            (
                trigger("ext::sh -c true", None, None),
                "transport 'ext' not allowed",
            ),
        ] {
            let log = host.fails(trigger).await;
            assert!(log.contains(part), "{log}");
        }
    }
}

#[tokio::test]
async fn a_commit_whose_branch_is_gone_is_found_by_its_name() {
    let place = tempfile::tempdir().unwrap();
    let repository = place.path().join("origin");
    origin(&repository);
    git(&repository, &["checkout", "--quiet", "-b", "gone"]);
    let lost = commit(&repository, "kept", "lost");
    git(&repository, &["checkout", "--quiet", "main"]);
    git(&repository, &["branch", "--quiet", "-D", "gone"]);
    let url = format!("file://{}", repository.display());
    for host in hosts() {
        let trigger = trigger(&url, Some(&lost), Some("gone"));
        host.passes(trigger, "test $(cat kept) = lost").await;
    }
}

/// Runs in hooks of the user's template and of repositories.
fn hook(directory: &Path, name: &str, marker: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let script = format!("#!/bin/sh\ntouch '{}'\n", marker.display());
    write(directory, &format!("hooks/{name}"), &script);
    let path = directory.join("hooks").join(name);
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_mirror_runs_no_hooks() {
    let place = tempfile::tempdir().unwrap();
    let repository = place.path().join("origin");
    origin(&repository);
    let marker = place.path().join("marker");
    hook(
        &place.path().join("template"),
        "reference-transaction",
        &marker,
    );
    let mut rig = rig();
    let template = place.path().join("template").display().to_string();
    for (name, value) in [
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "init.templateDir"),
        ("GIT_CONFIG_VALUE_0", &template),
    ] {
        let environment = &mut rig.settings.extra_environment;
        environment.insert(name.to_owned(), value.to_owned());
    }
    let mirrors = rig.settings.mirrors.clone().unwrap();
    let trigger = branch(repository.to_str().unwrap(), "main");
    let host = Host::of(rig);
    host.passes(trigger, "test -e .git/hooks").await;
    let mirror = std::fs::read_dir(mirrors).unwrap().flatten();
    let mut mirror = mirror.map(|item| item.path()).filter(|path| path.is_dir());
    assert!(!mirror.next().unwrap().join("hooks").exists());
}
