//! Layers of a workspace that contradict each other.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use outrider_api::data::Layer;
use outrider_archive::{ListedKind, Manifest};

/// A file that two layers have, neither of which came after the other: nobody can say whose counts.
#[derive(Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The file.
    pub path: PathBuf,
    /// Who persisted it.
    pub by: [String; 2],
}

/// The first conflict, if there is one.
pub fn conflict<'a>(
    layers: impl IntoIterator<Item = (&'a Layer, &'a Manifest)>,
) -> Option<Conflict> {
    let mut owners: HashMap<&Path, Vec<&Layer>> = HashMap::new();
    for (layer, manifest) in layers {
        let files = manifest
            .entries()
            .filter(|entry| entry.kind != ListedKind::Directory);
        for file in files {
            let others = owners.entry(file.path).or_default();
            if let Some(other) = others.iter().find(|other| !in_order(other, layer)) {
                return Some(Conflict {
                    path: file.path.to_owned(),
                    by: [who(other), who(layer)],
                });
            }
            others.push(layer);
        }
    }
    None
}

fn in_order(one: &Layer, other: &Layer) -> bool {
    let same_task = (one.job, one.index) == (other.job, other.index);
    same_task || one.after.contains(&other.job) || other.after.contains(&one.job)
}

/// Whose layer it is, for people.
pub fn who(layer: &Layer) -> String {
    match layer.index {
        0 => format!("\"{}\"", layer.job_name),
        index => format!("\"{}\" (task {index})", layer.job_name),
    }
}
