//! The config of `ssh` where keys are for certain hosts: each of those is offered to its host only.

use std::collections::BTreeSet;
use std::path::Path;

use outrider_api::data::SshKey;
use outrider_executor::{Environment, ExecutorError};

use crate::task_files;

/// Where the config is, in the folder of the agent.
pub const FILE: &str = "config";

/// The folder of an agent, below `~`.
pub struct Folder<'a> {
    pub environment: &'a dyn Environment,
    pub name: &'a str,
}

impl Folder<'_> {
    /// Writes the public keys of `added`, some of `all`, and a config that names these and those of
    /// earlier calls. Says whether any of them is for a host: only then is there a config. The
    /// private keys are with the agent.
    pub async fn write(&self, all: &[SshKey], added: &[&SshKey]) -> Result<bool, ExecutorError> {
        let mut held = Vec::new();
        for (number, key) in all.iter().enumerate() {
            let file = public_file(number);
            if added.contains(&key) {
                self.write_line(&file, &key.public_key).await?;
            } else if !task_files::exists(self.environment, &self.path(&file)).await? {
                continue;
            }
            held.push((number, key));
        }
        let is_for_hosts = held.iter().any(|(_, key)| key.host.is_some());
        if is_for_hosts {
            let seen = self.environment.resolve(&format!("~/{}", self.name));
            self.write_line(FILE, &text(&seen, &held)).await?;
        }
        Ok(is_for_hosts)
    }

    async fn write_line(&self, file: &str, text: &str) -> Result<(), ExecutorError> {
        task_files::write(self.environment, &self.path(file), format!("{text}\n")).await
    }

    fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.name)
    }
}

fn public_file(number: usize) -> String {
    format!("{number}.pub")
}

/// A block for each host that has keys of its own, then those that are for any. The first value of
/// an option counts, but all files of keys do; the user's own config comes last.
fn text(seen: &Path, keys: &[(usize, &SshKey)]) -> String {
    let hosts = keys.iter().filter_map(|(_, key)| key.host.as_deref());
    let hosts: BTreeSet<&str> = hosts.collect();
    let of = |host: Option<&str>| {
        let files = keys.iter().filter(|(_, key)| key.host.as_deref() == host);
        let path = |number: &usize| seen.join(public_file(*number));
        let lines = files.map(|(n, _)| format!("  IdentityFile \"{}\"\n", path(n).display()));
        lines.collect::<String>()
    };
    let mut text = String::new();
    for host in hosts {
        text.push_str(&format!("Host {host}\n{}", of(Some(host))));
    }
    text.push_str(&format!("Host *\n  IdentitiesOnly yes\n{}", of(None)));
    text.push_str("Include ~/.ssh/config\nInclude /etc/ssh/ssh_config");
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use outrider_executor::process::{ProcessExecutor, ProcessSettings};
    use outrider_executor::{Executor, PrepareRequest};
    use outrider_model::plan::EnvironmentKind;
    use outrider_model::{AttemptId, Timestamp};
    use outrider_service::OsRandom;

    use super::*;

    fn key(host: Option<&str>, public: &str) -> SshKey {
        SshKey {
            fingerprint: String::new(),
            fingerprint_md5: String::new(),
            public_key: public.to_owned(),
            host: host.map(str::to_owned),
            private_key: String::new(),
        }
    }

    #[test]
    fn a_key_is_offered_to_its_host_only() {
        let keys = [Some("b.example"), None, Some("a.example")].map(|host| key(host, ""));
        let keys: Vec<_> = keys.iter().enumerate().collect();
        let text = text(Path::new("/a b"), &keys);
        assert_eq!(
            text,
            "Host a.example\n  IdentityFile \"/a b/2.pub\"\n\
             Host b.example\n  IdentityFile \"/a b/0.pub\"\n\
             Host *\n  IdentitiesOnly yes\n  IdentityFile \"/a b/1.pub\"\n\
             Include ~/.ssh/config\nInclude /etc/ssh/ssh_config"
        );
    }

    #[tokio::test]
    async fn keys_of_earlier_steps_stay_and_others_are_not_named() {
        let root = tempfile::tempdir().unwrap();
        let environment = prepared(root.path()).await;
        let folder = Folder {
            environment: &*environment,
            name: "agent",
        };
        let all = [
            key(None, "any"),
            key(Some("a.example"), "a"),
            key(Some("b.example"), "b"),
        ];
        let write = async |added: &SshKey| folder.write(&all, &[added]).await.unwrap();
        let seen = environment.resolve("~/agent");
        let config = || std::fs::read_to_string(seen.join(FILE)).unwrap();
        assert!(!write(&all[0]).await && !seen.join(FILE).exists());
        assert!(write(&all[2]).await);
        assert!(config().contains("agent/0.pub") && config().contains("agent/2.pub"));
        assert!(!config().contains("a.example"));
        assert!(write(&all[1]).await);
        assert!(config().contains("a.example") && config().contains("b.example"));
        environment.cleanup().await.unwrap();
    }

    async fn prepared(root: &Path) -> Arc<dyn Environment> {
        let executor = ProcessExecutor::new(ProcessSettings::new(root.to_owned(), "keys"));
        let attempt = AttemptId::new(Timestamp::from_millis(0), &OsRandom::new());
        let kind = EnvironmentKind::Machine { image: None };
        let request = PrepareRequest::new(attempt, 0, kind, ".");
        executor.prepare(request).await.unwrap()
    }
}
