//! Where blobs go and come from: kept by the runner, so that whoever is inside names blobs and
//! never URLs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use outrider_api::data::Transfer;
use outrider_model::BlobHash;

/// So many are remembered. With more all are forgotten, and asked for again.
const MOST: usize = 20_000;

/// What the server said about blobs.
#[derive(Default)]
pub struct Transfers(Mutex<HashMap<BlobHash, Transfer>>);

impl Transfers {
    /// Keeps an answer, and leaves in it only which blobs there is something to do about.
    pub fn keep(&self, blobs: impl IntoIterator<Item = BlobHash>, answer: &mut [Option<Transfer>]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() > MOST {
            kept.clear();
        }
        for (blob, transfer) in blobs.into_iter().zip(answer) {
            if let Some(transfer) = transfer {
                kept.insert(blob, std::mem::replace(transfer, Transfer::Server {}));
            }
        }
    }

    /// What was said about a blob.
    pub fn get(&self, blob: BlobHash) -> Option<Transfer> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&blob).cloned()
    }
}
