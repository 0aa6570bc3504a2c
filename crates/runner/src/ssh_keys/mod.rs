//! `add_ssh_keys`: an `ssh-agent` in the environment of the task holds the keys, and later steps are
//! told where it is. No key is ever written to a disk, and all are gone with the environment's
//! processes. A `checkout` by SSH has an agent of its own, with all keys of the project, which later
//! steps know nothing of: they get what `add_ssh_keys` names.

mod agent;
mod choose;
mod config;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use outrider_model::plan::AddSshKeysStep;
use outrider_model::report::{Exit, Usage};

use crate::attempt::StepContext;
use crate::driver::Failure;

/// All keys of the project, until this is dropped.
pub struct Lent {
    /// How that ended.
    pub ended: (Exit, Option<Usage>),
    /// Scripts that run by this find the keys.
    pub context: StepContext,
    _folder: Folder,
}

/// A folder that goes when this is dropped, and the agent in it soon after its socket.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!("cannot remove {}: {error}", self.0.display());
        }
    }
}

/// Lends the keys to a checkout.
pub async fn lend(context: &StepContext) -> Result<Lent, Failure> {
    let place = agent::OF_CHECKOUT;
    let folder = Folder(place.folder(context));
    let keys: Vec<_> = context.secrets.ssh_keys.iter().collect();
    let held = place.hold(context, &keys).await?;
    let mut variables = BTreeMap::clone(&context.variables);
    let lent = held.variables.into_iter();
    variables.extend(lent.map(|(name, value)| (name.to_owned(), value)));
    Ok(Lent {
        ended: held.ended,
        context: StepContext {
            variables: Arc::new(variables),
            ..context.clone()
        },
        _folder: folder,
    })
}

/// Runs the step.
pub async fn run(
    context: &StepContext,
    step: &AddSshKeysStep,
) -> Result<(Exit, Option<Usage>), Failure> {
    let all = &context.secrets.ssh_keys;
    if all.is_empty() {
        context
            .say(
                "This project has no SSH keys here: the keys of the runner's own user are used, if \
                 it has some.",
            )
            .await;
        return Ok((Exit::Code(0), None));
    }
    let keys = choose::choose(all, &step.fingerprints).map_err(Failure::User)?;
    for key in &keys {
        let host = key.host.iter().map(|host| format!(" for {host}"));
        let host: String = host.collect();
        context.say(&format!("{}{host}", key.fingerprint)).await;
    }
    let held = agent::OF_STEPS.hold(context, &keys).await?;
    for (name, value) in held.variables {
        context.export(name, value);
    }
    Ok(held.ended)
}
