//! `store_test_results`.

use std::borrow::Cow;
use std::sync::Arc;

use outrider_api::data::{NamedBlob, StoreTestResults};
use outrider_model::BlobHash;
use outrider_model::blob::LARGEST_BLOB;
use outrider_model::plan::StoreTestResultsStep;
use outrider_test_data::{CollectError, Collected, Collector, TestResult};

use super::{DataStep, Ended, done, size, stopped};
use crate::driver::Failure;
use crate::redact::Redactor;

/// Runs the step.
pub async fn store(step: &DataStep<'_>, spec: &StoreTestResultsStep) -> Ended {
    let stop = step.context.stop.clone();
    let stored = stop.run_until_cancelled(store_found(step, spec)).await;
    stored.unwrap_or_else(|| Ok(stopped()))
}

async fn store_found(step: &DataStep<'_>, spec: &StoreTestResultsStep) -> Ended {
    let Some((collected, stored)) = collect(step, spec).await? else {
        step.say(&format!(
            "There is no {}: there are no test results.",
            spec.path
        ))
        .await;
        return Ok(done());
    };
    for note in &collected.notes {
        step.say(&format!("{}: {}", note.path.display(), note.text))
            .await;
    }
    if collected.more_notes > 0 {
        step.say(&format!("… and {} more notes", collected.more_notes))
            .await;
    }
    let length = stored.len() as u64;
    if length > LARGEST_BLOB {
        let text = format!(
            "The results are {} long, and at most {} are kept: they are left out.",
            size(length),
            size(LARGEST_BLOB)
        );
        step.say(&text).await;
        return Ok(done());
    }
    let results = NamedBlob {
        hash: BlobHash(*blake3::hash(&stored).as_bytes()),
        size: length,
    };
    step.blobs().send(results, stored.into()).await?;
    let summary = &collected.summary;
    let call = StoreTestResults {
        step: step.context.task.step,
        results,
        tests: summary.tests,
        failed: summary.failed + summary.errored,
        skipped: summary.skipped,
        millis: u64::try_from(summary.time.as_millis()).unwrap_or(u64::MAX),
    };
    step.blobs()
        .retried(|api, by| api.store_test_results(by, &call))
        .await?;
    let text = format!(
        "{} tests in {} reports: {} failed, {} skipped",
        call.tests, collected.reports, call.failed, call.skipped
    );
    step.say(&text).await;
    Ok(done())
}

/// Reads the reports. Nothing if there is no such file or directory.
async fn collect(
    step: &DataStep<'_>,
    spec: &StoreTestResultsStep,
) -> Result<Option<(Collected, Vec<u8>)>, Failure> {
    let places = step.places();
    let found = places.find(&spec.path);
    if found.metadata().is_err() {
        return Ok(None);
    }
    let redactor = Arc::clone(&step.context.redactor);
    let reading = tokio::task::spawn_blocking(move || {
        let collector = Collector::new(Vec::new(), places.work())?;
        let mut collector = collector.editing(move |result| redact(&redactor, result));
        collector.collect(&found)?;
        collector.finish()
    });
    let collected = reading
        .await
        .map_err(|error| Failure::Infrastructure(error.to_string()))?;
    let collected =
        collected.map_err(|error: CollectError| Failure::User(crate::backoff::chain(&error)));
    collected.map(Some)
}

/// Reports are output too: what is masked in the log is masked here.
fn redact(redactor: &Redactor, result: &mut TestResult) {
    let TestResult {
        suite,
        classname,
        name,
        file,
        kind,
        message,
        ..
    } = result;
    let optional = [file, kind, message].into_iter().flatten();
    for text in [suite, classname, name].into_iter().chain(optional) {
        if let Cow::Owned(masked) = redactor.redact_text(text) {
            *text = masked;
        }
    }
}
