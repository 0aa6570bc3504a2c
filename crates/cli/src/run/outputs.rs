//! What a run tells when its pipeline has ended: which tests failed, and where artifacts are. The
//! server that knows them ends with it.

use std::path::Path;

use outrider_api::client::Client;
use outrider_api::pipelines::Job;
use outrider_model::{Outcome, PipelineId, Status};

use crate::failure::Failure;
use crate::show::say;
use crate::{artifacts, test_results};

/// How many failed tests of a job are shown.
const SHOWN: usize = 10;

/// Shows which tests of jobs that failed have failed.
pub async fn show_failed_tests(client: &Client, pipeline: PipelineId) -> Result<(), Failure> {
    let failed = |job: &Job| job.status == Status::Finished(Outcome::Failed);
    for job in jobs(client, pipeline)
        .await?
        .iter()
        .filter(|job| failed(job))
    {
        let tests = test_results::fetch(client, job.id, true).await?;
        if tests.tests.is_empty() {
            continue;
        }
        say!(
            "── tests of {}: {}",
            job.name,
            test_results::summary(&tests)
        );
        tests.tests.iter().take(SHOWN).for_each(test_results::print);
        if let more @ 1.. = tests.tests.len().saturating_sub(SHOWN) {
            say!("… and {more} more that failed");
        }
    }
    Ok(())
}

/// Copies what the jobs have stored to a folder.
pub async fn save_artifacts(
    client: &Client,
    pipeline: PipelineId,
    folder: &Path,
) -> Result<(), Failure> {
    let jobs = jobs(client, pipeline).await?;
    let named = jobs.into_iter().map(|job| (job.id, job.name));
    artifacts::save_all(client, named, folder).await
}

async fn jobs(client: &Client, pipeline: PipelineId) -> Result<Vec<Job>, Failure> {
    let detail = client.pipeline(pipeline).await?;
    let jobs = detail
        .workflows
        .into_iter()
        .flat_map(|workflow| workflow.jobs);
    Ok(jobs.collect())
}
