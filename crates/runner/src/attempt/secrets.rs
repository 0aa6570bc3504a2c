//! The secrets of a task: fetched once, kept in memory only, and kept out of logs.

use outrider_api::ErrorCode;
use outrider_api::client::ClientError;
use outrider_api::data::TaskSecrets;
use outrider_model::claim::ClaimedTask;
use tokio_util::sync::CancellationToken;

use super::Workshop;
use crate::backoff::{Backoff, chain};
use crate::driver::{Event, Failure};
use crate::redact::Secret;

/// All that must not be read in the log.
pub fn values(secrets: &TaskSecrets) -> Vec<Secret> {
    let variables = secrets.variables.iter().map(|it| &it.value);
    let keys = secrets.ssh_keys.iter().map(|it| &it.private_key);
    variables.chain(keys).map(Secret::new).collect()
}

/// Gets the secrets of a task, if it has any. While the server is away it waits, until `stop`.
pub async fn fetch(
    workshop: &Workshop,
    task: &ClaimedTask,
    stop: &CancellationToken,
) -> Result<TaskSecrets, Event> {
    if !task.payload.secrets {
        return Ok(TaskSecrets::default());
    }
    let stopped = || Err(not_fetched("it was stopped before it had its secrets"));
    let asking = ask(workshop, task);
    stop.run_until_cancelled(asking)
        .await
        .unwrap_or_else(stopped)
}

async fn ask(workshop: &Workshop, task: &ClaimedTask) -> Result<TaskSecrets, Event> {
    let mut backoff = Backoff::new("get the secrets of a task", workshop.random.clone());
    loop {
        match workshop.api.secrets(task.task, task.lease).await {
            Ok(secrets) => {
                backoff.succeeded();
                return Ok(secrets);
            }
            Err(error) if error.is_transient() => backoff.failed(&chain(&error)).await,
            Err(error) => return Err(refused(&error)),
        }
    }
}

fn refused(error: &ClientError) -> Event {
    match error.code() {
        Some(ErrorCode::SecretsUnusable) => Event::NoSecrets(error.to_string()),
        // If the lease is lost, nobody will listen to this.
        _ => not_fetched(&format!("cannot get the secrets: {}", chain(error))),
    }
}

fn not_fetched(why: &str) -> Event {
    Event::NotPrepared(Failure::Infrastructure(why.to_owned()))
}
