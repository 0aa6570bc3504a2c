//! Measures saves and restores beside `tar --zstd`, on one disk, in one run.
//!
//! `cargo run --release -p outrider-archive --example measure -- DIRECTORY [MEGABYTES]`

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_archive::{
    Base, Bases, BlobError, BlobStore, Limits, Manifest, Place, RestoreRequest, SaveRequest, Saved,
    restore, save,
};
use outrider_model::blob::{Archive, BlobHash, ChunkPlace};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

type Done<T> = Result<T, Box<dyn Error>>;

/// How long a file of the tree is on average.
const FILE: usize = 50_000;

/// A store that is a directory.
struct DirectoryStore {
    directory: PathBuf,
    chunks: Mutex<HashMap<BlobHash, ChunkPlace>>,
}

impl DirectoryStore {
    fn commit(&self, archive: &Archive) {
        let mut chunks = self.chunks.lock().expect("nobody panics with it");
        for index in &archive.new_packs {
            for chunk in &index.chunks {
                let place = ChunkPlace {
                    pack: index.pack,
                    offset: chunk.offset,
                    stored: chunk.stored,
                    length: chunk.length,
                };
                chunks.insert(chunk.hash, place);
            }
        }
    }
}

fn failed(error: std::io::Error) -> BlobError {
    BlobError::Unreachable(Box::new(error))
}

#[async_trait]
impl BlobStore for DirectoryStore {
    async fn find_chunks(&self, hashes: &[BlobHash]) -> Result<Vec<Option<ChunkPlace>>, BlobError> {
        let chunks = self.chunks.lock().expect("nobody panics with it");
        Ok(hashes
            .iter()
            .map(|hash| chunks.get(hash).copied())
            .collect())
    }

    async fn put(&self, hash: BlobHash, bytes: Bytes) -> Result<(), BlobError> {
        fs::write(self.directory.join(hash.to_string()), bytes).map_err(failed)
    }

    async fn get(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, BlobError> {
        let read = || {
            let mut file = fs::File::open(self.directory.join(hash.to_string()))?;
            file.seek(SeekFrom::Start(range.start))?;
            let mut bytes = vec![0; (range.end - range.start) as usize];
            file.read_exact(&mut bytes)?;
            Ok(bytes.into())
        };
        read().map_err(failed)
    }

    async fn get_whole(&self, hash: BlobHash) -> Result<Bytes, BlobError> {
        let bytes = fs::read(self.directory.join(hash.to_string())).map_err(failed)?;
        Ok(bytes.into())
    }
}

/// Numbers that are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Text that shrinks to about a third: words of a language that nobody speaks.
fn text(numbers: &mut Numbers, words: &[String], length: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(length + 32);
    while text.len() < length {
        // Some words are much more frequent than others.
        let most = numbers.below(words.len()) + 1;
        text.extend_from_slice(words[numbers.below(most)].as_bytes());
        text.push(if numbers.below(12) == 0 { b'\n' } else { b' ' });
    }
    text.truncate(length);
    text
}

fn words(numbers: &mut Numbers) -> Vec<String> {
    let mut word = || -> String {
        let length = 3 + numbers.below(9);
        (0..length)
            .map(|_| char::from(b'a' + numbers.below(26) as u8))
            .collect()
    };
    (0..4_000).map(|_| word()).collect()
}

/// Like the packages of a large project: many directories with few files of very different length.
fn make_tree(root: &Path, files: usize) -> Done<Vec<PathBuf>> {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let words = words(&mut numbers);
    let mut paths = Vec::new();
    for number in 0..files {
        let package = number / 20;
        let inner = ["", "lib", "dist/es", "src"][number / 5 % 4];
        let directory = root.join(format!("package-{package}")).join(inner);
        fs::create_dir_all(&directory)?;
        let path = directory.join(format!("module-{number}.js"));
        // From a tenth of the average to nearly twice as much, and a few very large ones.
        let length = match numbers.below(100) {
            0 => 10 * FILE,
            _ => FILE / 10 + numbers.below(FILE * 16 / 10),
        };
        fs::write(&path, text(&mut numbers, &words, length))?;
        paths.push(path);
    }
    Ok(paths)
}

/// Rewrites one file in a hundred.
fn change(paths: &[PathBuf], seed: u64) -> Done<()> {
    let mut numbers = Numbers(seed);
    let words = words(&mut numbers);
    for _ in 0..paths.len() / 100 {
        let path = &paths[numbers.below(paths.len())];
        let length = fs::metadata(path)?.len() as usize;
        fs::write(path, text(&mut numbers, &words, length))?;
    }
    Ok(())
}

fn shell(directory: &Path, line: &str) -> Done<Duration> {
    let start = Instant::now();
    let done = Command::new("sh")
        .args(["-c", line])
        .current_dir(directory)
        .status()?;
    if !done.success() {
        return Err(format!("`{line}` failed").into());
    }
    Ok(start.elapsed())
}

/// One place that is saved and restored.
struct Bench {
    store: Arc<DirectoryStore>,
    root: PathBuf,
}

impl Bench {
    async fn save(&self, state: &str) -> Done<(Saved, Duration)> {
        let start = Instant::now();
        let request = SaveRequest {
            places: vec![Place::new(Base::Work, "tree")?],
            bases: Bases::new().with(Base::Work, &self.root),
            state: Some(self.root.join(state)),
            cancel: CancellationToken::new(),
            progress: None,
        };
        let saved = save(request, self.store.clone()).await?;
        let took = start.elapsed();
        self.store.commit(&saved.archive);
        println!("    {:?}", saved.stats);
        Ok((saved, took))
    }

    async fn restore(&self, archive: &Archive, to: &str, state: &str) -> Done<Duration> {
        let start = Instant::now();
        let cancel = CancellationToken::new();
        let manifest = Manifest::fetch(
            archive.manifest,
            self.store.clone(),
            Limits::default(),
            &cancel,
        );
        let request = RestoreRequest {
            manifest: manifest.await?,
            bases: Bases::new().with(Base::Work, self.root.join(to)),
            state: Some(self.root.join(state)),
            cancel,
            progress: None,
        };
        let restored = restore(request, self.store.clone()).await?;
        println!("    {:?}", restored.stats);
        Ok(start.elapsed())
    }
}

/// The most memory that this process had at any time.
fn peak_memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.unwrap_or_default().to_owned()
}

#[tokio::main]
async fn main() -> Done<()> {
    let mut arguments = std::env::args().skip(1);
    let root = PathBuf::from(arguments.next().ok_or("which directory?")?).join("measure-archive");
    let megabytes: usize = arguments.next().map_or(Ok(1_000), |text| text.parse())?;
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(root.join("store"))?;
    let paths = make_tree(&root.join("tree"), megabytes * 1_000_000 / FILE)?;
    shell(&root, "sync")?;
    let bench = Bench {
        store: Arc::new(DirectoryStore {
            directory: root.join("store"),
            chunks: Mutex::default(),
        }),
        root: root.clone(),
    };
    let report = |what: &str, took: Duration| println!("{what:32} {:8.3} s", took.as_secs_f64());

    let tar_save = shell(&root, "tar --zstd -cf tree.tar.zst tree")?;
    report("tar --zstd -cf", tar_save);
    shell(&root, "sync")?;
    fs::create_dir(root.join("from-tar"))?;
    let tar_restore = shell(&root, "tar --zstd -xf tree.tar.zst -C from-tar")?;
    report("tar --zstd -xf", tar_restore);
    shell(&root, "ls -l tree.tar.zst; rm -r from-tar; sync")?;

    println!("{}", peak_memory());
    let (first, save_first) = bench.save("state-a").await?;
    report("save", save_first);
    shell(&root, "sync")?;
    println!("{}", peak_memory());
    let restore_first = bench.restore(&first.archive, "restored", "state-b").await?;
    report("restore", restore_first);
    println!("{}", peak_memory());
    shell(&root, "diff -r tree restored/tree")?;
    shell(&root, "sync")?;

    change(&paths, 12_345)?;
    let (second, save_second) = bench.save("state-a").await?;
    report("save, 1 % changed", save_second);
    let restore_second = bench
        .restore(&second.archive, "restored", "state-b")
        .await?;
    report("restore, 99 % there", restore_second);
    shell(&root, "diff -r tree restored/tree")?;
    fs::remove_file(root.join("state-b"))?;
    let unknown = bench
        .restore(&second.archive, "restored", "state-b")
        .await?;
    report("restore, all there, no state", unknown);
    let (_, save_third) = bench.save("state-a").await?;
    report("save, nothing changed", save_third);

    let ours = save_first + restore_first;
    let full = ours.as_secs_f64() / (tar_save + tar_restore).as_secs_f64();
    println!("full_ratio {full:.2}");
    let ratio = |slow: Duration, fast: Duration| slow.as_secs_f64() / fast.as_secs_f64();
    println!("resave_speedup {:.1}", ratio(save_first, save_second));
    println!(
        "partial_restore_speedup {:.1}",
        ratio(restore_first, restore_second)
    );
    println!("{}", peak_memory());
    fs::remove_dir_all(&root)?;
    Ok(())
}
