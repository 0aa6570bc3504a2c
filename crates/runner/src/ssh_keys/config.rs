//! The config of `ssh` where keys are for certain hosts: each of those is offered to its host only.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use outrider_api::data::SshKey;

/// Where the config is, in the folder of the agent.
pub const FILE: &str = "config";

/// Writes the config, and the public keys that it names, into `folder`, which steps see as `seen`.
/// The private ones are with the agent.
pub fn write(folder: &Path, seen: &Path, keys: &[&SshKey]) -> io::Result<()> {
    for (number, key) in keys.iter().enumerate() {
        write_private(&folder.join(public_file(number)), &key.public_key)?;
    }
    write_private(&folder.join(FILE), &text(seen, keys))
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
fn text(seen: &Path, keys: &[&SshKey]) -> String {
    let hosts: BTreeSet<&str> = keys.iter().filter_map(|key| key.host.as_deref()).collect();
    let of = |host: Option<&str>| {
        let files = keys.iter().enumerate();
        let files = files.filter(|(_, key)| key.host.as_deref() == host);
        let path = |number| seen.join(public_file(number));
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

    #[test]
    fn a_key_is_offered_to_its_host_only() {
        let key = |host: Option<&str>| SshKey {
            fingerprint: String::new(),
            fingerprint_md5: String::new(),
            public_key: String::new(),
            host: host.map(str::to_owned),
            private_key: String::new(),
        };
        let keys = [key(Some("b.example")), key(None), key(Some("a.example"))];
        let keys: Vec<&SshKey> = keys.iter().collect();
        let text = text(Path::new("/a b"), &keys);
        assert_eq!(
            text,
            "Host a.example\n  IdentityFile \"/a b/2.pub\"\n\
             Host b.example\n  IdentityFile \"/a b/0.pub\"\n\
             Host *\n  IdentitiesOnly yes\n  IdentityFile \"/a b/1.pub\"\n\
             Include ~/.ssh/config\nInclude /etc/ssh/ssh_config"
        );
    }
}
