//! Agents that hold keys in the environment of a task.

use std::path::Path;

use outrider_api::data::SshKey;
use outrider_executor::ExecRequest;
use outrider_model::report::{Exit, Usage};

use super::config;
use crate::attempt::StepContext;
use crate::backoff::chain;
use crate::driver::Failure;
use crate::{checkout, task_files};

/// Where an agent is: the name of its folder, below `~`. Short, because the path of a socket is.
#[derive(Clone, Copy)]
pub struct Place(&'static str);

/// The agent that later steps find.
pub const OF_STEPS: Place = Place(".ssh-agent");
/// The agent of a checkout.
pub const OF_CHECKOUT: Place = Place(".ssh-lent");

const SOCKET: &str = "s";

/// The longest path that a socket can have on Linux, in bytes.
const LONGEST_PATH: usize = 107;

/// Starts the agent, unless it runs. It is a child of a process that only waits for the socket to
/// vanish: whoever ends that one ends the agent too, which hides its own environment and cannot be
/// found by it.
const START: &str = "\
for program in ssh-agent ssh-add; do
  command -v \"$program\" >/dev/null || {
    echo \"$program is not here: install OpenSSH's client\" >&2
    exit 127
  }
done
(umask 077 && mkdir -p \"${SSH_AUTH_SOCK%/*}\")
if ssh-add -l >/dev/null 2>&1 || [ $? -ne 2 ]; then exit 0; fi
rm -f \"$SSH_AUTH_SOCK\"
ssh-agent -a \"$SSH_AUTH_SOCK\" /bin/sh -c 'while [ -S \"$SSH_AUTH_SOCK\" ]; do sleep 1; done' \
  </dev/null >/dev/null 2>&1 &
agent=$!
until ssh-add -l >/dev/null 2>&1 || [ $? -ne 2 ]; do
  kill -0 \"$agent\" 2>/dev/null || { echo 'ssh-agent did not start' >&2; exit 1; }
  sleep 0.02
done
";

/// Hands a key over: from a variable of this shell through a pipe, never as an argument.
const ADD: &str = "\
key=$OUTRIDER_SSH_KEY
unset OUTRIDER_SSH_KEY
printf '%s\\n' \"$key\" | ssh-add -q -
";

/// What came of handing keys to an agent.
pub struct Held {
    /// How the last script ended.
    pub ended: (Exit, Option<Usage>),
    /// What leads `ssh` and `git` to the agent. Nothing if that went wrong.
    pub variables: Vec<(&'static str, String)>,
}

impl Place {
    /// The agent here holds these keys from now on, besides those that it holds already.
    pub async fn hold(self, context: &StepContext, keys: &[&SshKey]) -> Result<Held, Failure> {
        let seen = context.environment.resolve(&format!("~/{}", self.0));
        let socket = socket(&seen)?;
        let mut ended = script(context, START, &socket, None).await?;
        for key in keys {
            if ended.0.success() {
                ended = script(context, ADD, &socket, Some(&key.private_key)).await?;
            }
        }
        if !ended.0.success() {
            let variables = Vec::new();
            return Ok(Held { ended, variables });
        }
        let mut variables = vec![("SSH_AUTH_SOCK", socket)];
        let all = &context.secrets.ssh_keys;
        let folder = config::Folder {
            environment: &*context.environment,
            name: self.0,
        };
        let is_for_hosts = folder.write(all, keys).await;
        let is_for_hosts = is_for_hosts.map_err(|error| {
            Failure::Infrastructure(format!("cannot configure ssh: {}", chain(&error)))
        })?;
        if is_for_hosts {
            let path = seen.join(config::FILE);
            let path = shell_words::quote(&path.to_string_lossy()).into_owned();
            let ssh = checkout::ssh_command(context);
            variables.push(("GIT_SSH_COMMAND", format!("{ssh} -F {path}")));
        }
        Ok(Held { ended, variables })
    }

    /// Removes all that is here.
    pub async fn clear(self, context: &StepContext) {
        if let Err(error) = task_files::remove(&*context.environment, self.0).await {
            tracing::warn!("cannot remove the socket of ssh-agent: {}", chain(&error));
        }
    }
}

fn socket(folder: &Path) -> Result<String, Failure> {
    let socket = folder.join(SOCKET).to_string_lossy().into_owned();
    if socket.len() <= LONGEST_PATH {
        return Ok(socket);
    }
    Err(Failure::Infrastructure(format!(
        "the socket of ssh-agent would be {socket}, which is longer than the {LONGEST_PATH} bytes \
         that are possible. Give the runner a data folder with a shorter path (--data)"
    )))
}

async fn script(
    context: &StepContext,
    script: &str,
    socket: &str,
    key: Option<&str>,
) -> Result<(Exit, Option<Usage>), Failure> {
    let mut environment = context.variables.as_ref().clone();
    // A job's exports are not for these scripts.
    environment.remove("BASH_ENV");
    environment.insert("SSH_AUTH_SOCK".to_owned(), socket.to_owned());
    if let Some(key) = key {
        let key = key.trim_end().to_owned();
        environment.insert("OUTRIDER_SSH_KEY".to_owned(), key);
    }
    let request = ExecRequest {
        shell: vec!["/bin/sh".to_owned(), "-u".to_owned()],
        script: script.to_owned(),
        environment,
        working_directory: context.environment.resolve("~"),
    };
    context.exec(request).await
}
