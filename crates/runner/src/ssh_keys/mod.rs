//! `add_ssh_keys`: an `ssh-agent` in the environment of the task holds the keys, and later steps are
//! told where it is. No key is ever written to a disk, and all are gone with the environment's
//! processes.

mod agent;
mod choose;
mod config;

use outrider_model::plan::AddSshKeysStep;
use outrider_model::report::{Exit, Usage};

use crate::attempt::StepContext;
use crate::driver::Failure;

/// The agent holds all keys of the project.
pub async fn hold_all(context: &StepContext) -> Result<(Exit, Option<Usage>), Failure> {
    let keys: Vec<_> = context.secrets.ssh_keys.iter().collect();
    agent::hold(context, &keys).await
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
    agent::hold(context, &keys).await
}
