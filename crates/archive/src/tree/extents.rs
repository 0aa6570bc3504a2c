//! The parts of a sparse file that hold data.

use rustix::fd::AsFd;
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// A file with more parts than this counts as dense from there on.
pub(crate) const MAX_EXTENTS: usize = 16_384;

/// A part of a file that holds data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub start: u64,
    pub length: u64,
}

impl Extent {
    pub fn end(self) -> u64 {
        self.start + self.length
    }
}

/// Where a file of this size holds data. None means everywhere.
pub(crate) fn extents(file: impl AsFd, size: u64) -> Result<Option<Box<[Extent]>>, Errno> {
    let file = file.as_fd();
    let mut found = Vec::new();
    let mut from = 0;
    while from < size {
        let start = match seek(file, SeekFrom::Data(from)) {
            Ok(start) => start.min(size),
            // Nothing but a hole up to the end.
            Err(Errno::NXIO) => break,
            // This file system does not know of holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(None),
            Err(error) => return Err(error),
        };
        let end = match seek(file, SeekFrom::Hole(start)) {
            _ if found.len() + 1 == MAX_EXTENTS => size,
            Ok(end) => end.min(size),
            // The file became shorter meanwhile.
            Err(Errno::NXIO) => size,
            Err(error) => return Err(error),
        };
        if end > start {
            let length = end - start;
            found.push(Extent { start, length });
        }
        from = end.max(from + 1);
    }
    let whole = [Extent {
        start: 0,
        length: size,
    }];
    Ok((found != whole).then(|| found.into()))
}

/// Where in a file a range of its data lies.
pub(crate) fn ranges(
    extents: Option<&[Extent]>,
    mut at: u64,
    mut length: u64,
) -> impl Iterator<Item = Extent> {
    const EVERYWHERE: Extent = Extent {
        start: 0,
        length: u64::MAX,
    };
    let extents = extents.unwrap_or(std::slice::from_ref(&EVERYWHERE));
    extents.iter().filter_map(move |extent| {
        if at >= extent.length {
            at -= extent.length;
            return None;
        }
        let here = Extent {
            start: extent.start + at,
            length: length.min(extent.length - at),
        };
        at = 0;
        length -= here.length;
        (here.length > 0).then_some(here)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_found_between_holes() {
        let extents = [(10, 5), (20, 1), (30, 100)].map(|(start, length)| Extent { start, length });
        let found = |at, length| -> Vec<(u64, u64)> {
            ranges(Some(&extents), at, length)
                .map(|range| (range.start, range.length))
                .collect()
        };
        assert_eq!(found(0, 106), [(10, 5), (20, 1), (30, 100)]);
        assert_eq!(found(3, 4), [(13, 2), (20, 1), (30, 1)]);
        assert_eq!(found(6, 2), [(30, 2)]);
        assert_eq!(ranges(None, 7, 9).count(), 1);
    }
}
