//! What a repository has checked out: its index, read without git.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Signature, version and count of entries.
const HEADER: usize = 12;
/// What an entry says of its file, before the hash.
const STAT: usize = 40;
/// The length of hashes: of SHA-1 and of SHA-256.
const HASHES: [usize; 2] = [20, 32];
/// Of the flags: there are two bytes more of them.
const EXTENDED: u16 = 0x4000;
/// Of the flags: how long the name is, or that it is too long to be said.
const LENGTH: u16 = 0x0fff;

/// The files of an index of version 2, 3 or 4. None if it is damaged, or not all of them stand in it.
pub fn tracked(index: &[u8]) -> Option<HashSet<PathBuf>> {
    HASHES.into_iter().find_map(|hash| read(index, hash))
}

fn read(index: &[u8], hash: usize) -> Option<HashSet<PathBuf>> {
    if !index.starts_with(b"DIRC") {
        return None;
    }
    let version = number(index, 4)?;
    let count = number(index, 8)?;
    let body = index.get(..index.len().checked_sub(hash)?)?;
    let mut reader = Reader {
        body,
        at: HEADER,
        name: Vec::new(),
    };
    let mut files = HashSet::new();
    for _ in 0..count {
        let name = match version {
            2 | 3 => reader.padded(hash)?,
            4 => reader.compressed(hash)?,
            _ => return None,
        };
        files.insert(PathBuf::from(OsStr::from_bytes(name)));
    }
    reader.extensions_are_optional().then_some(files)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

struct Reader<'a> {
    body: &'a [u8],
    at: usize,
    /// Of the entry before.
    name: Vec<u8>,
}

impl Reader<'_> {
    /// The next name, of versions 2 and 3. Zeros bring the length of the entry to a multiple of 8.
    fn padded(&mut self, hash: usize) -> Option<&[u8]> {
        let start = self.at;
        let flags = self.flags(hash)?;
        self.name.clear();
        self.rest_of_name(flags)?;
        let length = self.at - start;
        self.at = start + length.next_multiple_of(8);
        Some(&self.name)
    }

    /// The next name, of version 4: how much of the one before is cut off, and what follows then.
    fn compressed(&mut self, hash: usize) -> Option<&[u8]> {
        let flags = self.flags(hash)?;
        let cut = self.variable()?;
        self.name.truncate(self.name.len().checked_sub(cut)?);
        self.rest_of_name(flags)?;
        Some(&self.name)
    }

    fn flags(&mut self, hash: usize) -> Option<u16> {
        let at = self.at + STAT + hash;
        let flags = self.body.get(at..at + 2)?;
        let flags = u16::from_be_bytes(flags.try_into().ok()?);
        self.at = at + if flags & EXTENDED == 0 { 2 } else { 4 };
        Some(flags)
    }

    /// Up to a zero, which is taken too. What the flags say tells whether this is an index.
    fn rest_of_name(&mut self, flags: u16) -> Option<()> {
        let rest = self.body.get(self.at..)?;
        let length = rest.iter().position(|byte| *byte == 0)?;
        self.name.extend_from_slice(&rest[..length]);
        self.at += length + 1;
        let said = usize::from(flags & LENGTH);
        (self.name.len().min(LENGTH.into()) == said).then_some(())
    }

    /// A number of as many bytes as it needs, as git writes offsets.
    fn variable(&mut self) -> Option<usize> {
        let mut value = 0_usize;
        loop {
            let byte = *self.body.get(self.at)?;
            self.at += 1;
            value = value
                .checked_shl(7)?
                .checked_add(usize::from(byte & 0x7f))?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
            value += 1;
        }
    }

    /// Extensions whose names begin in upper case may be passed over. Others say that more files
    /// stand elsewhere, or fewer here.
    fn extensions_are_optional(&mut self) -> bool {
        while self.at < self.body.len() {
            let optional = self.body[self.at].is_ascii_uppercase();
            let Some(size) = number(self.body, self.at + 4).filter(|_| optional) else {
                return false;
            };
            self.at += 8 + size as usize;
        }
        self.at == self.body.len()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    fn git(directory: &Path, arguments: &[&str]) {
        let mut command = Command::new("git");
        command.arg("-C").arg(directory).args(arguments);
        assert!(command.status().unwrap().success(), "{arguments:?}");
    }

    /// An index that git has written.
    fn written(version: &str, format: &str, names: &[&OsStr]) -> Vec<u8> {
        let place = tempfile::tempdir().unwrap();
        let format = format!("--object-format={format}");
        git(place.path(), &["init", "--quiet", &format]);
        for name in names {
            let path = place.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "content").unwrap();
        }
        git(place.path(), &["add", "."]);
        // Only an entry with more flags makes it version 3.
        if version == "3" {
            std::fs::write(place.path().join("later"), "").unwrap();
            git(place.path(), &["add", "--intent-to-add", "later"]);
        } else {
            git(place.path(), &["update-index", "--index-version", version]);
        }
        let index = std::fs::read(place.path().join(".git/index")).unwrap();
        assert_eq!(number(&index, 4).unwrap().to_string(), version);
        index
    }

    #[test]
    fn every_version_names_its_files() {
        let long = vec!["x".repeat(200); 3].join("/");
        let odd = OsStr::from_bytes(b"a/\xff\nb");
        let names = [
            OsStr::new("a/one"),
            OsStr::new("a/other"),
            odd,
            OsStr::new(&long),
        ];
        for version in ["2", "3", "4"] {
            for format in ["sha1", "sha256"] {
                let mut expected: HashSet<_> = names.iter().map(PathBuf::from).collect();
                if version == "3" {
                    expected.insert("later".into());
                }
                let index = written(version, format, &names);
                assert_eq!(tracked(&index), Some(expected), "{version} {format}");
            }
        }
    }

    #[test]
    fn what_is_no_index_or_not_all_of_one_is_told() {
        let index = written("2", "sha1", &[OsStr::new("a"), OsStr::new("b/c")]);
        for length in 0..index.len() {
            assert_eq!(tracked(&index[..length]), None, "{length}");
        }
        let mut split = index;
        let at = split.len() - 20;
        split.splice(at..at, *b"link\0\0\0\0");
        assert_eq!(tracked(&split), None);
        assert_eq!(tracked(&[0xff; 500]), None);
    }
}
