//! `checkout` from servers that want credentials.

use std::path::Path;

use outrider_api::data::SshKey;
use outrider_model::plan::{AddSshKeysStep, CheckoutMethod, CheckoutStep, Step};

use crate::support::git_server::GitServer;
use crate::support::repository::{Host, branch, origin, rig};
use crate::support::ssh_server::SshServer;
use crate::support::tasks::run;

/// `x-access-token:t0k3n` and `anna:t0k3n`, as basic authentication has them.
const WITHOUT_NAME: &str = "eC1hY2Nlc3MtdG9rZW46dDBrM24=";
const WITH_NAME: &str = "YW5uYTp0MGszbg==";

fn served() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    origin(&place.path().join("shop"));
    place
}

/// A runner whose jobs have these variables.
fn host(variables: &[(&str, &str)]) -> Host {
    let mut rig = rig();
    let environment = &mut rig.settings.extra_environment;
    environment.extend(
        variables
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string())),
    );
    Host::of(rig)
}

/// Whether a text is in some file below a directory.
fn is_below(directory: &Path, text: &str) -> bool {
    let mut search = std::process::Command::new("grep");
    search.args(["-r", "-q", "-F", "--", text]).arg(directory);
    search.status().unwrap().success()
}

#[tokio::test]
async fn a_token_is_sent_and_kept_nowhere() {
    let place = served();
    for (variables, password) in [
        (&[("OUTRIDER_GIT_TOKEN", "t0k3n")][..], WITHOUT_NAME),
        (
            &[
                ("OUTRIDER_GIT_TOKEN", "t0k3n"),
                ("OUTRIDER_GIT_USERNAME", "anna"),
            ],
            WITH_NAME,
        ),
    ] {
        let server = GitServer::with(place.path().to_owned(), Some(password), None).await;
        let host = host(variables);
        let script = "! grep -rqF t0k3n .git && ! grep -qF t0k3n ~/.git-credentials";
        for method in [
            CheckoutMethod::Blobless,
            CheckoutMethod::Shallow { depth: 1 },
        ] {
            let step = CheckoutStep {
                method,
                ..CheckoutStep::default()
            };
            let task = host.queue(branch(server.url("shop"), "main"), step, script);
            let log = host.passed(task).await;
            assert!(!log.contains("t0k3n"), "{log}");
        }
        assert!(!is_below(
            host.rig.settings.mirrors.as_ref().unwrap(),
            "t0k3n"
        ));
    }
}

#[tokio::test]
async fn helpers_of_the_user_do_not_get_the_token() {
    let place = served();
    let server = GitServer::with(place.path().to_owned(), Some(WITHOUT_NAME), None).await;
    let kept = place.path().join("kept");
    let helper = format!("store --file={}", kept.display());
    let host = host(&[
        ("OUTRIDER_GIT_TOKEN", "t0k3n"),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "credential.helper"),
        ("GIT_CONFIG_VALUE_0", &helper),
    ]);
    host.passes(branch(server.url("shop"), "main"), "true")
        .await;
    assert!(!kept.exists());
}

#[tokio::test]
async fn a_server_that_wants_credentials_says_which() {
    let place = served();
    let server = GitServer::with(place.path().to_owned(), Some(WITHOUT_NAME), None).await;
    for variables in [&[][..], &[("OUTRIDER_GIT_TOKEN", "wrong")]] {
        let log = host(variables)
            .fails(branch(server.url("shop"), "main"))
            .await;
        assert!(
            log.contains("Set the project variable OUTRIDER_GIT_TOKEN"),
            "{log}"
        );
        assert!(!log.contains("damaged") && !log.contains("wrong"), "{log}");
    }
    let log = host(&[("OUTRIDER_GIT_TOKEN", "t0k3n")])
        .fails(branch(server.url("gone"), "main"))
        .await;
    assert!(log.contains("There is no such repository"), "{log}");
}

#[tokio::test]
async fn a_token_does_not_follow_to_another_host() {
    let place = served();
    let other = GitServer::with(place.path().to_owned(), Some(WITHOUT_NAME), None).await;
    let to = other.url("").trim_end_matches('/').to_owned();
    let server = GitServer::with(place.path().to_owned(), None, Some(to)).await;
    let host = host(&[("OUTRIDER_GIT_TOKEN", "t0k3n")]);
    host.fails(branch(server.url("shop"), "main")).await;
    assert_eq!(other.authorizations(), [""; 0]);
}

/// A runner whose jobs have this agent.
fn with_agent(socket: &Path) -> Host {
    let mut rig = rig();
    let environment = &mut rig.settings.inherited_environment;
    environment.insert("SSH_AUTH_SOCK".to_owned(), socket.display().to_string());
    Host::of(rig)
}

#[tokio::test]
async fn a_key_opens_a_repository_and_a_new_host_is_remembered() {
    let place = served();
    let server = SshServer::start().await;
    let agent = server.agent();
    let host = with_agent(&agent.socket);
    let url = server.url(&place.path().join("shop"));
    for method in [
        CheckoutMethod::Blobless,
        CheckoutMethod::Shallow { depth: 1 },
    ] {
        let step = CheckoutStep {
            method,
            ..CheckoutStep::default()
        };
        let task = host.queue(branch(&url, "main"), step, "cat kept");
        host.passed(task).await;
    }
    let known = host
        .rig
        .settings
        .mirrors
        .as_ref()
        .unwrap()
        .join("known_hosts");
    let known = std::fs::read_to_string(known).unwrap();
    // Those of the well-known code hosts, and this one, once.
    assert_eq!(known.lines().count(), 4, "{known}");
}

#[tokio::test]
async fn keys_of_the_project_open_its_repository() {
    let place = served();
    let server = SshServer::start().await;
    let url = server.url(&place.path().join("shop"));
    let host = Host::new();
    let host_of_key = [None, Some("127.0.0.1")];
    for of in host_of_key {
        let key = server.key(of);
        host.rig
            .server
            .change(|state| state.secrets.ssh_keys = vec![key]);
        let log = host.passes(branch(&url, "main"), "cat kept").await;
        assert!(!log.contains("PRIVATE"), "{log}");
    }
    let elsewhere = server.key(Some("example.com"));
    let change =
        |state: &mut crate::support::server::State| state.secrets.ssh_keys = vec![elsewhere];
    host.rig.server.change(change);
    let log = host.fails(branch(&url, "main")).await;
    assert!(log.contains("takes none of the SSH keys"), "{log}");
    host.end().await;
}

#[tokio::test]
async fn later_steps_have_the_keys_that_they_ask_for_and_no_others() {
    let place = served();
    let server = SshServer::start().await;
    let url = server.url(&place.path().join("shop"));
    let other = server.other_key(None);
    for hosts in [[None, None], [Some("127.0.0.1"), Some("example.com")]] {
        let opens = server.key(hosts[0]);
        let other = SshKey {
            host: hosts[1].map(str::to_owned),
            ..other.clone()
        };
        let host = Host::new();
        let keys = vec![opens.clone(), other.clone()];
        host.rig
            .server
            .change(|state| state.secrets.ssh_keys = keys);
        let add = |key: &SshKey| {
            Step::AddSshKeys(AddSshKeysStep {
                name: None,
                fingerprints: vec![key.fingerprint.clone()],
            })
        };
        let none = "test -z \"${SSH_AUTH_SOCK-}\" && ! ssh-add -l && test ! -e ~/.ssh-lent";
        let one = format!(
            "ssh-add -L | cut -d' ' -f2 >~/held && test $(wc -l <~/held) = 1 && \
             test $(cat ~/held) = {} && ! git ls-remote {url}",
            other.public_key.split(' ').nth(1).unwrap()
        );
        let both = format!(
            "test $(ssh-add -L | wc -l) = 2 && \
             GIT_SSH_COMMAND=\"${{GIT_SSH_COMMAND-ssh}} -o StrictHostKeyChecking=no\" \
             git ls-remote {url}"
        );
        let task = host.queue_steps(
            branch(&url, "main"),
            vec![
                Step::Checkout(CheckoutStep::default()),
                Step::Run(run(none)),
                add(&other),
                Step::Run(run(&one)),
                Step::Checkout(CheckoutStep::default()),
                add(&opens),
                Step::Run(run(&both)),
            ],
        );
        host.passed(task).await;
        host.end().await;
    }
}

#[tokio::test]
async fn a_host_that_has_changed_and_a_key_that_is_not_known_are_refused() {
    let place = served();
    let server = SshServer::start().await;
    let url = server.url(&place.path().join("shop"));
    let log = Host::new().fails(branch(&url, "main")).await;
    assert!(log.contains("takes none of the SSH keys"), "{log}");
    let agent = server.agent();
    let host = with_agent(&agent.socket);
    let mirrors = host.rig.settings.mirrors.clone().unwrap();
    std::fs::create_dir_all(&mirrors).unwrap();
    std::fs::write(mirrors.join("known_hosts"), server.posed()).unwrap();
    let log = host.fails(branch(&url, "main")).await;
    assert!(log.contains("somebody may be in between"), "{log}");
    assert!(log.contains("known_hosts."), "{log}");
}
