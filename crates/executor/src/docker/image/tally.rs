//! How far a pull is.

use std::collections::BTreeMap;
use std::fmt;

use bollard::models::CreateImageInfo;

/// What the Engine has told of a pull so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    layers: BTreeMap<String, Layer>,
    /// The digest of the manifest, when it is known.
    pub digest: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Layer {
    status: String,
    current: u64,
    /// Bytes of the download, known when it begins.
    done: u64,
    total: u64,
}

impl Tally {
    /// Takes the next message; says whether anything has moved.
    pub fn note(&mut self, info: &CreateImageInfo) -> bool {
        let Some(status) = info.status.as_deref() else {
            return false;
        };
        if let Some(digest) = status.strip_prefix("Digest: ") {
            self.digest = Some(digest.to_owned());
            return true;
        }
        let Some(id) = info.id.as_deref() else {
            return true;
        };
        // It counts down the seconds of a pause.
        if status.starts_with("Retrying in") {
            return false;
        }
        let detail = info.progress_detail.as_ref();
        let number = |value: Option<i64>| value.and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
        let current = number(detail.and_then(|it| it.current));
        let total = number(detail.and_then(|it| it.total));
        self.layers
            .entry(id.to_owned())
            .or_default()
            .note(status, current, total)
    }

    /// Bytes that have come.
    pub fn done(&self) -> u64 {
        self.layers.values().map(|layer| layer.done).sum()
    }

    /// Whether something came of which nobody said how large it is: Podman measures only what takes
    /// its time.
    pub fn is_unmeasured(&self) -> bool {
        let mut layers = self.layers.values();
        layers.any(|layer| layer.total == 0 && layer.status == "Download complete")
    }

    /// Bytes that are to come in all, as far as it is known.
    fn total(&self) -> u64 {
        self.layers.values().map(|layer| layer.total).sum()
    }
}

impl Layer {
    fn note(&mut self, status: &str, current: u64, total: u64) -> bool {
        let moved = self.status != status || self.current != current;
        status.clone_into(&mut self.status);
        self.current = current;
        match status {
            "Downloading" => {
                self.total = self.total.max(total);
                self.done = current;
            }
            "Download complete" | "Verifying Checksum" => self.done = self.total,
            _ => {}
        }
        moved
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        if total < 10_000_000 {
            return write!(f, "{} of {} kB", self.done() / 1_000, total / 1_000);
        }
        write!(f, "{} of {} MB", self.done() / 1_000_000, total / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::{CreateImageInfo, ProgressDetail};

    use super::Tally;

    fn message(id: &str, status: &str, current: i64, total: i64) -> CreateImageInfo {
        CreateImageInfo {
            id: Some(id.to_owned()),
            status: Some(status.to_owned()),
            progress_detail: Some(ProgressDetail {
                current: Some(current),
                total: Some(total),
            }),
            ..CreateImageInfo::default()
        }
    }

    #[test]
    fn layers_are_summed_up() {
        let mut tally = Tally::default();
        assert!(tally.note(&message("a", "Downloading", 5_000_000, 20_000_000)));
        assert!(tally.note(&message("b", "Downloading", 1_000_000, 10_000_000)));
        assert_eq!(tally.to_string(), "6 of 30 MB");
        assert!(tally.note(&message("a", "Download complete", 0, 0)));
        assert!(tally.note(&message("a", "Extracting", 7, 20_000_000)));
        assert_eq!(tally.to_string(), "21 of 30 MB");
    }

    #[test]
    fn what_repeats_itself_has_not_moved() {
        let mut tally = Tally::default();
        assert!(tally.note(&message("a", "Downloading", 5, 20)));
        assert!(!tally.note(&message("a", "Downloading", 5, 20)));
        assert!(!tally.note(&message("a", "Retrying in 5 seconds", 0, 0)));
    }
}
