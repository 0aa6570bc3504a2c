//! Finds fast where a needle may begin, so that most of a text is never read byte by byte.
//!
//! The first bytes of every needle, the window, stand side by side in a text. Of four bytes that are
//! looked up in every `stride` bytes of the text, one lot lies within the window of each needle that
//! is there. Most lots are in no window, and a table of bits says so.

use std::collections::BTreeMap;

use super::needle::Gaps;

/// How many bytes are looked up at once.
const LOT: usize = 4;

/// Most of these bits are clear, so few places are looked at in vain: up to 128 KB.
const BITS_PER_LOT: usize = 64;
const MOST_BITS: usize = 1 << 20;

/// Where needles may begin.
pub struct Filter {
    bits: Vec<u64>,
    shift: u32,
    /// The length of the window.
    window: usize,
    stride: usize,
}

impl Filter {
    /// None if a needle has too few bytes before its first blank.
    pub fn new(needles: &BTreeMap<Vec<u8>, Gaps>) -> Option<Self> {
        let runs = needles.iter().map(|(it, gaps)| gaps.first_run(it.len()));
        let window = runs.min().filter(|window| *window >= LOT)?;
        let stride = window - LOT + 1;
        let bits = needles.len() * stride * BITS_PER_LOT;
        let bits = bits.next_power_of_two().min(MOST_BITS);
        let mut filter = Self {
            bits: vec![0; bits / 64],
            shift: 32 - bits.trailing_zeros(),
            window,
            stride,
        };
        for needle in needles.keys() {
            for lot in needle[..window].windows(LOT) {
                let bit = filter.bit([lot[0], lot[1], lot[2], lot[3]]);
                filter.bits[bit / 64] |= 1 << (bit % 64);
            }
        }
        Some(filter)
    }

    /// How many bytes of each needle stand side by side.
    pub const fn window(&self) -> usize {
        self.window
    }

    /// The first place from which a needle may begin whose window is within the text from there on.
    /// The second is the place by which it has begun.
    pub fn find(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let mut at = from;
        while let Some(lot) = text.get(at..at + LOT) {
            let bit = self.bit([lot[0], lot[1], lot[2], lot[3]]);
            if self.bits[bit / 64] & (1 << (bit % 64)) != 0 {
                return Some((from.max((at + 1).saturating_sub(self.stride)), at));
            }
            at += self.stride;
        }
        None
    }

    const fn bit(&self, lot: [u8; LOT]) -> usize {
        (u32::from_le_bytes(lot).wrapping_mul(0x9e37_79b1) >> self.shift) as usize
    }
}
