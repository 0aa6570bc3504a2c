//! This program as containers see it: a volume with it, its loader and its libraries, so that it
//! runs whatever the image consists of.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, CreateContainerOptionsBuilder,
    UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::answer::answered;
use super::container::program_mount;
use super::engine::{Engine, status};
use super::removal::remove;
use crate::ExecutorError;

/// Where the volume is mounted.
pub(super) const ROOT: &str = "/.outrider";
/// The last file of the volume: with it everything is there.
const COMPLETE: &str = "complete";
/// The names by which jobs call the program, and the helper.
const NAMES: [&str; 3] = ["outrider", "circleci", "circleci-agent"];
/// Where they find them.
pub(super) const HELPERS: &str = "/.outrider/bin";
const BLOCK: usize = 256 << 10;

/// What makes up this program.
#[derive(Debug)]
pub(super) struct Program {
    hash: String,
    volume: String,
    binary: PathBuf,
    /// None: it is linked statically.
    dynamic: Option<Dynamic>,
}

/// What a dynamically linked program needs.
#[derive(Debug)]
struct Dynamic {
    loader: PathBuf,
    libraries: BTreeMap<String, PathBuf>,
}

impl Program {
    /// Looks at the program. Reads all of it.
    pub async fn load(binary: PathBuf) -> Result<Self, ExecutorError> {
        let shown = binary.display().to_string();
        let loaded = spawn_blocking(move || Self::load_blocking(binary)).await;
        loaded.map_err(io::Error::other).flatten().map_err(|error| {
            let message = format!("`{shown}`, which is to run in containers, could not be read");
            ExecutorError::infrastructure(message, error)
        })
    }

    fn load_blocking(binary: PathBuf) -> io::Result<Self> {
        let dynamic = match interpreter(&mut File::open(&binary)?)? {
            None => None,
            Some(loader) => Some(Dynamic {
                libraries: libraries(&loader, &binary)?,
                loader,
            }),
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(&binary)?)?;
        if let Some(Dynamic { loader, libraries }) = &dynamic {
            for path in std::iter::once(loader).chain(libraries.values()) {
                hasher.update_reader(File::open(path)?)?;
            }
        }
        let hash = hasher.finalize().to_hex()[..16].to_owned();
        Ok(Self {
            volume: format!("outrider-program-{hash}"),
            hash,
            binary,
            dynamic,
        })
    }

    /// Of the test that calls it.
    #[cfg(test)]
    pub fn for_tests() -> Self {
        let own = std::env::current_exe().expect("it runs");
        Self::load_blocking(own).expect("it can be read")
    }

    /// Tells programs apart.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The name of its volume.
    pub fn volume(&self) -> &str {
        &self.volume
    }

    /// How it is called in a container, without arguments.
    pub fn command(&self) -> Vec<String> {
        let binary = format!("{ROOT}/lib/outrider");
        match &self.dynamic {
            None => vec![binary],
            Some(dynamic) => vec![
                dynamic.loader_inside(),
                "--library-path".to_owned(),
                format!("{ROOT}/lib"),
                binary,
            ],
        }
    }

    /// Fills the volume, unless it is complete; says whether it was filled now. That takes a
    /// container, of any image that the Engine has, with labels by which it is found again.
    pub async fn ensure(
        &self,
        engine: &Engine,
        image: &str,
        labels: HashMap<String, String>,
    ) -> Result<bool, ExecutorError> {
        let what = "the volume with the runner's program could not be made";
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            entrypoint: Some(self.command()),
            labels: Some(labels),
            host_config: Some(HostConfig {
                mounts: Some(vec![program_mount(self, false)]),
                network_mode: Some("none".to_owned()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let name = self.name_of_filler();
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let docker = engine.docker();
        let filled = match answered(docker, docker.create_container(Some(options), body)).await {
            Ok(_) => self.fill(engine, &name).await,
            Err(error) => Err(error),
        };
        // It may be there although nobody has said so.
        let removed = remove(engine, &name).await;
        let filled = filled.map_err(|error| engine.error(what, error))?;
        removed?;
        Ok(filled)
    }

    /// Others may fill a volume at the same time.
    fn name_of_filler(&self) -> String {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
        format!("{}-{}", self.volume, id.trim())
    }

    async fn fill(&self, engine: &Engine, container: &str) -> Result<bool, bollard::errors::Error> {
        let complete = format!("{ROOT}/{COMPLETE}");
        let options = ContainerArchiveInfoOptionsBuilder::new().path(&complete);
        let found = engine
            .docker()
            .get_container_archive_info(container, Some(options.build()))
            .await;
        match found {
            Ok(_) => return Ok(false),
            Err(error) if status(&error) == Some(404) => {}
            Err(error) => return Err(error),
        }
        let (sender, receiver) = mpsc::channel(4);
        let pack = spawn_blocking({
            let parts = self.parts();
            move || pack(parts, Blocks(sender))
        });
        let body = stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|bytes| (bytes, receiver))
        });
        let options = UploadToContainerOptionsBuilder::new().path(ROOT).build();
        engine
            .docker()
            .upload_to_container(container, Some(options), bollard::body_stream(body))
            .await?;
        pack.await.map_err(io::Error::other).flatten()?;
        Ok(true)
    }

    /// Files of the volume, in the order in which they are written.
    fn parts(&self) -> Vec<(String, Part)> {
        let mut parts = vec![("lib/outrider".to_owned(), Part::Copy(self.binary.clone()))];
        if let Some(dynamic) = &self.dynamic {
            let loader = (dynamic.loader_name(), &dynamic.loader);
            let libraries = dynamic
                .libraries
                .iter()
                .map(|(name, path)| (name.clone(), path));
            parts.extend(
                std::iter::once(loader)
                    .chain(libraries)
                    .map(|(name, path)| (format!("lib/{name}"), Part::Copy(path.clone()))),
            );
        }
        parts.extend(NAMES.map(|name| (format!("bin/{name}"), self.named(name))));
        parts.push((COMPLETE.to_owned(), Part::Text(String::new())));
        parts
    }

    fn named(&self, name: &str) -> Part {
        match &self.dynamic {
            None => Part::Link("../lib/outrider"),
            Some(dynamic) => Part::Text(format!(
                "#!/bin/sh\nLD_PRELOAD= LD_AUDIT= exec {} --argv0 {name} --library-path \
                 {ROOT}/lib {ROOT}/lib/outrider \"$@\"\n",
                dynamic.loader_inside()
            )),
        }
    }
}

impl Dynamic {
    fn loader_name(&self) -> String {
        let name = self.loader.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    fn loader_inside(&self) -> String {
        format!("{ROOT}/lib/{}", self.loader_name())
    }
}

/// How a file of the volume comes about.
enum Part {
    Copy(PathBuf),
    Text(String),
    Link(&'static str),
}

/// Hands out what is written, in blocks.
struct Blocks(mpsc::Sender<Bytes>);

impl Write for Blocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .blocking_send(Bytes::copy_from_slice(bytes))
            .map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn pack(parts: Vec<(String, Part)>, out: Blocks) -> io::Result<()> {
    let mut archive = tar::Builder::new(io::BufWriter::with_capacity(BLOCK, out));
    for (name, part) in parts {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        match part {
            Part::Copy(path) => {
                let file = File::open(path)?;
                header.set_size(file.metadata()?.len());
                archive.append_data(&mut header, name, file)?;
            }
            Part::Text(text) => {
                header.set_size(u64::try_from(text.len()).unwrap_or(u64::MAX));
                archive.append_data(&mut header, name, text.as_bytes())?;
            }
            Part::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                archive.append_link(&mut header, name, target)?;
            }
        }
    }
    archive.into_inner()?.flush()
}

const PT_INTERP: u32 = 3;

/// The loader that a program names. None: it needs none.
fn interpreter(file: &mut File) -> io::Result<Option<PathBuf>> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "it is no program of 64 bits");
    let mut head = vec![0; 4096];
    let length = file.read(&mut head)?;
    head.truncate(length);
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return Err(invalid());
    }
    let number = |at: usize, size: usize| {
        let bytes = head.get(at..at + size).ok_or_else(invalid)?;
        let number = bytes
            .iter()
            .rev()
            .fold(0_u64, |n, &byte| n << 8 | u64::from(byte));
        usize::try_from(number).map_err(|_| invalid())
    };
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for entry in (0..count).map(|index| table.saturating_add(index * size)) {
        if number(entry, 4)? == PT_INTERP as usize {
            let (at, length) = (number(entry + 8, 8)?, number(entry + 32, 8)?);
            let name = head
                .get(at..at.saturating_add(length))
                .ok_or_else(invalid)?;
            let name = String::from_utf8_lossy(name);
            return Ok(Some(PathBuf::from(name.trim_end_matches('\0'))));
        }
    }
    Ok(None)
}

/// Asks the loader which libraries a program gets.
fn libraries(loader: &Path, binary: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    let output = Command::new(loader).arg("--list").arg(binary).output()?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(io::Error::other(complaint));
    }
    Ok(listed(&String::from_utf8_lossy(&output.stdout)))
}

/// Lines such as `libm.so.6 => /lib/libm.so.6 (0x00007f1c)`. Others are the loader itself, and what
/// the kernel provides.
fn listed(list: &str) -> BTreeMap<String, PathBuf> {
    let library = |line: &str| {
        let (name, rest) = line.trim().split_once(" => ")?;
        let path = rest.rsplit_once(" (").map_or(rest, |(path, _)| path);
        Some((name.to_owned(), PathBuf::from(path)))
    };
    list.lines()
        .filter_map(library)
        .filter(|(name, path)| path.is_absolute() && !name.starts_with('/'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_taken_from_what_the_loader_says() {
        let list = "\tlinux-vdso.so.1 (0x00007ffc)\n\tlibc.so.6 => /lib/a b/libc.so.6 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        assert_eq!(
            listed(list),
            BTreeMap::from([("libc.so.6".to_owned(), "/lib/a b/libc.so.6".into())])
        );
    }

    #[test]
    fn what_is_no_program_is_told() {
        let place = tempfile::NamedTempFile::new().expect("a file");
        let error = Program::load_blocking(place.path().to_owned()).expect_err("empty");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        std::fs::write(place.path(), b"\x7fELF\x02\x01").expect("written");
        assert!(
            Program::load_blocking(place.path().to_owned()).is_err(),
            "cut off"
        );
    }

    #[test]
    fn a_program_is_called_through_the_loader_that_it_brings() {
        let program = Program::for_tests();
        let command = program.command();
        assert_eq!(
            command.last().map(String::as_str),
            Some("/.outrider/lib/outrider")
        );
        let parts: Vec<_> = program.parts().into_iter().map(|(name, _)| name).collect();
        assert_eq!(parts.last().map(String::as_str), Some(COMPLETE));
        let loader = command[0].strip_prefix("/.outrider/").expect("inside");
        assert!(parts.iter().any(|part| part == loader), "{parts:?}");
    }
}
