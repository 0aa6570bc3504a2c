//! Blobs in an object store.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload};
use outrider_model::Timestamp;

use crate::Object;
use crate::body::{BadBody, Verifier};
use crate::error::{BlobsError, StoreError, Trouble};

/// Objects under a prefix.
pub struct Remote {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// How long one call may take, with all of its tries.
    patience: Duration,
}

impl Remote {
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str, patience: Duration) -> Self {
        Self {
            store,
            prefix: Path::from(prefix),
            patience,
        }
    }

    /// Stores a blob. It is held in memory, so that it can be sent again; it is never larger than
    /// [`outrider_model::blob::LARGEST_BLOB`].
    pub async fn put(
        &self,
        key: &str,
        mut verifier: Verifier,
        body: impl Stream<Item = io::Result<Bytes>>,
    ) -> Result<(), BlobsError> {
        let mut body = std::pin::pin!(body);
        let mut pieces = Vec::new();
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(BadBody::BrokeOff)?;
            verifier.take(&piece)?;
            pieces.push(piece);
        }
        verifier.finish()?;
        let payload = PutPayload::from_iter(pieces);
        let path = self.path(key);
        self.within(self.store.put(&path, payload)).await?;
        Ok(())
    }

    /// The bytes in a range. A connection that breaks is opened again where it broke.
    pub async fn get(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, BlobsError>>, BlobsError> {
        if range.is_empty() {
            // There is no way to ask for no bytes.
            let size = self.size(key).await?;
            let size = size.ok_or_else(|| BlobsError::Missing(key.to_owned()))?;
            return match range.end <= size {
                true => Ok(stream::empty().boxed()),
                false => Err(BlobsError::OutOfRange(key.to_owned())),
            };
        }
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            ..GetOptions::default()
        };
        let path = self.path(key);
        let found = match self.within(self.store.get_opts(&path, options)).await {
            Ok(found) if found.range == range => found,
            Ok(_) => return Err(BlobsError::OutOfRange(key.to_owned())),
            Err(error) => return Err(self.refused(error, key, range.end).await),
        };
        let pieces = found.into_stream();
        Ok(pieces
            .map_err(|error| StoreError::from(error).into())
            .boxed())
    }

    /// How large a blob is, if it is there.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, BlobsError> {
        let path = self.path(key);
        match self.within(self.store.head(&path)).await {
            Ok(found) => Ok(Some(found.size)),
            Err(Refused::Missing) => Ok(None),
            Err(Refused::Store(error)) => Err(error.into()),
        }
    }

    /// Removes blobs that are there. All are tried, and the first that fails is told.
    pub async fn delete(&self, keys: Vec<String>) -> Result<(), BlobsError> {
        let paths: Vec<Path> = keys.iter().map(|key| self.path(key)).collect();
        let paths = stream::iter(paths.into_iter().map(Ok)).boxed();
        let mut deleted = self.store.delete_stream(paths);
        let mut result = Ok(());
        while let Some(one) = deleted.next().await {
            match one.map_err(Refused::from) {
                Err(Refused::Store(error)) if result.is_ok() => result = Err(error.into()),
                _ => {}
            }
        }
        result
    }

    /// All objects under the prefix.
    pub fn list(&self) -> BoxStream<'static, Result<Object, BlobsError>> {
        let prefix = self.prefix.clone();
        let objects = self.store.list(Some(&prefix));
        objects
            .map_err(|error| StoreError::from(error).into())
            .map_ok(move |found| object(&prefix, &found))
            .boxed()
    }

    /// Why there are no bytes. Servers have no common word for a range that is not there, so the
    /// size tells.
    async fn refused(&self, refused: Refused, key: &str, end: u64) -> BlobsError {
        let error = match refused {
            Refused::Missing => return BlobsError::Missing(key.to_owned()),
            Refused::Store(error) => error,
        };
        match (error.trouble, self.size(key).await) {
            (Trouble::Other, Ok(Some(size))) if size < end => {
                BlobsError::OutOfRange(key.to_owned())
            }
            _ => error.into(),
        }
    }

    fn path(&self, key: &str) -> Path {
        // A part that is empty is left out.
        Path::from(format!("{}/{key}", self.prefix))
    }

    /// Waits for a call, and not for ever.
    async fn within<T>(
        &self,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, Refused> {
        match tokio::time::timeout(self.patience, call).await {
            Ok(ended) => Ok(ended?),
            Err(late) => Err(Refused::Store(StoreError::new(Trouble::Silent, late))),
        }
    }
}

/// Why an object store did not do it.
enum Refused {
    /// There is no such object.
    Missing,
    /// Anything else.
    Store(StoreError),
}

impl From<object_store::Error> for Refused {
    fn from(error: object_store::Error) -> Self {
        let missing = matches!(error, object_store::Error::NotFound { .. });
        match StoreError::from(error) {
            // So is a bucket that is not there.
            error if missing && error.trouble == Trouble::Other => Self::Missing,
            error => Self::Store(error),
        }
    }
}

impl From<Refused> for BlobsError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Missing => StoreError::new(Trouble::Other, "the object is gone").into(),
            Refused::Store(error) => error.into(),
        }
    }
}

fn object(prefix: &Path, found: &ObjectMeta) -> Object {
    let path = found.location.as_ref();
    let key = path.strip_prefix(prefix.as_ref()).unwrap_or(path);
    Object {
        key: key.trim_start_matches('/').to_owned(),
        size: found.size,
        stored_at: Timestamp::from_millis(found.last_modified.timestamp_millis()),
    }
}
