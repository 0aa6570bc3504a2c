//! Where the server keeps blobs: in a folder, or in an S3 bucket.
//!
//! - A blob is there whole or not at all. What comes in is held against the announced length and
//!   hash, and is stored only if both are right.
//! - [`Blobs::put`] returns when the blob will outlive a power failure (promise P3): there is nothing
//!   else to call before the database counts it.
//! - Everything can be repeated: a put of what is there, a deletion of what is not.
//! - Nothing waits for ever: see [`Patience`].
//! - Whoever gets a URL from [`Blobs::sign_put`] writes past this crate. The bucket checks the length,
//!   not the hash: readers check that, as they do with every blob.

mod body;
mod check;
mod disk;
mod error;
mod location;
mod name;
mod remote;
mod s3;
mod sign;

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use outrider_model::Timestamp;
use outrider_model::blob::BlobHash;

use crate::body::Verifier;
use crate::disk::Disk;
use crate::remote::Remote;
use crate::sign::{Permit, Signer};

pub use body::BadBody;
pub use error::{BlobsError, StoreError, Trouble};
pub use location::{Bucket, InvalidLocation, Location};
pub use name::{BlobName, InvalidBlobName, Tier};
pub use sign::{SignedUrl, Validity};

/// The variables of a process. Those that start with `AWS_` are looked at.
pub type Environment = BTreeMap<String, String>;

/// How long a bucket is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For an answer, and for each next piece of it; a whole upload counts as one.
    pub silence: Duration,
    /// For a call with all that is tried again after an error, up to the first byte of its answer.
    pub total: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            silence: Duration::from_secs(25),
            total: Duration::from_secs(55),
        }
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made or read.
    #[error(transparent)]
    Folder(StoreError),
    /// The environment adds something that does not fit.
    #[error(transparent)]
    Location(#[from] InvalidLocation),
    /// Amazon has many.
    #[error("the bucket's region is not known\nadd `?region=…` to the location, or set AWS_REGION")]
    NoRegion,
    /// The settings make no client.
    #[error("there is no way to talk to the bucket")]
    Client(#[source] object_store::Error),
}

/// The room on a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// What is left for us.
    pub free: u64,
    /// How large the disk is.
    pub total: u64,
}

/// Something that lies in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Where, under the store's root. It need not be a blob's: see [`Object::name`].
    pub key: String,
    /// How large it is.
    pub size: u64,
    /// Since when, by the clock of whoever keeps it.
    pub stored_at: Timestamp,
}

impl Object {
    /// The blob that it is, if it is one.
    pub fn name(&self) -> Option<BlobName> {
        self.key.parse().ok()
    }
}

/// The blobs of an installation. Clones are the same store.
#[derive(Clone)]
pub struct Blobs {
    backend: Backend,
    signer: Option<Arc<Signer>>,
    location: Location,
}

#[derive(Clone)]
enum Backend {
    Disk(Arc<Disk>),
    Remote(Arc<Remote>),
}

impl Blobs {
    /// Opens a store. A folder is made and cleared of what crashes have left; a bucket is not asked
    /// yet: [`Blobs::check`] does that.
    pub fn open(
        location: &Location,
        environment: &Environment,
        patience: Patience,
    ) -> Result<Self, OpenError> {
        let (backend, signer) = match location {
            Location::Folder(path) => {
                let disk = Disk::open(path).map_err(|error| OpenError::Folder(error.into()))?;
                (Backend::Disk(Arc::new(disk)), None)
            }
            Location::Memory => {
                let remote = Remote::new(Arc::new(InMemory::new()), "", patience.total);
                (Backend::Remote(Arc::new(remote)), None)
            }
            Location::Bucket(bucket) => {
                // The one provider of cryptography; an error says that it is installed already.
                let _ = rustls::crypto::ring::default_provider().install_default();
                let (store, signer) = s3::connect(bucket, environment, patience)?;
                let remote = Remote::new(Arc::new(store), &bucket.prefix, patience.total);
                let signer = bucket.signed_urls.then(|| Arc::new(signer));
                (Backend::Remote(Arc::new(remote)), signer)
            }
        };
        Ok(Self {
            backend,
            signer,
            location: location.clone(),
        })
    }

    /// Where it is.
    pub const fn location(&self) -> &Location {
        &self.location
    }

    /// Stores a blob. `Ok` means that all of it came, that it is what its name says, and that it is
    /// kept for good. On `Err` nothing was stored.
    pub async fn put(
        &self,
        name: &BlobName,
        size: u64,
        body: impl Stream<Item = io::Result<Bytes>>,
    ) -> Result<(), BlobsError> {
        self.write(&name.to_string(), name.hash, size, body).await
    }

    /// The bytes of a blob in a range, in pieces. All of the range must be there.
    pub async fn get(
        &self,
        name: &BlobName,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, BlobsError>>, BlobsError> {
        self.read(&name.to_string(), range).await
    }

    /// How large a blob is, if it is there.
    pub async fn size(&self, name: &BlobName) -> Result<Option<u64>, BlobsError> {
        self.measure(&name.to_string()).await
    }

    /// Removes blobs that are there. All are tried, and the first error is told.
    pub async fn delete(&self, names: &[BlobName]) -> Result<(), BlobsError> {
        self.remove(names.iter().map(BlobName::to_string).collect())
            .await
    }

    /// A URL to which somebody may send this blob without us, if the store has such. After that,
    /// [`Blobs::size`] tells whether it is there.
    pub async fn sign_put(
        &self,
        name: &BlobName,
        size: u64,
        validity: Validity,
    ) -> Result<Option<SignedUrl>, BlobsError> {
        self.sign(Permit::Put { size }, name, validity).await
    }

    /// A URL from which somebody may have this blob without us, if the store has such.
    pub async fn sign_get(
        &self,
        name: &BlobName,
        validity: Validity,
    ) -> Result<Option<SignedUrl>, BlobsError> {
        self.sign(Permit::Get, name, validity).await
    }

    /// All that lies in the store, in no order. It is fetched in pages as the stream is read.
    pub fn list(&self) -> BoxStream<'static, Result<Object, BlobsError>> {
        match &self.backend {
            Backend::Disk(disk) => disk.list(),
            Backend::Remote(remote) => remote.list(),
        }
    }

    /// The room on the disk under a folder; nothing is known of a bucket's.
    pub fn free_space(&self) -> Option<DiskSpace> {
        match &self.backend {
            Backend::Disk(disk) => disk.space().ok(),
            Backend::Remote(_) => None,
        }
    }

    async fn sign(
        &self,
        permit: Permit,
        name: &BlobName,
        validity: Validity,
    ) -> Result<Option<SignedUrl>, BlobsError> {
        let (Some(signer), Location::Bucket(bucket)) = (&self.signer, &self.location) else {
            return Ok(None);
        };
        let key = match bucket.prefix.as_str() {
            "" => name.to_string(),
            prefix => format!("{prefix}/{name}"),
        };
        signer.sign(permit, &key, validity).await.map(Some)
    }

    async fn write(
        &self,
        key: &str,
        hash: BlobHash,
        size: u64,
        body: impl Stream<Item = io::Result<Bytes>>,
    ) -> Result<(), BlobsError> {
        let verifier = Verifier::new(hash, size)?;
        match &self.backend {
            Backend::Disk(disk) => disk.put(key, verifier, body).await,
            Backend::Remote(remote) => remote.put(key, verifier, body).await,
        }
    }

    async fn read(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, BlobsError>>, BlobsError> {
        match &self.backend {
            Backend::Disk(disk) => disk.get(key, range).await,
            Backend::Remote(remote) => remote.get(key, range).await,
        }
    }

    async fn measure(&self, key: &str) -> Result<Option<u64>, BlobsError> {
        match &self.backend {
            Backend::Disk(disk) => disk.size(key).await,
            Backend::Remote(remote) => remote.size(key).await,
        }
    }

    async fn remove(&self, keys: Vec<String>) -> Result<(), BlobsError> {
        match &self.backend {
            Backend::Disk(disk) => disk.delete(keys).await,
            Backend::Remote(remote) => remote.delete(keys).await,
        }
    }
}
