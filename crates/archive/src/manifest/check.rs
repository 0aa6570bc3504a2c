//! What holds of every manifest.

use super::{Entry, Kind, Manifest, Segment};
use crate::chunk::content;
use crate::error::InvalidManifest;
use crate::place::{Base, is_within};

/// Checks entries one after the other.
#[derive(Default)]
pub(super) struct Rules {
    /// The directories above the entry that came last, and that one, if it is a directory.
    above: Vec<u32>,
    /// The root that came last.
    root: Option<(Base, Box<[u8]>)>,
    count: u32,
}

impl Rules {
    /// Checks the next entry. `before` are all that came before it.
    pub fn check(&mut self, entry: &Entry, before: &[Entry]) -> Result<(), InvalidManifest> {
        if before
            .last()
            .is_some_and(|last| last.compare(entry).is_ge())
        {
            return Err(InvalidManifest::NotSorted);
        }
        if entry.is_root() {
            self.start_root(entry)?;
        } else {
            self.find_parent(entry, before)?;
        }
        match &entry.kind {
            Kind::Directory => self.above.push(self.count),
            _ if entry.path.is_empty() => return Err(InvalidManifest::BadPath),
            Kind::HardLink(to) => {
                let file = before.get(*to as usize).map(|entry| &entry.kind);
                if !matches!(file, Some(Kind::File(_))) {
                    return Err(InvalidManifest::BadLink);
                }
            }
            Kind::File(_) | Kind::Symlink(_) => {}
        }
        self.count += 1;
        Ok(())
    }

    /// Roots do not lie in each other, so that no entry is on the way to another root.
    fn start_root(&mut self, entry: &Entry) -> Result<(), InvalidManifest> {
        if let Some((base, path)) = &self.root
            && *base == entry.base
            && is_within(&entry.path, path)
        {
            return Err(InvalidManifest::NoDirectory);
        }
        self.root = Some((entry.base, entry.path.clone()));
        self.above.clear();
        Ok(())
    }

    /// What an entry lies in is a directory of the same root.
    fn find_parent(&mut self, entry: &Entry, before: &[Entry]) -> Result<(), InvalidManifest> {
        let same_base = self
            .root
            .as_ref()
            .is_some_and(|(base, _)| *base == entry.base);
        while let Some(top) = self.above.last() {
            if same_base && *before[*top as usize].path == *entry.parent() {
                return Ok(());
            }
            self.above.pop();
        }
        Err(InvalidManifest::NoDirectory)
    }
}

/// Finds out which files each segment has, and that the two fit together.
pub(crate) fn lay_out(manifest: &mut Manifest) -> Result<(), InvalidManifest> {
    let mut segments = std::mem::take(&mut manifest.segments);
    let mut file = 0_u32;
    let mut piece = 0_u32;
    for segment in &mut segments {
        let chunks = manifest.chunks_of(segment);
        let length = chunks.iter().map(|chunk| u64::from(chunk.length)).sum();
        (file, piece) = take_files(manifest, segment, length, file, piece)?;
    }
    if file as usize != manifest.files.len() {
        return Err(InvalidManifest::BadChunks);
    }
    manifest.segments = segments;
    Ok(())
}

/// Gives a segment of this length its files: either a piece of a large file, or whole files. Says
/// which file and which piece of it comes next.
fn take_files(
    manifest: &Manifest,
    segment: &mut Segment,
    length: u64,
    file: u32,
    piece: u32,
) -> Result<(u32, u32), InvalidManifest> {
    let data = |file: u32| {
        let exists = (file as usize) < manifest.files.len();
        exists.then(|| manifest.file(file).2.data())
    };
    let first = data(file).ok_or(InvalidManifest::BadChunks)?;
    if let Some(pieces) = content::pieces(first) {
        if length != content::piece_length(first, piece) {
            return Err(InvalidManifest::BadChunks);
        }
        segment.files = file..file + 1;
        segment.piece = Some(piece);
        let is_last = piece + 1 == pieces;
        return Ok(if is_last {
            (file + 1, 0)
        } else {
            (file, piece + 1)
        });
    }
    let mut end = file;
    let mut left = length;
    while left > 0 {
        let next = data(end).filter(|next| content::pieces(*next).is_none() && *next <= left);
        left -= next.ok_or(InvalidManifest::BadChunks)?;
        end += 1;
    }
    segment.files = file..end;
    Ok((end, 0))
}
