//! Repositories for tests.

use std::path::Path;
use std::process::Command;

/// Runs git in a directory, as somebody whose new branches are called `main`. Returns what it says.
pub fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=T", "-c", "user.email=t@example.com"])
        .args(["-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("git can be started");
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
    let said = String::from_utf8(output.stdout).expect("text");
    said.trim().to_owned()
}
