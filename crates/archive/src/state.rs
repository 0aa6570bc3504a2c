//! Tree states: what a runner remembers of an archive that it saved or restored.
//!
//! A state is the archive's manifest with the identity of each file on this host. A file that still
//! has its identity has the content that the manifest names, and need not be read again; save
//! those that changed so shortly before the state was taken that a later change could have left
//! the same time stamp.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::chunk::hash;
use crate::error::InvalidManifest;
use crate::manifest::{Entry, Kind, Limits, Manifest, Reader, Writer, decode, encode};
use crate::tree::{Identity, Time};

/// What every state begins with: the kind, and the version of the format.
const HEAD: [u8; 8] = *b"ORtree\x00\x01";

/// No state of this length is read.
const LONGEST: u64 = 512 * 1024 * 1024;

/// What is known of a tree.
pub(crate) struct TreeState {
    /// Files that changed before this time can be trusted.
    pub taken: Time,
    pub manifest: Manifest,
    /// Of each entry of the manifest that is a file, if it is known.
    pub identities: Vec<Option<Identity>>,
}

impl TreeState {
    /// The state in a file. Nothing if there is none, or one that is damaged or foreign: it only
    /// saves work.
    pub fn load(path: &Path) -> Option<Self> {
        let length = fs::metadata(path).ok()?.len();
        if length > LONGEST {
            return None;
        }
        let bytes = fs::read(path).ok()?;
        let (sum, rest) = bytes.strip_prefix(&HEAD)?.split_first_chunk::<32>()?;
        if hash(rest).0 != *sum {
            return None;
        }
        Self::read(rest).ok()
    }

    fn read(bytes: &[u8]) -> Result<Self, crate::Error> {
        let mut read = Reader(bytes);
        let taken = read.time(Time::default())?;
        let length = read.number_up_to(read.0.len() as u64)? as usize;
        let (body, rest) = read
            .0
            .split_at_checked(length)
            .ok_or(InvalidManifest::Damaged)?;
        let limits = Limits {
            entries: u64::from(u32::MAX),
            size: u64::MAX,
        };
        let manifest = decode(body, &limits)?;
        let mut read = Reader(rest);
        let identity = |entry: &Entry| match &entry.kind {
            Kind::File(file) => read.identity(file.size, entry.modified),
            _ => Ok(None),
        };
        let identities = manifest.entries.iter().map(identity);
        let identities = identities.collect::<Result<_, _>>()?;
        Ok(Self {
            taken,
            manifest,
            identities,
        })
    }

    /// Writes the state to a file, all of it or nothing.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let body = encode(&self.manifest);
        let mut out = Writer(Vec::with_capacity(body.len() + 32 * self.identities.len()));
        out.time(self.taken, Time::default());
        out.number(body.len() as u64);
        out.bytes(&body);
        for (entry, identity) in self.manifest.entries.iter().zip(&self.identities) {
            if let Kind::File(file) = &entry.kind {
                let known = identity.filter(|identity| identity.size == file.size);
                out.identity(known, entry.modified);
            }
        }
        let new = PathBuf::from([path.as_os_str(), ".new".as_ref()].join("".as_ref()));
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&new)?;
        let written = file
            .write_all(&HEAD)
            .and_then(|()| file.write_all(&hash(&out.0).0))
            .and_then(|()| file.write_all(&out.0))
            .and_then(|()| fs::rename(&new, path));
        written.inspect_err(|_| {
            // There is an error already that says more.
            let _ = fs::remove_file(&new);
        })
    }

    /// The identity that a file had, if it tells that the file is the same.
    pub fn identity(&self, entry: u32) -> Option<Identity> {
        self.identities[entry as usize].filter(|known| known.changed.is_surely_before(self.taken))
    }
}

/// For each entry of a list that of another one with the same path. Both are in the order of
/// archives.
pub(crate) fn join<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    others: &[Entry],
) -> Vec<Option<u32>> {
    let mut at = 0;
    let find = |entry: &Entry| {
        while others
            .get(at)
            .is_some_and(|other| other.compare(entry).is_lt())
        {
            at += 1;
        }
        let same = others
            .get(at)
            .is_some_and(|other| other.compare(entry).is_eq());
        same.then_some(at as u32)
    };
    entries.map(find).collect()
}

impl Writer {
    fn identity(&mut self, identity: Option<Identity>, modified: Time) {
        self.number(u64::from(identity.is_some()));
        if let Some(identity) = identity {
            self.number(identity.device);
            self.number(identity.inode);
            self.time(identity.modified, modified);
            self.time(identity.changed, identity.modified);
        }
    }
}

impl<R: io::Read> Reader<R> {
    fn identity(&mut self, size: u64, modified: Time) -> Result<Option<Identity>, InvalidManifest> {
        if self.number_up_to(1)? == 0 {
            return Ok(None);
        }
        let device = self.number()?;
        let inode = self.number()?;
        let modified = self.time(modified)?;
        Ok(Some(Identity {
            device,
            inode,
            size,
            modified,
            changed: self.time(modified)?,
        }))
    }
}
