//! The interpreters of steps.

use std::path::Path;

/// The shell of steps that name none, as in CircleCI: bash where there is one.
pub fn default_shell() -> Vec<String> {
    let shell = if Path::new("/bin/bash").exists() {
        "/bin/bash"
    } else {
        "/bin/sh"
    };
    // `-o pipefail` is POSIX since 2024; a `sh` without it fails with a message that says so.
    [shell, "-eo", "pipefail"].map(str::to_owned).to_vec()
}

/// Splits a shell from the config into words, as a shell would.
pub fn split(shell: &str) -> Result<Vec<String>, String> {
    match shell_words::split(shell) {
        Ok(words) if words.is_empty() => Err("the shell is empty".to_owned()),
        Ok(words) => Ok(words),
        Err(error) => Err(format!("the shell `{shell}` cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_are_split_as_a_shell_would() {
        assert_eq!(
            split("/bin/bash -eo pipefail").unwrap(),
            ["/bin/bash", "-eo", "pipefail"]
        );
        assert_eq!(
            split("'/opt/my shell' -c").unwrap(),
            ["/opt/my shell", "-c"]
        );
        assert!(split("  ").is_err());
        assert!(split("bash '").unwrap_err().contains("bash '"));
    }
}
