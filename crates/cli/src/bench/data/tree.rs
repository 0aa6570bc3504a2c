//! A tree of files like the packages of a large project, the same in each run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How long a file is on average.
const FILE: usize = 50_000;

/// A tree that was made.
pub struct Tree {
    files: Vec<PathBuf>,
}

impl Tree {
    /// Many directories with few files of very different length.
    pub fn make(root: &Path, bytes: usize) -> io::Result<Self> {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        let words = words(&mut numbers);
        let mut files = Vec::new();
        for number in 0..bytes / FILE {
            let inner = ["", "lib", "dist/es", "src"][number / 5 % 4];
            let directory = root.join(format!("package-{}", number / 20)).join(inner);
            fs::create_dir_all(&directory)?;
            let path = directory.join(format!("module-{number}.js"));
            // From a tenth of the average to nearly twice as much, and a few very large ones.
            let length = match numbers.below(100) {
                0 => 10 * FILE,
                _ => FILE / 10 + numbers.below(FILE * 16 / 10),
            };
            fs::write(&path, text(&mut numbers, &words, length))?;
            files.push(path);
        }
        Ok(Self { files })
    }

    /// How many files it has.
    pub const fn files(&self) -> usize {
        self.files.len()
    }

    /// Writes one file in a hundred anew, others for each seed.
    pub fn change(&self, seed: u64) -> io::Result<()> {
        let mut numbers = Numbers(seed + 12_345);
        let words = words(&mut numbers);
        for _ in 0..self.files.len() / 100 {
            let path = &self.files[numbers.below(self.files.len())];
            let length = usize::try_from(fs::metadata(path)?.len()).map_err(io::Error::other)?;
            fs::write(path, text(&mut numbers, &words, length))?;
        }
        Ok(())
    }
}

/// Numbers that are the same in each run (xorshift).
struct Numbers(u64);

impl Numbers {
    const fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
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
        let letters = (0..length).map(|_| char::from(b'a' + numbers.below(26) as u8));
        letters.collect()
    };
    (0..4_000).map(|_| word()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_touches_one_file_in_a_hundred_at_most() {
        let folder = tempfile::tempdir().expect("a folder");
        let tree = Tree::make(folder.path(), 200 * FILE).expect("made");
        let read = || -> Vec<Vec<u8>> {
            let files = tree.files.iter();
            files.map(|file| fs::read(file).expect("read")).collect()
        };
        let before = read();
        tree.change(1).expect("changed");
        let after = read();
        let changed = before.iter().zip(&after).filter(|(old, new)| old != new);
        assert!((1..=2).contains(&changed.count()));
        assert!(
            before
                .iter()
                .zip(&after)
                .all(|(old, new)| old.len() == new.len())
        );
    }
}
