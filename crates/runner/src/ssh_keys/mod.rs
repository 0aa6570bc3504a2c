//! `add_ssh_keys`: an `ssh-agent` in the environment of the task holds the keys, and later steps are
//! told where it is. No key is ever written to a disk, and all are gone with the environment's
//! processes. A `checkout` by SSH has an agent of its own, with all keys of the project, which later
//! steps know nothing of: they get what `add_ssh_keys` names.

mod agent;
mod choose;
mod config;

use std::collections::BTreeMap;
use std::sync::Arc;

use outrider_executor::Files;
use outrider_model::plan::AddSshKeysStep;
use outrider_model::report::{Exit, Usage};

use crate::attempt::StepContext;
use crate::driver::Failure;

/// All keys of the project, until they are taken back.
pub struct Lent {
    /// How that ended.
    pub ended: (Exit, Option<Usage>),
    /// Scripts that run by this find the keys.
    pub context: StepContext,
}

impl Lent {
    /// The agent ends soon after its socket.
    pub async fn take_back(self) {
        agent::OF_CHECKOUT.clear(&self.context).await;
    }
}

/// Lends the keys to a checkout.
pub async fn lend(context: &StepContext) -> Result<Lent, Failure> {
    let place = agent::OF_CHECKOUT;
    let keys: Vec<_> = context.secrets.ssh_keys.iter().collect();
    let held = match place.hold(context, &keys).await {
        Ok(held) => held,
        Err(failure) => {
            place.clear(context).await;
            return Err(failure);
        }
    };
    let mut variables = BTreeMap::clone(&context.variables);
    let lent = held.variables.into_iter();
    variables.extend(lent.map(|(name, value)| (name.to_owned(), value)));
    Ok(Lent {
        ended: held.ended,
        context: StepContext {
            variables: Arc::new(variables),
            ..context.clone()
        },
    })
}

/// Runs the step.
pub async fn run(
    context: &StepContext,
    step: &AddSshKeysStep,
) -> Result<(Exit, Option<Usage>), Failure> {
    let all = &context.secrets.ssh_keys;
    if all.is_empty() {
        context.say(without_keys(context)).await;
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

/// What steps have then.
fn without_keys(context: &StepContext) -> &'static str {
    match context.environment.files() {
        Files::Here(_) => {
            "This project has no SSH keys here: the keys of the runner's own user are used, if it \
             has some."
        }
        Files::Inside(_) => {
            "This project has no SSH keys here: steps have those that the image has. `outrider \
             project ssh-key add` gives it one."
        }
    }
}
