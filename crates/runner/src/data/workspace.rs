//! `persist_to_workspace` and `attach_workspace`.

use std::path::Path;

use outrider_api::data::{AddLayer, Layer};
use outrider_archive::{Base, Bases, Place};
use outrider_model::plan::{AttachWorkspaceStep, PersistToWorkspaceStep};

use super::select::select;
use super::{DataStep, Ended, Exited, done, layers, size, stopped};
use crate::driver::Failure;

/// Runs a `persist_to_workspace` step.
pub async fn persist(step: &DataStep<'_>, spec: &PersistToWorkspaceStep) -> Ended {
    let root = step.places().find(&spec.root);
    let places = selected(step, spec, &root).await?;
    let bases = Bases::new().with(Base::Work, &root);
    let saved = step.save_archive(places, bases).await?;
    let Some(saved) = saved else {
        return Ok(stopped());
    };
    let layer = AddLayer {
        step: step.context.task.step,
        archive: step.blobs().index(saved.archive).await?,
    };
    let added = step
        .blobs()
        .retried(|api, by| api.add_layer(by, &layer))
        .await;
    added?;
    Ok(done())
}

async fn selected(
    step: &DataStep<'_>,
    spec: &PersistToWorkspaceStep,
    root: &Path,
) -> Result<Vec<Place>, Failure> {
    if !root.is_dir() {
        let text = format!(
            "there is no directory {}, the root of persist_to_workspace",
            spec.root
        );
        return Err(Failure::User(text));
    }
    let (patterns, below) = (spec.paths.clone(), root.to_owned());
    let selected = super::blocking(move || select(&below, &patterns)).await?;
    let selected = selected.map_err(Failure::User)?;
    for pattern in &selected.without {
        let text = format!("`{pattern}` matches nothing in {}", spec.root);
        step.say(&text).await;
    }
    if selected.paths.is_empty() {
        let text = format!(
            "none of the paths is in {}: there is nothing to hand on",
            spec.root
        );
        return Err(Failure::User(text));
    }
    let names = selected
        .paths
        .iter()
        .map(|path| match path.as_os_str().is_empty() {
            true => ".".to_owned(),
            false => path.display().to_string(),
        });
    let names: Vec<String> = names.take(10).collect();
    let more = match selected.paths.len().saturating_sub(names.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    step.say(&format!("Persisting {}{more}", names.join(", ")))
        .await;
    let places = selected
        .paths
        .iter()
        .map(|path| Place::new(Base::Work, path));
    let places: Result<_, _> = places.collect();
    places.map_err(|error| Failure::User(error.to_string()))
}

/// Runs an `attach_workspace` step.
pub async fn attach(step: &DataStep<'_>, spec: &AttachWorkspaceStep) -> Ended {
    attach_all(step, spec).await
}

async fn attach_all(step: &DataStep<'_>, spec: &AttachWorkspaceStep) -> Result<Exited, Failure> {
    let workspace = step.blobs().retried(|api, by| api.workspace(by)).await?;
    if workspace.layers.is_empty() {
        let text =
            "The jobs that this one requires have persisted nothing: there is nothing to attach.";
        step.say(text).await;
        return Ok(done());
    }
    let mut manifests = Vec::new();
    for layer in &workspace.layers {
        let manifest = step.manifest(layer.manifest).await;
        manifests.push(manifest.map_err(|failure| not_attached(layer, failure))?);
    }
    if let Some(conflict) = layers::conflict(workspace.layers.iter().zip(&manifests)) {
        let [one, other] = conflict.by;
        return Err(Failure::User(format!(
            "both {one} and {other} have persisted {}, and neither came after the other, so that \
             nobody can say which of the two counts. Persist it in one of them, or under two names",
            conflict.path.display()
        )));
    }
    let target = step.places().find(&spec.at);
    for (layer, manifest) in workspace.layers.iter().zip(manifests) {
        let text = format!(
            "Attaching what {} has persisted: {} files and directories, {}",
            layers::who(layer),
            layer.entries,
            size(layer.size)
        );
        step.say(&text).await;
        let bases = Bases::new().with(Base::Work, &target);
        let restored = step.restore_archive(manifest, bases).await;
        let restored = restored.map_err(|failure| not_attached(layer, failure))?;
        if restored.is_none() {
            return Ok(stopped());
        }
    }
    Ok(done())
}

/// What went wrong with the store, and with which layer.
fn not_attached(layer: &Layer, failure: Failure) -> Failure {
    match failure {
        Failure::Infrastructure(text) => Failure::Infrastructure(format!(
            "cannot attach what {} has persisted: {text}",
            layers::who(layer)
        )),
        failure => failure,
    }
}
