//! The server as it is seen inside: calls go through the runner.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use outrider_api::client::ClientError;
use outrider_api::data::{
    AddLayer, AnnounceBlobs, AnnouncedBlobs, CacheAnswer, FindCache, FindChunks, FoundChunks,
    IndexPacks, LocateBlobs, LocatedBlobs, NamedBlob, ReportDamage, SaveCache, SavedCache,
    StoreArtifacts, StoreTestResults, Transfer, Workspace,
};
use outrider_api::runner::HeldLease;
use outrider_executor::Output;
use outrider_model::BlobHash;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::AsyncWrite;
use tokio::sync::oneshot;

use super::protocol::{self, Call, CallError, Up};
use crate::DataApi;

/// What the runner answers.
pub type Answer = (Result<Value, CallError>, Bytes);

/// The way to the runner.
pub struct Proxy {
    writer: tokio::sync::Mutex<Box<dyn AsyncWrite + Send + Unpin>>,
    waiting: Mutex<Waiting>,
}

/// Calls without an answer yet.
#[derive(Default)]
struct Waiting {
    last: u64,
    calls: HashMap<u64, oneshot::Sender<Answer>>,
}

impl Proxy {
    /// By this writer, alone.
    pub fn new(writer: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        Self {
            writer: tokio::sync::Mutex::new(Box::new(writer)),
            waiting: Mutex::default(),
        }
    }

    /// Sends a frame.
    pub async fn send(&self, up: &Up, body: &[u8]) -> io::Result<()> {
        let mut writer = self.writer.lock().await;
        protocol::write(&mut *writer, up, body).await
    }

    /// An answer has come.
    pub fn answered(&self, call: u64, answer: Answer) {
        if let Some(waiting) = self.lock().calls.remove(&call) {
            // Whoever asked may have been told to stop.
            let _ = waiting.send(answer);
        }
    }

    async fn ask<T: DeserializeOwned>(&self, call: Call) -> Result<T, ClientError> {
        let (answer, _) = self.call(call, Bytes::new()).await?;
        serde_json::from_value(answer).map_err(|error| lost(&error))
    }

    async fn call(&self, request: Call, body: Bytes) -> Result<(Value, Bytes), ClientError> {
        let (sender, answer) = oneshot::channel();
        let call = {
            let mut waiting = self.lock();
            waiting.last += 1;
            let call = waiting.last;
            waiting.calls.insert(call, sender);
            call
        };
        let request = Box::new(request);
        let sent = self.send(&Up::Call { call, request }, &body).await;
        sent.map_err(|error| lost(&error))?;
        let (answer, body) = answer.await.map_err(|error| lost(&error))?;
        Ok((answer?, body))
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lost(why: &dyn std::error::Error) -> ClientError {
    ClientError::Protocol {
        url: "the runner".to_owned(),
        problem: why.to_string(),
    }
}

#[async_trait]
impl Output for Proxy {
    async fn write(&self, bytes: Bytes) {
        // Without a runner the step is ended by whoever listens to it.
        let _ = self.send(&Up::Say, &bytes).await;
    }
}

#[async_trait]
impl DataApi for Proxy {
    async fn announce_blobs(
        &self,
        _: HeldLease,
        request: &AnnounceBlobs,
    ) -> Result<AnnouncedBlobs, ClientError> {
        self.ask(Call::AnnounceBlobs(request.clone())).await
    }

    async fn put_blob(
        &self,
        _: HeldLease,
        blob: NamedBlob,
        _: &Transfer,
        bytes: Bytes,
    ) -> Result<(), ClientError> {
        self.call(Call::PutBlob(blob), bytes).await.map(drop)
    }

    async fn locate_blobs(
        &self,
        _: HeldLease,
        request: &LocateBlobs,
    ) -> Result<LocatedBlobs, ClientError> {
        self.ask(Call::LocateBlobs(request.clone())).await
    }

    async fn get_blob(
        &self,
        _: HeldLease,
        blob: BlobHash,
        _: &Transfer,
        range: Option<Range<u64>>,
    ) -> Result<Bytes, ClientError> {
        let answered = self.call(Call::GetBlob(blob, range), Bytes::new()).await;
        answered.map(|(_, bytes)| bytes)
    }

    async fn report_damage(&self, _: HeldLease, request: &ReportDamage) -> Result<(), ClientError> {
        self.ask(Call::ReportDamage(request.clone())).await
    }

    async fn find_chunks(
        &self,
        _: HeldLease,
        request: &FindChunks,
    ) -> Result<FoundChunks, ClientError> {
        self.ask(Call::FindChunks(request.clone())).await
    }

    async fn index_packs(&self, _: HeldLease, request: &IndexPacks) -> Result<(), ClientError> {
        self.ask(Call::IndexPacks(request.clone())).await
    }

    async fn find_cache(
        &self,
        _: HeldLease,
        request: &FindCache,
    ) -> Result<CacheAnswer, ClientError> {
        self.ask(Call::FindCache(request.clone())).await
    }

    async fn save_cache(
        &self,
        _: HeldLease,
        request: &SaveCache,
    ) -> Result<SavedCache, ClientError> {
        self.ask(Call::SaveCache(request.clone())).await
    }

    async fn add_layer(&self, _: HeldLease, request: &AddLayer) -> Result<(), ClientError> {
        self.ask(Call::AddLayer(request.clone())).await
    }

    async fn workspace(&self, _: HeldLease) -> Result<Workspace, ClientError> {
        self.ask(Call::Workspace).await
    }

    async fn store_artifacts(
        &self,
        _: HeldLease,
        request: &StoreArtifacts,
    ) -> Result<(), ClientError> {
        self.ask(Call::StoreArtifacts(request.clone())).await
    }

    async fn store_test_results(
        &self,
        _: HeldLease,
        request: &StoreTestResults,
    ) -> Result<(), ClientError> {
        self.ask(Call::StoreTestResults(request.clone())).await
    }

    /// The runner writes them before the first step.
    async fn timings(&self, _: HeldLease) -> Result<Option<Bytes>, ClientError> {
        Ok(None)
    }
}
