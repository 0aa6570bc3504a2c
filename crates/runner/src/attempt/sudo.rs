//! Why `sudo` does not work in a container, for whoever tried.

use outrider_executor::Files;

use super::step::StepContext;

/// After a step has failed: says that `sudo` may be why.
pub async fn hint(context: &StepContext, script: &str) {
    let container = matches!(context.environment.files(), Files::Inside(_));
    let root = context
        .variables
        .get("USER")
        .is_some_and(|user| user == "root");
    if container && !root && !context.workshop.settings.sudo_in_containers && calls_sudo(script) {
        context
            .say(
                "[outrider] The step calls sudo, and programs in containers of this runner gain no \
                 rights. Give the image `user: root`, or start the runner with --allow-sudo.",
            )
            .await;
    }
}

/// Whether the word stands where a shell would run it.
fn calls_sudo(script: &str) -> bool {
    let lines = script.lines().map(str::trim_start);
    let code = lines.filter(|line| !line.starts_with('#'));
    code.flat_map(|line| line.split(|it: char| it.is_whitespace() || ";&|(){}`\"'$".contains(it)))
        .any(|word| word == "sudo" || word.ends_with("/bin/sudo"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sudo_is_a_word_that_a_shell_runs() {
        for script in [
            "sudo apt-get update",
            "make\n  sudo make install",
            "true&&sudo id",
            "/usr/bin/sudo id",
            "x=$(sudo id)",
        ] {
            assert!(calls_sudo(script), "{script}");
        }
        for script in [
            "pseudo x",
            "# sudo id",
            "cat sudoers",
            "sudo-rs x",
            "echo sudo.conf",
        ] {
            assert!(!calls_sudo(script), "{script}");
        }
    }
}
