//! `store_artifacts`.

use std::fs::File;
use std::io::{self, Read};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use outrider_api::data::{NamedBlob, NewArtifact, StoreArtifacts};
use outrider_model::BlobHash;
use outrider_model::plan::StoreArtifactsStep;

use super::files::{ArtifactFile, ArtifactFiles, artifact_files};
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
    let files = match artifact_files(&found, &spec.path, spec.destination.as_deref()) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            step.say(&format!("There is no {}: nothing is stored.", spec.path))
                .await;
            return Ok(done());
        }
        Err(error) => return Err(unreadable(&spec.path, &error)),
    };
    let stop = step.context.stop.clone();
    let stored = stop.run_until_cancelled(store_all(step, files)).await;
    stored.map_or(Ok(stopped()), |stored| stored.map(|()| done()))
}

async fn store_all(step: &DataStep<'_>, files: ArtifactFiles) -> Result<(), Failure> {
    if files.skipped > 0 {
        let text = format!(
            "{} links, sockets, pipes or devices are passed over",
            files.skipped
        );
        step.say(&text).await;
    }
    let (mut count, mut bytes) = (0, 0);
    for batch in files.files.chunks(BATCH) {
        let sent = stream::iter(batch.iter().cloned().map(|file| send(step, file)));
        let artifacts: Vec<NewArtifact> = sent.buffered(AT_ONCE).try_collect().await?;
        count += artifacts.len();
        let parts = artifacts.iter().flat_map(|artifact| &artifact.parts);
        bytes += parts.map(|part| part.size).sum::<u64>();
        let stored = StoreArtifacts { artifacts };
        step.blobs()
            .retried(|api, by| api.store_artifacts(by, &stored))
            .await?;
    }
    let files = if count == 1 { "file" } else { "files" };
    step.say(&format!("{count} {files} stored, {}", size(bytes)))
        .await;
    Ok(())
}

/// Sends a file, part by part.
async fn send(step: &DataStep<'_>, file: ArtifactFile) -> Result<NewArtifact, Failure> {
    let unreadable = |error| unreadable(&file.path.display().to_string(), &error);
    let mut open = File::open(&file.path).map_err(unreadable)?;
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
