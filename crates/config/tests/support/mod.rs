//! What the tests of this crate share.

use std::path::{Path, PathBuf};

use outrider_config::Options;

/// Options as on a laptop: nothing but a class.
pub fn options() -> Options {
    Options::new("local/default".parse().unwrap())
}

/// All cases, in the order of their names.
pub fn fixtures() -> Vec<PathBuf> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut found: Vec<_> = entries(&cases)
        .iter()
        .flat_map(|topic| entries(topic))
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .collect();
    found.sort();
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}
