//! What people see of artifacts and tests.

use bytes::Bytes;
use futures_util::TryStreamExt;
use outrider_api::outputs::{Artifact, JobTests, MOST_TESTS, Test, TestsQuery};
use outrider_model::{JobId, TaskId};
use outrider_store::{ArtifactContent, BlobRecord, TestResultsRecord};
use outrider_test_data::TestResult;
use outrider_test_data::stored::{self, Limits, StoredError};

use super::name_of;
use crate::error::chain;
use crate::{ApiError, Core};

impl Core {
    /// The artifacts of a job.
    pub async fn artifacts(&self, job: JobId) -> Result<Vec<Artifact>, ApiError> {
        self.store.job(job).await?;
        let records = self.store.artifacts(job).await?;
        Ok(records
            .into_iter()
            .map(|record| Artifact {
                task: record.task,
                index: record.index,
                path: record.path,
                size: record.size,
                created_at: record.created_at,
            })
            .collect())
    }

    /// Where an artifact lies.
    pub async fn artifact(&self, task: TaskId, path: String) -> Result<ArtifactContent, ApiError> {
        Ok(self.store.artifact(task, path).await?)
    }

    /// Tests of a job.
    pub async fn tests(&self, job: JobId, query: &TestsQuery) -> Result<JobTests, ApiError> {
        self.store.job(job).await?;
        let records = self.store.test_results(job).await?;
        let sum = |count: fn(&TestResultsRecord) -> u64| {
            let counts = records.iter().map(count);
            counts.fold(0, u64::saturating_add)
        };
        let mut page = Page::new(query);
        let mut shown = JobTests {
            total: sum(|record| record.counts.tests),
            failed: sum(|record| record.counts.failed),
            skipped: sum(|record| record.counts.skipped),
            millis: sum(|record| record.counts.millis),
            tests: Vec::new(),
            more: false,
        };
        for record in records {
            if page.more || (query.failed && record.counts.failed == 0) {
                continue;
            }
            let bytes = self.whole(&record.blob).await?;
            let read = tokio::task::spawn_blocking(move || {
                // They are what a runner sent: what makes no sense hides nothing else.
                if let Err(error) = page.take(&record, &bytes) {
                    let error = chain(&error);
                    tracing::warn!(task = %record.task, error, "test results cannot be read");
                }
                page
            });
            page = read
                .await
                .map_err(|error| ApiError::internal("read test results", &error))?;
        }
        shown.more = page.more;
        shown.tests = page.tests;
        Ok(shown)
    }

    async fn whole(&self, blob: &BlobRecord) -> Result<Vec<u8>, ApiError> {
        let pieces = self.blobs.get(&name_of(&blob.object), 0..blob.size).await?;
        let pieces: Vec<Bytes> = pieces.try_collect().await?;
        Ok(pieces.concat())
    }
}

/// The tests that were asked for.
struct Page {
    failed: bool,
    skip: u64,
    most: usize,
    tests: Vec<Test>,
    more: bool,
}

impl Page {
    fn new(query: &TestsQuery) -> Self {
        let most = query.limit.unwrap_or(MOST_TESTS).min(MOST_TESTS);
        Self {
            failed: query.failed,
            skip: query.offset,
            most: usize::try_from(most).unwrap_or(usize::MAX),
            tests: Vec::new(),
            more: false,
        }
    }

    fn take(&mut self, record: &TestResultsRecord, bytes: &[u8]) -> Result<(), StoredError> {
        for result in stored::read(bytes, Limits::default())? {
            let result = result?;
            if self.failed && !result.outcome.is_failure() {
                continue;
            }
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            if self.tests.len() == self.most {
                self.more = true;
                return Ok(());
            }
            self.tests.push(test(record, result));
        }
        Ok(())
    }
}

fn test(record: &TestResultsRecord, result: TestResult) -> Test {
    Test {
        task: record.task,
        index: record.index,
        suite: result.suite,
        classname: result.classname,
        name: result.name,
        file: result.file,
        outcome: result.outcome.as_str().to_owned(),
        seconds: result.time.as_secs_f64(),
        kind: result.kind,
        message: result.message,
        reruns: result.reruns,
    }
}
