//! A directory of the host as a stream: a tar archive, and a word at its end.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::OFlags;
use tar::{EntryType, Header};
use tokio::sync::mpsc;

use crate::inside::code::WHOLE;

/// So many bytes go at once.
const BLOCK: usize = 256 * 1024;
/// So many blocks wait for the one who takes them.
const AHEAD: usize = 4;

/// Packs a directory, beside the runner's other work, and ahead of whoever takes the blocks. The
/// last one is an error if the directory could not be read.
pub fn start(directory: PathBuf) -> mpsc::Receiver<io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    drop(tokio::task::spawn_blocking(move || {
        let out = BufWriter::with_capacity(BLOCK, Blocks(sender.clone()));
        if let Err(error) = pack(&directory, out) {
            // If nobody takes it any more, nobody needs to know.
            let _ = sender.blocking_send(Err(error));
        }
    }));
    receiver
}

/// Hands out what is written, in blocks.
struct Blocks(mpsc::Sender<io::Result<Bytes>>);

impl Write for Blocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let block = Bytes::copy_from_slice(bytes);
        let sent = self.0.blocking_send(Ok(block));
        sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn pack(directory: &Path, out: impl Write) -> io::Result<()> {
    let mut packer = Packer {
        directory,
        archive: tar::Builder::new(out),
    };
    // The repository comes first: what is cut off after it can be mended by another checkout.
    let (repository, rest): (Vec<_>, Vec<_>) = packer
        .names(Path::new(""))?
        .into_iter()
        .partition(|name| name == Path::new(".git"));
    for name in repository.into_iter().chain(rest) {
        packer.add(&name)?;
    }
    let mut out = packer.archive.into_inner()?;
    out.write_all(WHOLE)?;
    out.flush()
}

struct Packer<'a, W: Write> {
    directory: &'a Path,
    archive: tar::Builder<W>,
}

impl<W: Write> Packer<'_, W> {
    fn names(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let full = self.directory.join(path);
        let entries = full.read_dir().map_err(|error| named(&full, &error))?;
        entries
            .map(|entry| Ok(path.join(entry?.file_name())))
            .collect()
    }

    /// Adds what has this name, a directory with all that is in it. Links are not followed, and what
    /// is neither file nor directory nor link is passed over.
    fn add(&mut self, path: &Path) -> io::Result<()> {
        let full = self.directory.join(path);
        let meta = full.symlink_metadata();
        let meta = meta.map_err(|error| named(&full, &error))?;
        if meta.is_dir() {
            let header = header(&meta, EntryType::Directory, 0);
            self.append(header, path, io::empty())?;
            for name in self.names(path)? {
                self.add(&name)?;
            }
        } else if meta.is_symlink() {
            let target = full.read_link().map_err(|error| named(&full, &error))?;
            let mut header = header(&meta, EntryType::Symlink, 0);
            let field = &mut header.as_old_mut().linkname;
            self.name(EntryType::GNULongLink, &target, field)?;
            self.append(header, path, io::empty())?;
        } else if meta.is_file() {
            let file = open(&full).map_err(|error| named(&full, &error))?;
            let meta = file.metadata()?;
            self.append(header(&meta, EntryType::Regular, meta.len()), path, file)?;
        }
        Ok(())
    }

    fn append(&mut self, mut header: Header, path: &Path, data: impl Read) -> io::Result<()> {
        self.name(EntryType::GNULongName, path, &mut header.as_old_mut().name)?;
        header.set_cksum();
        self.archive.append(&header, data)
    }

    /// Writes a name as it is, byte by byte: into its field, or before the entry if it is too long.
    fn name(&mut self, kind: EntryType, name: &Path, field: &mut [u8]) -> io::Result<()> {
        let name = name.as_os_str().as_bytes();
        if let Some(field) = field.get_mut(..name.len()) {
            field.copy_from_slice(name);
            return Ok(());
        }
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_path("././@LongLink")?;
        header.set_size(name.len() as u64 + 1);
        header.set_cksum();
        self.archive.append(&header, name.chain(&[0][..]))
    }
}

fn header(meta: &Metadata, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(meta.mode() & 0o777);
    header.set_mtime(u64::try_from(meta.mtime()).unwrap_or(0));
    header.set_size(size);
    header
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
