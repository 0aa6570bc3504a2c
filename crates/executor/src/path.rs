//! What a path of the config means.

use std::path::{Path, PathBuf};

/// What a path of the config means, given what `~` is and where the job works.
pub(crate) fn resolve(home: &Path, working_directory: &Path, path: &str) -> PathBuf {
    match path.strip_prefix('~') {
        Some("") => home.to_owned(),
        Some(rest) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ if path.is_empty() || path == "." => working_directory.to_owned(),
        _ => working_directory.join(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_config() {
        let resolve = |path| resolve(Path::new("/w/1"), Path::new("/w/1/project"), path);
        for (path, means) in [
            ("~", "/w/1"),
            ("~/", "/w/1/"),
            ("~/project/a", "/w/1/project/a"),
            ("~//etc", "/w/1/etc"),
            ("~other", "/w/1/project/~other"),
            ("a/b", "/w/1/project/a/b"),
            (".", "/w/1/project"),
            ("", "/w/1/project"),
            ("/etc", "/etc"),
        ] {
            assert_eq!(resolve(path), Path::new(means), "{path}");
        }
    }
}
