//! The files of test images, as tar archives.

use std::process::Command;

use tar::{Builder, EntryType, Header};

/// The static busybox of Debian's package busybox-static.
const BUSYBOX: &str = "/bin/busybox";

/// A small Debian. `cargo xtask test` puts it there (`xtask/src/tools/debian.rs`).
const DEBIAN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../target/tools/debian-root.tar"
);

/// What the service answers.
const PAGE: &str = "hello from a service\n";

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
    ci:x:1000:1000:ci:/home/ci:/bin/sh\n\
    nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n";

const GROUP: &str = "root:x:0:\nci:x:1000:\nnobody:x:65534:\n";

/// busybox with all its applets, users, and a page for `httpd`.
pub fn busybox() -> Vec<u8> {
    let mut layer = Layer::new();
    for (folder, mode, owner) in [
        ("bin", 0o755, 0),
        ("etc", 0o755, 0),
        ("home", 0o755, 0),
        ("home/ci", 0o755, 1000),
        ("root", 0o700, 0),
        ("srv", 0o755, 0),
        ("tmp", 0o1777, 0),
    ] {
        layer.folder(folder, mode, owner);
    }
    layer.file("bin/busybox", &program(), 0o755);
    for applet in applets() {
        layer.link(&format!("bin/{applet}"), "busybox");
    }
    layer.file("etc/passwd", PASSWD.as_bytes(), 0o644);
    layer.file("etc/group", GROUP.as_bytes(), 0o644);
    layer.file("srv/index.html", PAGE.as_bytes(), 0o644);
    layer.finish()
}

/// One program, and nothing else: no shell, no `/etc`, no `/tmp`.
pub fn scratch() -> Vec<u8> {
    let mut layer = Layer::new();
    layer.file("busybox", &program(), 0o755);
    layer.file("index.html", PAGE.as_bytes(), 0o644);
    layer.finish()
}

/// Debian with bash, glibc, and a few packages.
pub fn debian() -> Vec<u8> {
    std::fs::read(DEBIAN)
        .unwrap_or_else(|error| panic!("{DEBIAN}: {error}\n`cargo xtask test` makes it"))
}

fn program() -> Vec<u8> {
    let program = std::fs::read(BUSYBOX);
    program.unwrap_or_else(|error| panic!("{BUSYBOX}: {error}\n`cargo xtask test` installs it"))
}

fn applets() -> Vec<String> {
    let listed = Command::new(BUSYBOX)
        .arg("--list")
        .output()
        .expect("busybox can be started");
    let names = String::from_utf8(listed.stdout).expect("names of programs");
    names
        .lines()
        .filter(|name| *name != "busybox")
        .map(str::to_owned)
        .collect()
}

/// Without times, so that the same files are the same bytes.
struct Layer(Builder<Vec<u8>>);

impl Layer {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn folder(&mut self, path: &str, mode: u32, owner: u64) {
        let mut header = header(EntryType::Directory, mode);
        header.set_uid(owner);
        header.set_gid(owner);
        self.append(header, path, &[]);
    }

    fn file(&mut self, path: &str, content: &[u8], mode: u32) {
        self.append(header(EntryType::Regular, mode), path, content);
    }

    fn link(&mut self, path: &str, target: &str) {
        let mut header = header(EntryType::Symlink, 0o777);
        self.0
            .append_link(&mut header, path, target)
            .expect("memory can be written");
    }

    fn append(&mut self, mut header: Header, path: &str, content: &[u8]) {
        header.set_size(content.len() as u64);
        self.0
            .append_data(&mut header, path, content)
            .expect("memory can be written");
    }

    fn finish(self) -> Vec<u8> {
        self.0.into_inner().expect("memory can be written")
    }
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header
}

/// An archive of these files, as `docker load` takes it.
pub fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Layer::new();
    for (path, content) in files {
        archive.file(path, content, 0o644);
    }
    archive.finish()
}
