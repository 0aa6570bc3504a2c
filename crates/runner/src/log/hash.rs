//! BLAKE3 of a log in blocks, so that a runner that was killed can still tell the hash of a log
//! whose first blocks it had delivered and removed from its disk.
//!
//! BLAKE3 is a binary tree over chunks of 1 KiB. Every [`BLOCK`] but the last is a whole subtree;
//! its chaining value stands for it. See the BLAKE3 specification, sections 2.1 and 2.4.

use blake3::Hasher;
use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

/// Bytes of a block: a power of two, as the tree wants it.
pub const BLOCK: u64 = 16 * 1024 * 1024;

type ChainingValue = [u8; 32];

/// The hash of what came so far.
#[derive(Clone, Debug, Default)]
pub struct TreeHash {
    /// Of the blocks that are full and followed by more.
    done: Vec<ChainingValue>,
    /// Of the block that comes last; boxed because most logs wait a while for their first byte.
    last: Option<Box<Hasher>>,
    /// Bytes of the last block.
    filled: u64,
}

impl TreeHash {
    /// That of a log that starts with these blocks.
    pub const fn after(blocks: Vec<ChainingValue>) -> Self {
        Self {
            done: blocks,
            last: None,
            filled: 0,
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.filled == BLOCK {
                self.close_block();
            }
            let room = usize::try_from(BLOCK - self.filled).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            let offset = self.done.len() as u64 * BLOCK;
            let last = self.last.get_or_insert_with(|| {
                let mut hasher = Box::new(Hasher::new());
                hasher.set_input_offset(offset);
                hasher
            });
            last.update(now);
            self.filled += now.len() as u64;
            bytes = later;
        }
    }

    fn close_block(&mut self) {
        if let Some(last) = self.last.take() {
            self.done.push(last.finalize_non_root());
            self.filled = 0;
        }
    }

    /// Chaining values of the full blocks from `from` to before `to`, as far as they are known.
    pub fn blocks(&self, from: u64, to: u64) -> &[ChainingValue] {
        let known = self.done.len();
        let bound = |n: u64| usize::try_from(n).unwrap_or(known).min(known);
        &self.done[bound(from).min(bound(to))..bound(to)]
    }

    /// The hash.
    pub fn root(&self) -> [u8; 32] {
        let last = match (&self.last, self.done.is_empty()) {
            (Some(last), true) => return *last.finalize().as_bytes(),
            (None, true) => return *blake3::hash(b"").as_bytes(),
            (Some(last), false) => Some(last.finalize_non_root()),
            (None, false) => None,
        };
        let leaves: Vec<_> = self.done.iter().copied().chain(last).collect();
        let (left, right) = leaves.split_at(left_half(leaves.len()));
        *merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash).as_bytes()
    }
}

/// How many of `count` leaves (at least 2) stand left of the root: the greatest power of two that
/// leaves some for the right.
const fn left_half(count: usize) -> usize {
    count.next_power_of_two() / 2
}

fn subtree(leaves: &[ChainingValue]) -> ChainingValue {
    match leaves {
        [] => [0; 32],
        [one] => *one,
        _ => {
            let (left, right) = leaves.split_at(left_half(leaves.len()));
            merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_plain_hash_at_every_length() {
        let block = usize::try_from(BLOCK).unwrap();
        let data: Vec<u8> = (0..=3 * block).map(|n| (n % 251) as u8).collect();
        for length in [
            0,
            1,
            1025,
            block - 1,
            block,
            block + 1,
            2 * block,
            3 * block + 1,
        ] {
            let mut hash = TreeHash::default();
            data[..length]
                .chunks(1_000_003)
                .for_each(|part| hash.update(part));
            assert_eq!(
                hash.root(),
                *blake3::hash(&data[..length]).as_bytes(),
                "{length}"
            );
            let known = hash.blocks(0, 9).len();
            let mut resumed = TreeHash::after(hash.blocks(0, 9).to_vec());
            resumed.update(&data[known * block..length]);
            assert_eq!(resumed.root(), hash.root(), "resumed at {length}");
        }
    }
}
