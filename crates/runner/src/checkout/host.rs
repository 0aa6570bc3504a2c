//! Git on the runner's own host, for a job whose files the host does not see.
//!
//! Such a job may do as it likes inside, and nothing on the host. So git there gets the variables of
//! the host, and of the job's a token and a user name alone: with any other of git's, the linker's or
//! the shell's a job would run what it likes. Nothing runs that a repository brings along.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::variables::{TOKEN, USERNAME, Variables, add_config};
use crate::attempt::{StepContext, failure};
use crate::backoff::chain;
use crate::driver::Failure;
use crate::env;

/// Which transports git may use.
const ALLOWED: &str = "GIT_ALLOW_PROTOCOL";
/// Transports that run no command which a URL names, unless the host's owner allows others.
const PROTOCOLS: &str = "file:git:http:https:ssh";
/// Settings by which git would run something of its own accord.
const OFF: [(&str, &str); 2] = [("core.hooksPath", "/dev/null"), ("core.fsmonitor", "false")];

/// A step at work on the host.
pub struct Host {
    /// What runs by it runs there.
    pub context: StepContext,
}

impl Host {
    /// Opens its place there.
    pub async fn open(context: &StepContext) -> Result<Self, Failure> {
        let opened = context.host.open(&context.workshop).await;
        let (id, environment) = opened.map_err(|error| failure(&error))?;
        let settings = &context.workshop.settings;
        let mut own = env::of_host(settings, context.task.payload.trigger.untrusted);
        if let Some(allowed) = settings.inherited_environment.get(ALLOWED) {
            own.entry(ALLOWED.to_owned())
                .or_insert_with(|| allowed.clone());
        }
        let mut variables = variables(own, &context.variables);
        // Some of its processes are children of the runner: they are found by this after a crash.
        variables.insert("OUTRIDER_ATTEMPT".to_owned(), id.to_string());
        Ok(Self {
            context: StepContext {
                environment,
                variables: Arc::new(variables),
                ..context.clone()
            },
        })
    }

    /// Removes all that is there.
    pub async fn close(self) {
        if let Err(error) = self.context.host.close().await {
            let attempt = self.context.task.attempt;
            tracing::error!(%attempt, "cannot remove a checkout from the host: {}", chain(&error));
        }
    }
}

/// The host's own variables, and the little that is taken from those of the job.
fn variables(own: Variables, job: &BTreeMap<String, String>) -> Variables {
    let mut variables = own;
    for name in [TOKEN, USERNAME] {
        if let Some(value) = job.get(name) {
            variables.insert(name.to_owned(), value.clone());
        }
    }
    variables
        .entry(ALLOWED.to_owned())
        .or_insert_with(|| PROTOCOLS.to_owned());
    for (key, value) in OFF {
        add_config(&mut variables, key, value);
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> Variables {
        let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn of_the_job_there_is_nothing_but_its_token() {
        let job = map(&[
            (TOKEN, "t0k3n"),
            (USERNAME, "anna"),
            ("PATH", "/job"),
            ("HOME", "/job"),
            ("LD_PRELOAD", "/job.so"),
            ("GIT_SSH_COMMAND", "touch /host"),
            ("GIT_ALLOW_PROTOCOL", "ext"),
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "core.fsmonitor"),
            ("GIT_CONFIG_VALUE_0", "touch /host"),
            ("GIT_EXEC_PATH", "/job"),
            ("BASH_ENV", "/job"),
        ]);
        let host = variables(map(&[("PATH", "/bin")]), &job);
        let expected = [
            (TOKEN, "t0k3n"),
            (USERNAME, "anna"),
            ("PATH", "/bin"),
            ("GIT_ALLOW_PROTOCOL", PROTOCOLS),
            ("GIT_CONFIG_COUNT", "2"),
            ("GIT_CONFIG_KEY_0", "core.hooksPath"),
            ("GIT_CONFIG_VALUE_0", "/dev/null"),
            ("GIT_CONFIG_KEY_1", "core.fsmonitor"),
            ("GIT_CONFIG_VALUE_1", "false"),
        ];
        assert_eq!(host, map(&expected));
    }

    #[test]
    fn the_owner_of_the_host_has_the_last_word() {
        let own = map(&[
            ("GIT_ALLOW_PROTOCOL", "ext"),
            ("GIT_SSH_COMMAND", "ssh -v"),
            ("GIT_CONFIG_COUNT", "1"),
        ]);
        let host = variables(own, &Variables::new());
        assert_eq!(host["GIT_ALLOW_PROTOCOL"], "ext");
        assert_eq!(host["GIT_SSH_COMMAND"], "ssh -v");
        assert_eq!(host["GIT_CONFIG_KEY_1"], "core.hooksPath");
    }
}
