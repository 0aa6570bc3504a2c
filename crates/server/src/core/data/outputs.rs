//! Artifacts and test results.

use std::sync::Arc;

use outrider_api::ErrorCode;
use outrider_api::data::{NewArtifact, StoreTestResults};
use outrider_store::{HeldLease, NewTestResults, TestCounts};

use super::{Download, check_length, check_number};
use crate::{ApiError, Core};

/// The longest path of an artifact, in bytes.
const LONGEST_PATH: usize = 4_096;

impl Core {
    /// Keeps files that people look at.
    pub async fn store_artifacts(
        &self,
        by: HeldLease,
        artifacts: Vec<NewArtifact>,
    ) -> Result<(), ApiError> {
        check_length(artifacts.len())?;
        for artifact in &artifacts {
            check_path(&artifact.path)?;
        }
        let parts = artifacts.iter().flat_map(|artifact| &artifact.parts);
        self.confirm(by, parts.map(|part| part.hash)).await?;
        let new = artifacts
            .into_iter()
            .map(|artifact| outrider_store::NewArtifact {
                path: artifact.path,
                parts: artifact.parts.iter().map(|part| part.hash).collect(),
            });
        let (retention, now) = (self.settings.data.artifact_retention, self.clock.now());
        let new = new.collect();
        Ok(self.store.store_artifacts(by, new, retention, now).await?)
    }

    /// Keeps what a step has read from test reports.
    pub async fn store_test_results(
        &self,
        by: HeldLease,
        results: StoreTestResults,
    ) -> Result<(), ApiError> {
        let counts = TestCounts {
            tests: results.tests,
            failed: results.failed,
            skipped: results.skipped,
            millis: results.millis,
        };
        check_counts(counts)?;
        let hash = results.results.hash;
        self.confirm(by, std::iter::once(hash)).await?;
        let new = NewTestResults {
            step: results.step,
            blob: hash,
            counts,
            retention: self.settings.data.results_retention,
        };
        let now = self.clock.now();
        Ok(self.store.store_test_results(by, new, now).await?)
    }

    /// The test results by which the tasks of a job split their tests, if there are any.
    pub async fn timings(self: &Arc<Self>, by: HeldLease) -> Result<Option<Download>, ApiError> {
        let results = self.store.timings(by).await?;
        if results.is_empty() {
            return Ok(None);
        }
        let blobs: Vec<_> = results.into_iter().map(|one| one.blob).collect();
        // A job without timings can start; one whose timings break off cannot.
        if !self.all_there(&blobs).await? {
            return Ok(None);
        }
        let size = blobs.iter().map(|blob| blob.size).sum();
        self.read_blobs(blobs, 0..size).await.map(Some)
    }
}

fn check_counts(counts: TestCounts) -> Result<(), ApiError> {
    let TestCounts {
        tests,
        failed,
        skipped,
        millis,
    } = counts;
    [tests, failed, skipped, millis]
        .into_iter()
        .try_for_each(check_number)
}

fn check_path(path: &str) -> Result<(), ApiError> {
    let problem = if path.len() > LONGEST_PATH {
        "is longer than 4096 bytes"
    } else if path.contains('\0') {
        "has a NUL"
    } else if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        "is not a plain relative path"
    } else {
        return Ok(());
    };
    let shown: String = path.chars().take(200).collect();
    Err(ApiError::new(
        ErrorCode::BadRequest,
        format!("the path of the artifact {shown:?} {problem}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::check_path;

    #[test]
    fn paths_are_plain_and_relative() {
        for good in ["a", "a/b.html", "...", "a b/ü", ".hidden"] {
            check_path(good).unwrap();
        }
        let long = "a".repeat(4_097);
        for bad in ["", "/a", "a/", "a//b", "./a", "a/../b", "a\0", &long] {
            check_path(bad).unwrap_err();
        }
    }
}
