//! `save_cache` and `restore_cache`.
//!
//! A job does not fail because of a cache: what goes wrong with the store or the files is said in
//! the step's output, and the job goes on. Only a key that cannot be filled in is the config's fault.

use std::io::{self, Read};
use std::path::Path;

use outrider_api::data::{FindCache, FoundCache, SaveCache};
use outrider_model::plan::{RestoreCacheStep, SaveCacheStep, Source};
use sha2::{Digest, Sha256};

use super::files::open_regular;
use super::place::Places;
use super::{DataContext, DataStep, Ended, Exited, done, key, stopped};
use crate::driver::Failure;

/// Runs a `save_cache` step.
pub async fn save(step: &DataStep<'_>, spec: &SaveCacheStep) -> Ended {
    let keys = step.cache_keys(vec![spec.key.clone()]).await?;
    let [key] = &keys[..] else {
        return Ok(done());
    };
    match save_under(step, spec, key).await {
        Err(failure) => {
            step.say(&format!("Nothing is cached: {}", failure.text()))
                .await;
            Ok(done())
        }
        ended => ended,
    }
}

async fn save_under(
    step: &DataStep<'_>,
    spec: &SaveCacheStep,
    key: &str,
) -> Result<Exited, Failure> {
    if let Some(found) = find(step, vec![key.to_owned()], true).await? {
        let at = found.created_at;
        let text =
            format!("There is a cache with the key {key} already, from {at}: it stays as it is.");
        step.say(&text).await;
        return Ok(done());
    }
    let places = step.places();
    let (mut wanted, mut paths) = (Vec::new(), Vec::new());
    for path in &spec.paths {
        if places.find(path).symlink_metadata().is_err() {
            step.say(&format!("There is no {path}: it is left out."))
                .await;
            continue;
        }
        wanted.push(places.place(path)?);
        paths.push(path.as_str());
    }
    if wanted.is_empty() {
        step.say("None of the paths is there: nothing is cached.")
            .await;
        return Ok(done());
    }
    step.say(&format!("Saving {} under the key {key}", paths.join(", ")))
        .await;
    let Some(saved) = step.save_archive(wanted, places.bases()).await? else {
        return Ok(stopped());
    };
    let cache = SaveCache {
        key: key.to_owned(),
        archive: step.blobs().index(saved.archive).await?,
    };
    let kept = step
        .blobs()
        .retried(|api, by| api.save_cache(by, &cache))
        .await?;
    if !kept.saved {
        let text =
            format!("Another job has just saved a cache with the key {key}: that one stays.");
        step.say(&text).await;
    }
    Ok(done())
}

/// Runs a `restore_cache` step.
pub async fn restore(step: &DataStep<'_>, spec: &RestoreCacheStep) -> Ended {
    let keys = step.cache_keys(spec.keys.clone()).await?;
    match restore_first(step, keys).await {
        Err(failure) => {
            let text = format!("No cache is restored, as after a miss: {}", failure.text());
            step.say(&text).await;
            Ok(done())
        }
        ended => ended,
    }
}

async fn restore_first(step: &DataStep<'_>, keys: Vec<String>) -> Result<Exited, Failure> {
    let Some(found) = find(step, keys.clone(), false).await? else {
        let tried = keys.join("\n  ");
        step.say(&format!("No cache is found for\n  {tried}")).await;
        return Ok(done());
    };
    let FoundCache { key, entries, .. } = &found;
    let text = format!(
        "Restoring the cache {key} from {}: {entries} files and directories, {}",
        found.created_at,
        super::size(found.size)
    );
    step.say(&text).await;
    let manifest = step.manifest(found.manifest).await?;
    let bases = step.places().bases();
    match step.restore_archive(manifest, bases).await? {
        Some(_) => Ok(done()),
        None => Ok(stopped()),
    }
}

async fn find(
    step: &DataStep<'_>,
    keys: Vec<String>,
    exact: bool,
) -> Result<Option<FoundCache>, Failure> {
    let question = FindCache { keys, exact };
    let answer = step
        .blobs()
        .retried(|api, by| api.find_cache(by, &question))
        .await?;
    Ok(answer.cache)
}

impl DataStep<'_> {
    /// Fills in the templates of keys. Files are read for it.
    async fn cache_keys(&self, templates: Vec<String>) -> Result<Vec<String>, Failure> {
        let context = self.context.clone();
        let places = self.places();
        let filling = move || fill_in(&context, &places, &templates);
        super::blocking(filling).await?.map_err(Failure::User)
    }
}

fn fill_in(
    context: &DataContext,
    places: &Places,
    templates: &[String],
) -> Result<Vec<String>, String> {
    let task = &context.task;
    let trigger = &task.trigger;
    let of_source = match &trigger.source {
        Source::Git { revision, .. } => revision.as_deref(),
        Source::None | Source::Directory { .. } => None,
    };
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let facts = key::Facts {
        branch: trigger.branch.as_deref().unwrap_or_default(),
        revision: trigger
            .revision
            .as_deref()
            .or(of_source)
            .unwrap_or_default(),
        job_number: task.job_number,
        checkout_key: &task.checkout_key,
        variables: &task.variables,
        epoch: context.clock.now().as_millis() / 1_000,
        arch: &key::arch(&cpuinfo),
        checksum: &|file| {
            checksum(&places.find(file)).map_err(|error| {
                format!("needs the checksum of {file}, which cannot be read: {error}")
            })
        },
    };
    let keys = templates
        .iter()
        .map(|template| key::fill_in(template, &facts));
    keys.collect()
}

fn checksum(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = open_regular(path)?;
    let (mut sum, mut buffer) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(sum.finalize().into()),
            read => sum.update(&buffer[..read]),
        }
    }
}
