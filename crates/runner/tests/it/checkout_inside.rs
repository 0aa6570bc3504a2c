//! `checkout` where the runner does not see the job's files: git runs on the host, and the tree is
//! sent inside.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use outrider_model::plan::{CheckoutMethod, CheckoutStep, Source, Step, Trigger};
use outrider_model::{Outcome, TaskId};

use crate::support::git_server::{Fault, GitServer};
use crate::support::hidden::{left_on_host, rig};
use crate::support::repository::{Host, branch, commit, git, origin, write};
use crate::support::rig::soon;
use crate::support::ssh_server::SshServer;
use crate::support::tasks::{run, task_of};

/// `x-access-token:t0k3n`, as basic authentication has it.
const TOKEN: &str = "eC1hY2Nlc3MtdG9rZW46dDBrM24=";

/// A repository with all that a tree can have in it.
fn all_kinds(directory: &Path) {
    origin(directory);
    write(directory, "tool", "#!/bin/sh\n");
    std::fs::set_permissions(directory.join("tool"), PermissionsExt::from_mode(0o755)).unwrap();
    write(directory, "two\nlines", "odd");
    write(directory, &format!("{0}/{0}", "long".repeat(50)), "deep");
    let name = OsStr::from_bytes(b"\xff\xfe name");
    std::fs::write(directory.join(name), "odd").unwrap();
    symlink("/nowhere", directory.join("absolute")).unwrap();
    symlink("a//./b/", directory.join("dangling")).unwrap();
    symlink("x".repeat(200), directory.join("far")).unwrap();
    git(directory, &["add", "."]);
    git(directory, &["commit", "--quiet", "-m", "all kinds"]);
    git(directory, &["branch", "other"]);
    git(directory, &["tag", "v1"]);
}

#[tokio::test]
async fn a_repository_arrives_whole_and_git_can_go_on_with_it() {
    let place = tempfile::tempdir().unwrap();
    let repository = place.path().join("origin");
    all_kinds(&repository);
    let url = format!("file://{}", repository.display());
    // Plumbing first: it takes files for changed that `status` would find to be the same.
    let script = "git diff-index --quiet HEAD
        test -z \"$(git status --porcelain)\"
        git fsck --strict
        git fetch --quiet origin
        git rev-parse origin/other v1
        test \"$(git branch --show-current)\" = main
        test ! -e .git/objects/info/alternates
        test -x tool && test ! -x kept
        test \"$(readlink dangling)\" = a//./b/
        test -z \"$(git for-each-ref refs/outrider)$(ls -A .git | grep outrider)\"
        test -O .git/config
        echo \"origin $(git remote get-url origin)\"";
    let host = Host::of(rig());
    for method in [
        CheckoutMethod::Blobless,
        CheckoutMethod::Shallow { depth: 1 },
    ] {
        let step = CheckoutStep {
            method,
            ..CheckoutStep::default()
        };
        let shallow = script.replace("origin/other v1", "HEAD");
        let script = match method {
            CheckoutMethod::Shallow { .. } => &shallow,
            _ => script,
        };
        let task = host.queue(branch(&url, "main"), step, script);
        let log = host.passed(task).await;
        assert!(log.ends_with(&format!("origin {url}\n")), "{log}");
        assert!(log.contains("Branch main is at "), "{log}");
    }
    assert_eq!(left_on_host(&host.rig), 0);
    host.end().await;
}

#[tokio::test]
async fn a_repository_that_is_there_becomes_what_git_would_make_of_it() {
    let place = tempfile::tempdir().unwrap();
    let repository = place.path().join("origin");
    origin(&repository);
    for (path, content) in [("gone/deep", "x"), ("was-file", "x"), ("was-folder/x", "x")] {
        commit(&repository, path, content);
    }
    git(&repository, &["branch", "old"]);
    git(
        &repository,
        &["rm", "-rq", "gone", "was-file", "was-folder"],
    );
    commit(&repository, "was-file/now", "new");
    symlink("/etc", repository.join("was-folder")).unwrap();
    git(&repository, &["add", "."]);
    git(&repository, &["commit", "-qm", "other kinds"]);
    let url = repository.to_str().unwrap();
    let clone = format!(
        "git clone -q -b old {url} . && echo mine >untracked && echo mine >was-folder/mine
        mkdir kept.d && echo mine >kept.d/mine && echo changed >kept && git config a.b c"
    );
    let script = "test \"$(cat kept untracked kept.d/mine)\" = \"$(printf 'committedmine\\nmine')\"
        test ! -e gone && test -f was-file/now && test -L was-folder && test -e /etc/passwd
        test \"$(git status --porcelain)\" = \"$(printf '?? kept.d/\\n?? untracked')\"
        test -z \"$(git config a.b)\"";
    let host = Host::of(rig());
    for before in ["true", "git update-index --index-version 4"] {
        let steps = vec![
            Step::Run(run(&format!("{clone}\n{before}"))),
            Step::Checkout(CheckoutStep::default()),
            Step::Run(run(script)),
        ];
        let log = host
            .passed(host.queue_steps(branch(url, "main"), steps))
            .await;
        assert!(!log.contains("cannot be read"), "{log}");
    }
    // Without an index nobody can tell.
    let steps = vec![
        Step::Run(run(&format!("{clone}\necho broken >.git/index"))),
        Step::Checkout(CheckoutStep::default()),
        Step::Run(run("test -e gone/deep && test -f was-file/now")),
    ];
    let log = host
        .passed(host.queue_steps(branch(url, "main"), steps))
        .await;
    assert!(log.contains("cannot be read"), "{log}");
    host.end().await;
}

#[tokio::test]
async fn what_is_not_empty_or_cannot_be_written_is_left_alone_and_nothing_is_fetched() {
    let place = tempfile::tempdir().unwrap();
    origin(&place.path().join("shop"));
    let url = place.path().join("shop").display().to_string();
    let host = Host::of(rig());
    let at = |path: &str| {
        let step = CheckoutStep {
            path: Some(path.to_owned()),
            ..CheckoutStep::default()
        };
        let full = "mkdir full && touch full/file";
        vec![Step::Run(run(full)), Step::Checkout(step)]
    };
    for (path, problem) in [
        ("full", "is not empty and not a git repository"),
        ("full/file", "cannot write "),
        ("/proc/nobody", "cannot write /proc/nobody"),
    ] {
        let task = host.queue_steps(branch(&url, "main"), at(path));
        let log = host.failed(task).await;
        assert!(log.contains(problem), "{log}");
        assert!(!log.contains("mirror"), "{log}");
    }
    host.end().await;
}

#[tokio::test]
async fn variables_of_a_job_run_nothing_on_the_host() {
    let place = tempfile::tempdir().unwrap();
    origin(&place.path().join("shop"));
    let server = SshServer::start().await;
    let ssh = server.url(&place.path().join("shop"));
    let local = place.path().join("shop").display().to_string();
    let http = GitServer::start(place.path().to_owned()).await;
    let touched = place.path().join("touched");
    let touch = format!("touch {}", touched.display());
    // Programs that they could lead to.
    let programs = place.path().join("programs");
    for name in ["git", "ssh", "sh", "git-remote-http", "ld.so"] {
        write(&programs, name, &format!("#!/bin/sh\n{touch}\n"));
        std::fs::set_permissions(programs.join(name), PermissionsExt::from_mode(0o755)).unwrap();
    }
    write(
        &programs,
        ".gitconfig",
        &format!("[core]\nsshCommand = {touch}\nfsmonitor = {touch}\n"),
    );
    let programs = programs.to_str().unwrap();
    let hostile = [
        ("PATH", programs),
        ("HOME", programs),
        ("XDG_CONFIG_HOME", programs),
        ("LD_PRELOAD", programs),
        ("BASH_ENV", &format!("{programs}/sh")),
        ("ENV", &format!("{programs}/sh")),
        ("GIT_EXEC_PATH", programs),
        ("GIT_SSH", &format!("{programs}/ssh")),
        ("GIT_SSH_COMMAND", &touch),
        ("GIT_PROXY_COMMAND", &touch),
        ("GIT_ASKPASS", &format!("{programs}/ssh")),
        ("GIT_TEMPLATE_DIR", programs),
        ("GIT_CONFIG_GLOBAL", &format!("{programs}/.gitconfig")),
        ("GIT_ALLOW_PROTOCOL", "ext"),
        ("GIT_CONFIG_COUNT", "2"),
        ("GIT_CONFIG_KEY_0", "core.fsmonitor"),
        ("GIT_CONFIG_VALUE_0", &touch),
        ("GIT_CONFIG_KEY_1", "uploadpack.packObjectsHook"),
        ("GIT_CONFIG_VALUE_1", &touch),
        ("GIT_TRACE", touched.to_str().unwrap()),
        ("OUTRIDER_GIT_TOKEN", "$(touch x); `touch y`"),
    ];
    let rig = rig();
    rig.server
        .change(|state| state.secrets.ssh_keys = vec![server.key(None)]);
    let host = Host::of(rig);
    for url in [ssh, local, http.url("shop")] {
        let mut task = task_of(vec![Step::Checkout(CheckoutStep::default())]);
        task.payload.trigger = branch(url, "main");
        task.payload.secrets = true;
        let variables = hostile.map(|(name, value)| (name.to_owned(), value.to_owned()));
        task.payload.spec.environment = variables.into_iter().collect();
        let log = host.passed(host.rig.server.queue(task)).await;
        assert!(!touched.exists(), "{log}");
    }
    let ext = branch(format!("ext::{touch}"), "main");
    let log = host.fails(ext).await;
    assert!(log.contains("transport 'ext' not allowed"), "{log}");
    assert!(!touched.exists(), "{log}");
    host.end().await;
}

#[tokio::test]
async fn a_token_of_the_job_opens_a_repository_and_stays_on_the_host() {
    let place = tempfile::tempdir().unwrap();
    origin(&place.path().join("shop"));
    let server = GitServer::with(place.path().to_owned(), Some(TOKEN), None).await;
    let host = Host::of(rig());
    for (token, passes) in [("t0k3n", true), ("wrong", false)] {
        let look = run("! grep -rqF t0k3n . && cat kept");
        let mut task = task_of(vec![
            Step::Checkout(CheckoutStep::default()),
            Step::Run(look),
        ]);
        task.payload.trigger = branch(server.url("shop"), "main");
        let variable = ("OUTRIDER_GIT_TOKEN".to_owned(), token.to_owned());
        task.payload.spec.environment = [variable].into_iter().collect();
        let (outcome, log) = host.ended(host.rig.server.queue(task)).await;
        assert_eq!(outcome == Outcome::Passed, passes, "{log}");
        assert_eq!(log.contains("wants other credentials"), !passes, "{log}");
    }
    host.end().await;
}

#[tokio::test]
async fn keys_of_the_project_are_lent_on_the_host_only() {
    let place = tempfile::tempdir().unwrap();
    origin(&place.path().join("shop"));
    let server = SshServer::start().await;
    let url = server.url(&place.path().join("shop"));
    let host = Host::of(rig());
    for of in [None, Some("127.0.0.1")] {
        let key = server.key(of);
        host.rig
            .server
            .change(|state| state.secrets.ssh_keys = vec![key]);
        let script = "test -z \"${SSH_AUTH_SOCK-}${GIT_SSH_COMMAND-}\" && test ! -e ~/.ssh-lent";
        let log = host.passes(branch(&url, "main"), script).await;
        assert!(!log.contains("PRIVATE"), "{log}");
    }
    host.end().await;
}

fn directory(path: &Path, committed: bool) -> Trigger {
    Trigger {
        source: Source::Directory {
            path: path.to_str().unwrap().to_owned(),
            committed,
        },
        ..Trigger::default()
    }
}

#[tokio::test]
async fn a_working_tree_gets_inside_and_borrows_nothing_from_the_host() {
    let place = tempfile::tempdir().unwrap();
    let lender = place.path().join("lender");
    all_kinds(&lender);
    // It borrows itself.
    let source = place.path().join("source");
    let clone = ["clone", "-q", "--shared", lender.to_str().unwrap()];
    git(
        place.path(),
        &[&clone[..], &[source.to_str().unwrap()]].concat(),
    );
    write(&source, "kept", "uncommitted");
    write(&source, "new", "new");
    let script = "test ! -e .git/objects/info/alternates && git fsck --strict
        git log --format='commit: %s' -1
        test -x tool && test -L absolute && test \"$(cat 'two\nlines')\" = odd
        git status --porcelain; cat kept";
    let host = Host::of(rig());
    let log = host.passes(directory(&source, false), script).await;
    assert!(log.starts_with("Copying the working tree of "), "{log}");
    let state = "commit: all kinds\n M kept\n?? new\nuncommitted";
    assert!(log.ends_with(state), "{log}");
    let log = host.passes(directory(&source, true), script).await;
    assert!(log.starts_with("Checking out HEAD of "), "{log}");
    assert!(log.ends_with("commit: all kinds\ncommitted"), "{log}");
    let script = "test -z \"$(ls -A | grep -v outrider)\"";
    let empty = place.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    host.passes(directory(&empty, false), script).await;
    let steps = vec![
        Step::Run(run("git init -q")),
        Step::Checkout(CheckoutStep::default()),
    ];
    let log = host
        .failed(host.queue_steps(directory(&source, false), steps))
        .await;
    assert!(log.contains("is not empty.\n"), "{log}");
    host.end().await;
}

#[tokio::test]
async fn a_cancel_ends_git_on_the_host() {
    let place = tempfile::tempdir().unwrap();
    origin(&place.path().join("shop"));
    let noise: String = (0..40_000)
        .map(|n| format!("{}\n", n * 7919 % 65_537))
        .collect();
    commit(&place.path().join("shop"), "large", &noise);
    let server = GitServer::start(place.path().to_owned()).await;
    server.set_fault(Fault::Hold);
    let host = Host::of(rig());
    let task = host.queue(
        branch(server.url("shop"), "main"),
        CheckoutStep::default(),
        "true",
    );
    soon(server.sending(1)).await;
    assert_eq!(left_on_host(&host.rig), 1);
    cancel(&host, task).await;
    assert_eq!(left_on_host(&host.rig), 0);
    server.set_fault(Fault::None);
    host.passes(branch(server.url("shop"), "main"), "test -s large")
        .await;
    host.end().await;
}

async fn cancel(host: &Host, task: TaskId) {
    host.rig
        .server
        .change(|state| state.tasks.get_mut(&task).unwrap().stop = true);
    let (outcome, log) = host.ended(task).await;
    assert_eq!(outcome, Outcome::Canceled, "{log}");
}
