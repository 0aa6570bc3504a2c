//! What the steps that move data need of a server.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_api::client::{Client, ClientError};
use outrider_api::data::{
    AddLayer, AnnounceBlobs, AnnouncedBlobs, CacheAnswer, FindCache, FindChunks, FoundChunks,
    IndexPacks, LocateBlobs, LocatedBlobs, NamedBlob, ReportDamage, SaveCache, SavedCache,
    StoreArtifacts, StoreTestResults, Transfer, Workspace,
};
use outrider_api::runner::HeldLease;
use outrider_model::BlobHash;

/// The calls about the data of a task. Every one can be repeated safely.
#[async_trait]
pub trait DataApi: Send + Sync {
    /// Says which blobs are about to come, and learns where to send them.
    async fn announce_blobs(
        &self,
        by: HeldLease,
        request: &AnnounceBlobs,
    ) -> Result<AnnouncedBlobs, ClientError>;
    /// Sends a blob to where the announcement says.
    async fn put_blob(
        &self,
        by: HeldLease,
        blob: NamedBlob,
        to: &Transfer,
        bytes: Bytes,
    ) -> Result<(), ClientError>;
    /// Learns where blobs come from.
    async fn locate_blobs(
        &self,
        by: HeldLease,
        request: &LocateBlobs,
    ) -> Result<LocatedBlobs, ClientError>;
    /// Fetches a blob, or a range of it. Nobody has held it against its hash yet.
    async fn get_blob(
        &self,
        by: HeldLease,
        blob: BlobHash,
        from: &Transfer,
        range: Option<Range<u64>>,
    ) -> Result<Bytes, ClientError>;
    /// Says that a blob's bytes are not what its name says.
    async fn report_damage(&self, by: HeldLease, request: &ReportDamage)
    -> Result<(), ClientError>;
    /// Learns which chunks are in the store already.
    async fn find_chunks(
        &self,
        by: HeldLease,
        request: &FindChunks,
    ) -> Result<FoundChunks, ClientError>;
    /// Says what lies in packs, before a commit that would be too long with it.
    async fn index_packs(&self, by: HeldLease, request: &IndexPacks) -> Result<(), ClientError>;
    /// Finds a cache.
    async fn find_cache(
        &self,
        by: HeldLease,
        request: &FindCache,
    ) -> Result<CacheAnswer, ClientError>;
    /// Saves a cache.
    async fn save_cache(
        &self,
        by: HeldLease,
        request: &SaveCache,
    ) -> Result<SavedCache, ClientError>;
    /// Adds to the workspace.
    async fn add_layer(&self, by: HeldLease, request: &AddLayer) -> Result<(), ClientError>;
    /// What earlier jobs have added to the workspace.
    async fn workspace(&self, by: HeldLease) -> Result<Workspace, ClientError>;
    /// Keeps files that people look at.
    async fn store_artifacts(
        &self,
        by: HeldLease,
        request: &StoreArtifacts,
    ) -> Result<(), ClientError>;
    /// Keeps test results.
    async fn store_test_results(
        &self,
        by: HeldLease,
        request: &StoreTestResults,
    ) -> Result<(), ClientError>;
    /// The test results by which the job splits its tests: JSON lines in zstd frames.
    async fn timings(&self, by: HeldLease) -> Result<Option<Bytes>, ClientError>;
}

#[async_trait]
impl DataApi for Client {
    async fn announce_blobs(
        &self,
        by: HeldLease,
        request: &AnnounceBlobs,
    ) -> Result<AnnouncedBlobs, ClientError> {
        Self::announce_blobs(self, by, request).await
    }

    async fn put_blob(
        &self,
        by: HeldLease,
        blob: NamedBlob,
        to: &Transfer,
        bytes: Bytes,
    ) -> Result<(), ClientError> {
        Self::put_blob(self, by, blob, to, bytes).await
    }

    async fn locate_blobs(
        &self,
        by: HeldLease,
        request: &LocateBlobs,
    ) -> Result<LocatedBlobs, ClientError> {
        Self::locate_blobs(self, by, request).await
    }

    async fn get_blob(
        &self,
        by: HeldLease,
        blob: BlobHash,
        from: &Transfer,
        range: Option<Range<u64>>,
    ) -> Result<Bytes, ClientError> {
        Self::get_blob(self, by, blob, from, range).await
    }

    async fn report_damage(
        &self,
        by: HeldLease,
        request: &ReportDamage,
    ) -> Result<(), ClientError> {
        Self::report_damage(self, by, request).await
    }

    async fn find_chunks(
        &self,
        by: HeldLease,
        request: &FindChunks,
    ) -> Result<FoundChunks, ClientError> {
        Self::find_chunks(self, by, request).await
    }

    async fn index_packs(&self, by: HeldLease, request: &IndexPacks) -> Result<(), ClientError> {
        Self::index_packs(self, by, request).await
    }

    async fn find_cache(
        &self,
        by: HeldLease,
        request: &FindCache,
    ) -> Result<CacheAnswer, ClientError> {
        Self::find_cache(self, by, request).await
    }

    async fn save_cache(
        &self,
        by: HeldLease,
        request: &SaveCache,
    ) -> Result<SavedCache, ClientError> {
        Self::save_cache(self, by, request).await
    }

    async fn add_layer(&self, by: HeldLease, request: &AddLayer) -> Result<(), ClientError> {
        Self::add_layer(self, by, request).await
    }

    async fn workspace(&self, by: HeldLease) -> Result<Workspace, ClientError> {
        Self::workspace(self, by).await
    }

    async fn store_artifacts(
        &self,
        by: HeldLease,
        request: &StoreArtifacts,
    ) -> Result<(), ClientError> {
        Self::store_artifacts(self, by, request).await
    }

    async fn store_test_results(
        &self,
        by: HeldLease,
        request: &StoreTestResults,
    ) -> Result<(), ClientError> {
        Self::store_test_results(self, by, request).await
    }

    async fn timings(&self, by: HeldLease) -> Result<Option<Bytes>, ClientError> {
        Self::timings(self, by).await
    }
}

/// Where no data is kept: for a runner whose tasks have none, in simulations of everything else.
#[derive(Clone, Copy, Debug)]
pub struct NoData;

impl NoData {
    fn refuse<T>() -> Result<T, ClientError> {
        Err(ClientError::Protocol {
            url: "nowhere".to_owned(),
            problem: "no data is kept here".to_owned(),
        })
    }
}

#[async_trait]
impl DataApi for NoData {
    async fn announce_blobs(
        &self,
        _: HeldLease,
        _: &AnnounceBlobs,
    ) -> Result<AnnouncedBlobs, ClientError> {
        Self::refuse()
    }

    async fn put_blob(
        &self,
        _: HeldLease,
        _: NamedBlob,
        _: &Transfer,
        _: Bytes,
    ) -> Result<(), ClientError> {
        Self::refuse()
    }

    async fn locate_blobs(
        &self,
        _: HeldLease,
        _: &LocateBlobs,
    ) -> Result<LocatedBlobs, ClientError> {
        Self::refuse()
    }

    async fn get_blob(
        &self,
        _: HeldLease,
        _: BlobHash,
        _: &Transfer,
        _: Option<Range<u64>>,
    ) -> Result<Bytes, ClientError> {
        Self::refuse()
    }

    async fn report_damage(&self, _: HeldLease, _: &ReportDamage) -> Result<(), ClientError> {
        Self::refuse()
    }

    async fn find_chunks(&self, _: HeldLease, _: &FindChunks) -> Result<FoundChunks, ClientError> {
        Self::refuse()
    }

    async fn index_packs(&self, _: HeldLease, _: &IndexPacks) -> Result<(), ClientError> {
        Self::refuse()
    }

    async fn find_cache(&self, _: HeldLease, _: &FindCache) -> Result<CacheAnswer, ClientError> {
        Self::refuse()
    }

    async fn save_cache(&self, _: HeldLease, _: &SaveCache) -> Result<SavedCache, ClientError> {
        Self::refuse()
    }

    async fn add_layer(&self, _: HeldLease, _: &AddLayer) -> Result<(), ClientError> {
        Self::refuse()
    }

    async fn workspace(&self, _: HeldLease) -> Result<Workspace, ClientError> {
        Self::refuse()
    }

    async fn store_artifacts(&self, _: HeldLease, _: &StoreArtifacts) -> Result<(), ClientError> {
        Self::refuse()
    }

    async fn store_test_results(
        &self,
        _: HeldLease,
        _: &StoreTestResults,
    ) -> Result<(), ClientError> {
        Self::refuse()
    }

    async fn timings(&self, _: HeldLease) -> Result<Option<Bytes>, ClientError> {
        Ok(None)
    }
}
