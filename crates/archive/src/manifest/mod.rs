//! What an archive holds: its entries, and the chunks of their contents.

mod check;
mod decode;
mod encode;
#[cfg(test)]
mod tests;
mod transfer;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use outrider_model::blob::BlobHash;

use crate::chunk::content;
use crate::place::{Base, Place, compare, depth, split};
use crate::tree::Time;
use crate::tree::directories::Way;
use crate::tree::extents::Extent;

pub(crate) use check::lay_out;
pub(crate) use decode::{Reader, decode};
pub(crate) use encode::{Writer, encode};
pub(crate) use transfer::{Stored, store};

/// What may be in an archive that is read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// So many entries.
    pub entries: u64,
    /// So many bytes in all files together, holes included.
    pub size: u64,
}

impl Default for Limits {
    /// Two million entries, one TB.
    fn default() -> Self {
        Self {
            entries: 2_000_000,
            size: 1 << 40,
        }
    }
}

/// What an archive holds. However it came here, it keeps the rules that [`crate`] lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// In the order of their paths.
    pub(crate) entries: Vec<Entry>,
    /// Those of the entries that are files with data.
    pub(crate) files: Vec<u32>,
    /// In the order of the files.
    pub(crate) segments: Vec<Segment>,
    /// In the order of the segments. One that is used twice is there twice.
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) packs: Vec<BlobHash>,
    /// Of all files, holes included.
    pub(crate) size: u64,
}

/// A file, directory or link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub base: Base,
    /// How many names the path of its root has: the archive holds nothing above that.
    pub root: u8,
    pub path: Box<[u8]>,
    pub mode: u16,
    pub modified: Time,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File(File),
    Directory,
    Symlink(Box<[u8]>),
    /// To the file that this entry is.
    HardLink(u32),
}

/// The content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub size: u64,
    pub hash: BlobHash,
    /// Where it holds data, if it has holes.
    pub extents: Option<Box<[Extent]>>,
}

/// A part of the content of the archive that is cut into chunks by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Of the files of the manifest.
    pub files: std::ops::Range<u32>,
    /// Not all of the file but this piece of it.
    pub piece: Option<u32>,
    /// Of the chunks of the manifest.
    pub chunks: std::ops::Range<u32>,
}

/// Where a part of a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub hash: BlobHash,
    /// Of the packs of the manifest.
    pub pack: u32,
    pub offset: u32,
    pub stored: u32,
    pub length: u32,
}

impl File {
    /// How many bytes it has outside of holes.
    pub fn data(&self) -> u64 {
        match &self.extents {
            Some(extents) => extents.iter().map(|extent| extent.length).sum(),
            None => self.size,
        }
    }
}

impl Entry {
    pub fn way(&self) -> Way<'_> {
        Way {
            base: self.base,
            path: &self.path,
            outside: usize::from(self.root.saturating_sub(1)),
        }
    }

    /// Whether nothing above it is in the archive.
    pub fn is_root(&self) -> bool {
        depth(&self.path) == usize::from(self.root)
    }

    /// In the order of archives.
    pub fn compare(&self, other: &Self) -> std::cmp::Ordering {
        self.base
            .cmp(&other.base)
            .then_with(|| compare(&self.path, &other.path))
    }

    fn parent(&self) -> &[u8] {
        split(&self.path).0
    }
}

impl Manifest {
    /// All that it lists, in order.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Listed<'_>> {
        self.entries.iter().map(|entry| Listed {
            base: entry.base,
            path: Path::new(OsStr::from_bytes(&entry.path)),
            kind: match &entry.kind {
                Kind::File(file) => ListedKind::File { size: file.size },
                Kind::Directory => ListedKind::Directory,
                Kind::Symlink(target) => ListedKind::Symlink(Path::new(OsStr::from_bytes(target))),
                Kind::HardLink(to) => {
                    let path = &self.entries[*to as usize].path;
                    ListedKind::HardLink(Path::new(OsStr::from_bytes(path)))
                }
            },
        })
    }

    /// Those of its entries above which it has none: what was to be saved.
    #[must_use]
    pub fn roots(&self) -> Vec<Place> {
        let roots = self.entries.iter().filter(|entry| entry.is_root());
        let place = |entry: &Entry| Place {
            base: entry.base,
            path: entry.path.clone(),
        };
        roots.map(place).collect()
    }

    /// How many bytes its files have, holes included.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The entry and the content of one of its files with data.
    pub(crate) fn file(&self, number: u32) -> (u32, &Entry, &File) {
        let at = self.files[number as usize];
        let entry = &self.entries[at as usize];
        let Kind::File(file) = &entry.kind else {
            unreachable!("only files are in the list of files");
        };
        (at, entry, file)
    }

    /// How many bytes of a file of a segment are in the segment.
    pub(crate) fn part(&self, segment: &Segment, number: u32) -> u64 {
        let data = self.file(number).2.data();
        match segment.piece {
            Some(piece) => content::piece_length(data, piece),
            None => data,
        }
    }

    pub(crate) fn chunks_of(&self, segment: &Segment) -> &[Chunk] {
        &self.chunks[segment.chunks.start as usize..segment.chunks.end as usize]
    }
}

/// An entry of an archive, for those who look into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Below this directory.
    pub base: Base,
    /// Its path from there.
    pub path: &'a Path,
    /// What it is.
    pub kind: ListedKind<'a>,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListedKind<'a> {
    /// A regular file.
    File {
        /// Its length in bytes, holes included.
        size: u64,
    },
    /// A directory.
    Directory,
    /// A symlink to this path.
    Symlink(&'a Path),
    /// Another name of this file of the archive.
    HardLink(&'a Path),
}
