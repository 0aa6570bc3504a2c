//! What git finds in its environment: nothing asks anybody, and credentials are in no argument, URL
//! or file.

use std::collections::BTreeMap;
use std::path::Path;

/// The variables of a step by name.
pub type Variables = BTreeMap<String, String>;

/// The variable with a token for HTTPS.
pub const TOKEN: &str = "OUTRIDER_GIT_TOKEN";
/// The variable with the user that goes with it.
pub const USERNAME: &str = "OUTRIDER_GIT_USERNAME";
/// A user that GitHub, and those who do not care, take with a token.
const ANY_USERNAME: &str = "x-access-token";
/// Answers git from the environment. It is run by a shell, which replaces the variables.
const HELPER: &str = "!f() { test \"$1\" = get || exit 0; \
    printf 'username=%s\\npassword=%s\\n' \"$OUTRIDER_GIT_USERNAME\" \"$OUTRIDER_GIT_TOKEN\"; }; f";

/// For every git.
pub fn for_git(variables: &Variables, known_hosts: Option<&Path>) -> Variables {
    let mut variables = variables.clone();
    // Set inside hooks, and they would point git at another repository.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        variables.remove(name);
    }
    variables.insert("GIT_TERMINAL_PROMPT".to_owned(), "0".to_owned());
    variables
        .entry("GIT_SSH_COMMAND".to_owned())
        .or_insert_with(|| ssh(known_hosts));
    variables
}

/// A host that was never seen is taken at its word, one that has changed is not. New keys go to the
/// first file.
pub fn ssh(known_hosts: Option<&Path>) -> String {
    let mut command = "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new".to_owned();
    if let Some(file) = known_hosts {
        let option = format!(
            "UserKnownHostsFile=\"{}\" ~/.ssh/known_hosts",
            file.display()
        );
        command.push_str(" -o ");
        command.push_str(&shell_words::quote(&option));
    }
    command
}

/// For the git that checks this URL out into this directory.
pub fn add_repository(variables: &mut Variables, url: &str, directory: &str) {
    // The job says where its code lies: git need not ask whose directory that is.
    add_config(variables, "safe.directory", directory);
    let Some(host) = http_host(url) else {
        return;
    };
    if variables.get(TOKEN).is_none_or(String::is_empty) {
        return;
    }
    variables
        .entry(USERNAME.to_owned())
        .or_insert_with(|| ANY_USERNAME.to_owned());
    let key = format!("credential.{host}.helper");
    // The empty one takes those away that the user has: none of them is to keep the token.
    add_config(variables, &key, "");
    add_config(variables, &key, HELPER);
}

/// `https://example.com:8443` of `https://anna@example.com:8443/acme/shop.git`.
fn http_host(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    (!host.is_empty()).then(|| format!("{scheme}://{host}"))
}

/// One more setting, after those that are there.
pub fn add_config(variables: &mut Variables, key: &str, value: &str) {
    const COUNT: &str = "GIT_CONFIG_COUNT";
    let count = variables.get(COUNT);
    let count: u32 = count.and_then(|count| count.parse().ok()).unwrap_or(0);
    variables.insert(format!("GIT_CONFIG_KEY_{count}"), key.to_owned());
    variables.insert(format!("GIT_CONFIG_VALUE_{count}"), value.to_owned());
    variables.insert(COUNT.to_owned(), (count + 1).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_its_host_only() {
        for (url, host) in [
            ("https://example.com/a/b.git", Some("https://example.com")),
            (
                "https://anna@example.com:8443/a",
                Some("https://example.com:8443"),
            ),
            (
                "https://example.com?@evil.example/a",
                Some("https://example.com"),
            ),
            ("git@example.com:a/b.git", None),
            ("ssh://git@example.com/a/b.git", None),
            ("/srv/a", None),
            ("https:///a", None),
        ] {
            assert_eq!(http_host(url).as_deref(), host, "{url}");
        }
    }

    #[test]
    fn settings_that_are_there_stay() {
        let mut variables = Variables::from([
            ("GIT_CONFIG_COUNT".to_owned(), "1".to_owned()),
            ("GIT_CONFIG_KEY_0".to_owned(), "user.name".to_owned()),
            (TOKEN.to_owned(), "t0ken".to_owned()),
        ]);
        add_repository(&mut variables, "https://example.com/a", "/work");
        assert_eq!(variables["GIT_CONFIG_KEY_0"], "user.name");
        assert_eq!(variables["GIT_CONFIG_KEY_1"], "safe.directory");
        assert_eq!(variables["GIT_CONFIG_VALUE_2"], "");
        assert_eq!(
            variables["GIT_CONFIG_KEY_3"],
            "credential.https://example.com.helper"
        );
        assert_eq!(variables["GIT_CONFIG_COUNT"], "4");
        assert!(!variables["GIT_CONFIG_VALUE_3"].contains("t0ken"));
    }
}
