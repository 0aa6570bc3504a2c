//! The configs that tests read from disk.

use std::path::{Path, PathBuf};

/// All configs in these folders and the folders in them, in the order of their names.
pub fn fixtures(folders: &[&str]) -> Vec<PathBuf> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut found = vec![];
    let mut left: Vec<_> = folders.iter().map(|folder| tests.join(folder)).collect();
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yml") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
