//! Whether a store does what it is for.

use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use outrider_model::Random;
use outrider_model::blob::BlobHash;

use crate::Blobs;
use crate::error::{BlobsError, StoreError, Trouble};

/// What is written, so that who finds it knows what it is.
const TEXT: &[u8] =
    b"Outrider writes, reads and deletes this to see whether blobs can be kept here.\n";

impl Blobs {
    /// Writes, reads and deletes a small object, and looks into the list: all that is needed later.
    /// The error says what to do.
    pub async fn check(&self, random: &dyn Random) -> Result<(), BlobsError> {
        let mut number = [0; 8];
        random.fill(&mut number);
        let key = format!("check/{:016x}", u64::from_be_bytes(number));
        let hash = BlobHash(*blake3::hash(TEXT).as_bytes());
        let body = stream::iter([Ok(Bytes::from_static(TEXT))]);
        self.write(&key, hash, TEXT.len() as u64, body).await?;
        let checked = self.check_object(&key).await;
        // It goes, whatever came out.
        let removed = self.remove(vec![key.clone()]).await;
        checked.and(removed)?;
        match self.measure(&key).await? {
            None => Ok(()),
            Some(_) => Err(forgetful("an object is there that was deleted")),
        }
    }

    async fn check_object(&self, key: &str) -> Result<(), BlobsError> {
        let pieces = self.read(key, 0..TEXT.len() as u64).await?;
        let found: Vec<Bytes> = pieces.try_collect().await?;
        if found.concat() != TEXT {
            return Err(forgetful("an object has other bytes than were written"));
        }
        match self.list().try_next().await? {
            Some(_) => Ok(()),
            None => Err(forgetful("the list does not have what was written")),
        }
    }
}

fn forgetful(what: &'static str) -> BlobsError {
    StoreError::new(Trouble::Forgetful, what).into()
}
