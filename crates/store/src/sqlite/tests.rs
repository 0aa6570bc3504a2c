//! The contract, and what is promised of this backend alone.

mod crash;
mod faults;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use outrider_model::Random;

use super::{Mode, SqliteOptions, SqliteStore};
use crate::Store;

/// Different every time, and the same in every run.
pub struct Counting(AtomicU64);

impl Random for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        let seed = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        blake3::Hasher::new()
            .update(&seed)
            .finalize_xof()
            .fill(buffer);
    }
}

pub fn options() -> SqliteOptions {
    SqliteOptions::new(Arc::new(Counting(AtomicU64::new(0))))
}

mod with_a_writer_thread {
    use super::*;

    fn open() -> (Arc<dyn Store>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (
            Arc::new(SqliteStore::open(folder.path(), options()).unwrap()),
            folder,
        )
    }

    store_contract!(open());
}

mod inline_in_memory {
    use super::*;

    fn open() -> (Arc<dyn Store>, ()) {
        let options = SqliteOptions {
            mode: Mode::Inline,
            ..options()
        };
        (
            Arc::new(SqliteStore::open(":memory:", options).unwrap()),
            (),
        )
    }

    store_contract!(open());
}
