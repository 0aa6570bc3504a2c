//! The config of `ssh` where keys are for certain hosts: each of those is offered to its host only.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use outrider_api::data::SshKey;

/// Where the config is, in the folder of the agent.
pub const FILE: &str = "config";

/// Writes the public keys of `added`, some of `all`, into `folder`, which steps see as `seen`, and a
/// config that names these and those of earlier calls. Says whether any of them is for a host: only
/// then is there a config. The private keys are with the agent.
pub fn write(folder: &Path, seen: &Path, all: &[SshKey], added: &[&SshKey]) -> io::Result<bool> {
    let mut held = Vec::new();
    for (number, key) in all.iter().enumerate() {
        let file = folder.join(public_file(number));
        if added.contains(&key) {
            write_private(&file, &key.public_key)?;
        } else if !file.exists() {
            continue;
        }
        held.push((number, key));
    }
    let is_for_hosts = held.iter().any(|(_, key)| key.host.is_some());
    if is_for_hosts {
        write_private(&folder.join(FILE), &text(seen, &held))?;
    }
    Ok(is_for_hosts)
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    writeln!(options.open(path)?, "{text}")
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

    #[test]
    fn keys_of_earlier_steps_stay_and_others_are_not_named() {
        let folder = tempfile::tempdir().unwrap();
        let seen = Path::new("/seen");
        let all = [
            key(None, "any"),
            key(Some("a.example"), "a"),
            key(Some("b.example"), "b"),
        ];
        let write = |added: &SshKey| write(folder.path(), seen, &all, &[added]).unwrap();
        let config = || std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(!write(&all[0]) && !folder.path().join(FILE).exists());
        assert!(write(&all[2]));
        assert!(config().contains("/seen/0.pub") && config().contains("/seen/2.pub"));
        assert!(!config().contains("a.example"));
        assert!(write(&all[1]));
        assert!(config().contains("a.example") && config().contains("b.example"));
    }
}
