//! What is known of a folder: its name, its branch, its commit.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Failure, code};

/// What git knows of a folder.
pub struct Facts {
    /// `owner/name` from the remote, else the folder's name.
    pub project: String,
    /// The branch that is checked out.
    pub branch: Option<String>,
    /// The commit.
    pub revision: Option<String>,
}

impl Facts {
    /// Asks git. Outside a repository only the name is known.
    pub fn of(folder: &Path) -> Self {
        let remote = git(folder, &["remote", "get-url", "origin"]);
        Self {
            project: remote.map_or_else(
                || folder_name(folder),
                |url| crate::pipeline::project_name(&url),
            ),
            branch: git(folder, &["symbolic-ref", "--quiet", "--short", "HEAD"]),
            revision: git(folder, &["rev-parse", "--verify", "--quiet", "HEAD"]),
        }
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// The folder of a project, as an absolute path.
pub fn folder(path: &Path) -> Result<PathBuf, Failure> {
    let folder = path.canonicalize().map_err(|error| {
        Failure::new(
            code::NOT_FOUND,
            format!("cannot use {}: {error}", path.display()),
        )
        .advise("Name the folder of a project: one with a .circleci/config.yml.")
    })?;
    if folder.is_dir() {
        return Ok(folder);
    }
    Err(Failure::new(
        code::NOT_FOUND,
        format!("{} is not a folder", path.display()),
    )
    .advise("Name the folder, and the config with --config."))
}

/// Where the config of a project lies, named as briefly as can be.
pub fn default_config(folder: &Path) -> PathBuf {
    let config = Path::new(".circleci/config.yml");
    if folder == Path::new(".") {
        config.to_owned()
    } else {
        folder.join(config)
    }
}

/// What a folder is called.
pub fn folder_name(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = whole
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let plain = |c: char| {
        if c.is_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '-'
        }
    };
    name.filter(|name| !name.is_empty()).map_or_else(
        || "project".to_owned(),
        |name| name.chars().map(plain).collect(),
    )
}

/// A config as text.
pub fn read_config(path: &Path) -> Result<String, Failure> {
    let bytes = std::fs::read(path).map_err(|error| {
        Failure::new(
            code::NOT_FOUND,
            format!("cannot read {}: {error}", path.display()),
        )
        .advise("Name the config, or go to a folder that has a .circleci/config.yml.")
    })?;
    text_of_config(&path.display().to_string(), bytes)
}

/// What was read as a config, if it is text.
pub fn text_of_config(name: &str, bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::new(
            code::INVALID_CONFIG,
            format!("{name} is not UTF-8 text: byte {at} is wrong"),
        )
        .advise("Save it as UTF-8.")
    })
}

/// `KEY=VALUE` lines; empty lines and lines that start with `#` are passed over, quotes around a
/// value are taken off.
pub fn read_env_file(path: &Path) -> Result<Vec<(String, String)>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(
            code::NOT_FOUND,
            format!("cannot read {}: {error}", path.display()),
        )
        .advise("Name a file of KEY=VALUE lines with --env-file.")
    })?;
    let lines = text
        .lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| {
            let line = line.strip_prefix("export ").unwrap_or(line);
            match line.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() => {
                    Ok((key.trim().to_owned(), unquote(value.trim()).to_owned()))
                }
                // The line itself may hold a secret.
                _ => Err(Failure::new(
                    code::BAD_SETTINGS,
                    format!("{}:{number}: this line is not KEY=VALUE", path.display()),
                )
                .advise(
                    "Write one variable a line, for example `LEVEL=3`; comments start with #.",
                )),
            }
        })
        .collect()
}

fn unquote(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_env_files_as_people_write_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::fs::write(
            &path,
            "# a comment\nA=1\n\nexport B = \"two words\"\nC='x=y'\nD=\n",
        )
        .unwrap();
        let read = read_env_file(&path).unwrap();
        let expected = [("A", "1"), ("B", "two words"), ("C", "x=y"), ("D", "")];
        assert_eq!(
            read,
            expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
        std::fs::write(&path, "A=1\nS3CRET\n").unwrap();
        let failure = format!("{:?}", read_env_file(&path).unwrap_err());
        assert!(
            failure.contains(":2:") && !failure.contains("S3CRET"),
            "{failure}"
        );
    }
}
