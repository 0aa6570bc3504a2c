//! `store_artifacts`.

use std::fs::File;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use outrider_api::data::{NamedBlob, NewArtifact, StoreArtifacts};
use outrider_model::BlobHash;
use outrider_model::plan::StoreArtifactsStep;

use super::files::{ArtifactFile, ArtifactFiles, artifact_files, open_regular};
use super::{DataStep, Ended, done, size, stopped};
use crate::driver::Failure;

/// The parts that a file is cut into: so much is read again and sent again at most.
const PART: usize = 8 * 1024 * 1024;
/// How many files are on their way at once.
const AT_ONCE: usize = 3;
/// How many artifacts are named in one call.
const BATCH: usize = 500;

/// Runs the step.
pub async fn store(step: &DataStep<'_>, spec: &StoreArtifactsStep) -> Ended {
    let found = step.places().find(&spec.path);
    let (path, destination) = (spec.path.clone(), spec.destination.clone());
    let looking = move || artifact_files(&found, &path, destination.as_deref());
    let files = match super::blocking(looking).await? {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            step.say(&format!("There is no {}: nothing is stored.", spec.path))
                .await;
            return Ok(done());
        }
        Err(error) => return Err(unreadable(&spec.path, &error)),
    };
    let stop = step.context.stop.clone();
    let sent = AtomicU64::new(0);
    let storing = step.telling(&sent, store_all(step, files, &sent));
    let stored = stop.run_until_cancelled(storing).await;
    stored.map_or(Ok(stopped()), |stored| stored.map(|()| done()))
}

async fn store_all(
    step: &DataStep<'_>,
    files: ArtifactFiles,
    sent: &AtomicU64,
) -> Result<(), Failure> {
    if files.skipped > 0 {
        let text = format!(
            "{} links, sockets, pipes or devices are passed over",
            files.skipped
        );
        step.say(&text).await;
    }
    let mut count = 0;
    for batch in files.files.chunks(BATCH) {
        let sending = batch.iter().cloned().map(|file| send(step, file, sent));
        let sending = stream::iter(sending).buffered(AT_ONCE);
        let artifacts: Vec<NewArtifact> = sending.try_collect().await?;
        count += artifacts.len();
        let stored = StoreArtifacts { artifacts };
        step.blobs()
            .retried(|api, by| api.store_artifacts(by, &stored))
            .await?;
    }
    let files = if count == 1 { "file" } else { "files" };
    let bytes = sent.load(Ordering::Relaxed);
    step.say(&format!("{count} {files} stored, {}", size(bytes)))
        .await;
    Ok(())
}

/// Sends a file, part by part.
async fn send(
    step: &DataStep<'_>,
    file: ArtifactFile,
    sent: &AtomicU64,
) -> Result<NewArtifact, Failure> {
    let unreadable = |error| unreadable(&file.path.display().to_string(), &error);
    let mut open = open_regular(&file.path).map_err(unreadable)?;
    let mut parts = Vec::new();
    loop {
        let (bytes, rest) = tokio::task::spawn_blocking(move || read_part(open))
            .await
            .map_err(|error| Failure::Infrastructure(error.to_string()))?
            .map_err(unreadable)?;
        if bytes.is_empty() && !parts.is_empty() {
            break;
        }
        let part = NamedBlob {
            hash: BlobHash(*blake3::hash(&bytes).as_bytes()),
            size: bytes.len() as u64,
        };
        let last = bytes.len() < PART;
        step.blobs().send(part, bytes).await?;
        sent.fetch_add(part.size, Ordering::Relaxed);
        parts.push(part);
        open = rest;
        if last {
            break;
        }
    }
    Ok(NewArtifact {
        path: step.context.redactor.redact_text(&file.name).into_owned(),
        parts,
    })
}

fn read_part(mut file: File) -> io::Result<(Bytes, File)> {
    let mut bytes = Vec::new();
    (&mut file).take(PART as u64).read_to_end(&mut bytes)?;
    Ok((bytes.into(), file))
}

fn unreadable(path: &str, error: &io::Error) -> Failure {
    Failure::User(format!("cannot read {path}: {error}"))
}
