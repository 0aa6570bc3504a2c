//! What went otherwise than expected, without harm to the rest.

use std::path::PathBuf;

/// So many names are kept.
const NAMES: usize = 10;

/// Files that are not in an archive though they might be expected there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// What was to be saved and is not there.
    pub missing: LeftOut,
    /// Sockets, FIFOs and devices: they mean nothing on another host.
    pub special: LeftOut,
    /// Files that went away, or did not hold still, while they were read.
    pub unsteady: LeftOut,
    /// Why the tree state could not be written. The next transfer is slower for it.
    pub state: Option<String>,
}

/// Files that were left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// How many.
    pub count: u64,
    /// The first few of them.
    pub names: Vec<PathBuf>,
}

impl LeftOut {
    pub(crate) fn add(&mut self, name: PathBuf) {
        self.count += 1;
        if self.names.len() < NAMES {
            self.names.push(name);
        }
    }

    fn append(&mut self, other: Self) {
        self.count += other.count;
        let room = NAMES - self.names.len();
        self.names.extend(other.names.into_iter().take(room));
    }
}

impl Notes {
    pub(crate) fn append(&mut self, other: Self) {
        self.missing.append(other.missing);
        self.special.append(other.special);
        self.unsteady.append(other.unsteady);
        self.state = self.state.take().or(other.state);
    }
}
