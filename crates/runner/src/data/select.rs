//! What `persist_to_workspace` takes: the `paths` of the step, below its `root`.

use std::io;
use std::path::{Path, PathBuf};

/// A pattern of a step, and what it found.
#[derive(Debug, PartialEq, Eq)]
pub struct Selected {
    /// Files and directories, relative to the root, each once and in order.
    pub paths: Vec<PathBuf>,
    /// The patterns that found nothing.
    pub without: Vec<String>,
}

/// Finds what patterns stand for. A directory stands for all that is in it. `*`, `?` and `[…]` match
/// within one name, `**` matches any number of directories.
pub fn select(root: &Path, patterns: &[String]) -> Result<Selected, String> {
    let (mut paths, mut without) = (Vec::new(), Vec::new());
    for pattern in patterns {
        let relative = relative(pattern)?;
        let found = find(root, &relative).map_err(|error| {
            format!("cannot look for `{pattern}` in {}: {error}", root.display())
        })?;
        if found.is_empty() {
            without.push(pattern.clone());
        }
        paths.extend(found);
    }
    paths.sort();
    paths.dedup();
    // What lies in a directory that is taken comes along with it.
    let mut last: Option<PathBuf> = None;
    paths.retain(|path| {
        let inside = last.as_ref().is_some_and(|above| path.starts_with(above));
        if !inside {
            last = Some(path.clone());
        }
        !inside
    });
    Ok(Selected { paths, without })
}

/// The parts of a pattern.
fn relative(pattern: &str) -> Result<Vec<&str>, String> {
    if pattern.starts_with('/') {
        return Err(format!(
            "`{pattern}` is absolute: the paths of persist_to_workspace are relative to its root"
        ));
    }
    let parts = pattern
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".");
    let mut parts: Vec<&str> = parts.collect();
    // Twice the same, and each would be tried at every level of the other.
    parts.dedup_by(|next, last| *next == "**" && *last == "**");
    if parts.contains(&"..") {
        return Err(format!(
            "`{pattern}` leads out of the root: choose a root further up"
        ));
    }
    Ok(parts)
}

fn find(root: &Path, parts: &[&str]) -> io::Result<Vec<PathBuf>> {
    let plain = parts.iter().take_while(|part| !is_pattern(part)).count();
    let start: PathBuf = parts[..plain].iter().collect();
    if root.join(&start).symlink_metadata().is_err() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    if plain == parts.len() {
        found.push(start);
    } else {
        walk(root, &start, &parts[plain..], &mut found)?;
    }
    Ok(found)
}

/// Follows the parts of a pattern down from a directory.
fn walk(root: &Path, below: &Path, parts: &[&str], found: &mut Vec<PathBuf>) -> io::Result<()> {
    let Some((part, rest)) = parts.split_first() else {
        found.push(below.to_owned());
        return Ok(());
    };
    let directory = root.join(below);
    if *part == "**" {
        walk(root, below, rest, found)?;
    }
    if !directory.symlink_metadata()?.is_dir() {
        return Ok(());
    }
    for entry in directory.read_dir()? {
        let name = entry?.file_name();
        let path = below.join(&name);
        if *part == "**" {
            walk(root, &path, parts, found)?;
        } else if fast_glob::glob_match(part.as_bytes(), name.as_encoded_bytes()) {
            walk(root, &path, rest, found)?;
        }
    }
    Ok(())
}

fn is_pattern(part: &str) -> bool {
    part.contains(['*', '?', '[', '{', '\\'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(patterns: &[&str]) -> Result<Vec<String>, String> {
        let root = tempfile::tempdir().unwrap();
        for file in [
            "a.txt",
            "b.txt",
            "dir/c.txt",
            "dir/deep/d.txt",
            ".hidden",
            "x y/e",
        ] {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        let selected = select(root.path(), &patterns)?;
        let paths = selected.paths.iter().map(|path| path.display().to_string());
        let without = selected
            .without
            .iter()
            .map(|pattern| format!("none: {pattern}"));
        Ok(paths.chain(without).collect())
    }

    #[test]
    fn patterns_select_files_and_whole_directories() {
        for (patterns, expected) in [
            (&["."][..], &[""][..]),
            (&["*.txt"], &["a.txt", "b.txt"]),
            (&["dir"], &["dir"]),
            (&["dir/", "./dir/c.txt"], &["dir"]),
            (&["*/*.txt"], &["dir/c.txt"]),
            (
                &["**/*.txt"],
                &["a.txt", "b.txt", "dir/c.txt", "dir/deep/d.txt"],
            ),
            (&["[ab].txt"], &["a.txt", "b.txt"]),
            (&["?.txt", "a.txt"], &["a.txt", "b.txt"]),
            (&["x y"], &["x y"]),
            (&["none", "dir/*"], &["dir/c.txt", "dir/deep", "none: none"]),
            (&["none/*", "n*"], &["none: none/*", "none: n*"]),
            (&[".hidden"], &[".hidden"]),
        ] {
            assert_eq!(selected(patterns).unwrap(), expected, "{patterns:?}");
        }
        for (pattern, problem) in [("/etc", "is absolute"), ("a/../../b", "leads out")] {
            assert!(selected(&[pattern]).unwrap_err().contains(problem));
        }
    }
}
