//! How blocking threads and the asynchronous store come together.
//!
//! Reading, hashing and compressing block and use the processor, so a transfer runs on a few threads
//! of its own. Each thread does all stages of its share of the work, and waits for the store where
//! it needs it; while one waits, others work. So memory is bounded by the number of threads.

use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::store::{BlobError, BlobStore};

/// No more threads work on a transfer: each holds up to 14 MB.
const MAX_WORKERS: usize = 4;

/// Told how many bytes of files are done, each time some more are.
pub type Progress = Arc<dyn Fn(u64) + Send + Sync>;

/// What all parts of a transfer share.
#[derive(Clone)]
pub(crate) struct Session {
    pub store: Arc<dyn BlobStore>,
    runtime: Handle,
    /// Ends the transfer: from outside, or because a part of it failed.
    halt: CancellationToken,
    progress: Option<Progress>,
}

impl Session {
    /// Runs blocking work of a transfer. If the returned future is dropped, the work ends soon.
    pub async fn run<T: Send + 'static>(
        store: Arc<dyn BlobStore>,
        cancel: &CancellationToken,
        progress: Option<Progress>,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let session = Self {
            store,
            runtime: Handle::current(),
            halt: cancel.child_token(),
            progress,
        };
        let _ends_with_this = session.halt.clone().drop_guard();
        let done = tokio::task::spawn_blocking(move || work(&session)).await;
        done.unwrap_or_else(|failed| match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::Canceled),
        })
    }

    /// Waits for the store.
    pub fn wait<T>(&self, answer: impl Future<Output = Result<T, BlobError>>) -> Result<T, Error> {
        let answer = self.halt.run_until_cancelled(answer);
        match self.runtime.block_on(answer) {
            Some(answer) => Ok(answer?),
            None => Err(Error::Canceled),
        }
    }

    /// Fails if the transfer shall end.
    pub fn check(&self) -> Result<(), Error> {
        if self.halt.is_cancelled() {
            return Err(Error::Canceled);
        }
        Ok(())
    }

    /// So many more bytes are done.
    pub fn advance(&self, bytes: u64) {
        if let Some(progress) = &self.progress {
            progress(bytes);
        }
    }

    /// Does the same work on all threads. The first failure ends it everywhere.
    pub fn in_parallel<T: Send>(
        &self,
        work: impl Fn() -> Result<T, Error> + Sync,
    ) -> Result<Vec<T>, Error> {
        let ended = thread::scope(|scope| {
            let one = || work().inspect_err(|_| self.halt.cancel());
            let threads: Vec<_> = (0..workers()).map(|_| scope.spawn(one)).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, _>| thread.join();
            threads.into_iter().map(join).collect::<Vec<_>>()
        });
        let mut done = Vec::new();
        let mut failed = None;
        for end in ended {
            match end.unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
                Ok(part) => done.push(part),
                // Those that were ended because of another one say only that.
                Err(Error::Canceled) => failed = failed.or(Some(Error::Canceled)),
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(done), Err)
    }
}

/// How many threads work on a transfer: more than processors, since some wait for the store.
pub(crate) fn workers() -> usize {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    (processors + 2).min(MAX_WORKERS)
}
