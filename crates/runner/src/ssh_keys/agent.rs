//! The agent of a task.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use outrider_api::data::SshKey;
use outrider_executor::ExecRequest;
use outrider_model::report::{Exit, Usage};

use super::config;
use crate::attempt::StepContext;
use crate::checkout;
use crate::driver::Failure;

/// The folder of the agent, below `~`. Short, because the path of a socket is.
const FOLDER: &str = ".ssh-agent";
const SOCKET: &str = "s";

/// The longest path that a socket can have on Linux, in bytes.
const LONGEST_PATH: usize = 107;

/// Starts the agent, unless it runs. It is a child of a process that does nothing: whoever ends that
/// one ends the agent too, which hides its own environment and cannot be found by it.
const START: &str = "\
for program in ssh-agent ssh-add; do
  command -v \"$program\" >/dev/null || {
    echo \"$program is not here: install OpenSSH's client\" >&2
    exit 127
  }
done
if ssh-add -l >/dev/null 2>&1 || [ $? -ne 2 ]; then exit 0; fi
rm -f \"$SSH_AUTH_SOCK\"
ssh-agent -a \"$SSH_AUTH_SOCK\" tail -f /dev/null </dev/null >/dev/null 2>&1 &
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

/// The agent holds these keys from now on, and later steps find it.
pub async fn hold(
    context: &StepContext,
    keys: &[&SshKey],
) -> Result<(Exit, Option<Usage>), Failure> {
    let seen = context.environment.resolve(&format!("~/{FOLDER}"));
    let socket = socket(&seen)?;
    let folder = context.environment.directory().join(FOLDER);
    make_folder(&folder)
        .map_err(|error| Failure::Infrastructure(format!("cannot make a folder: {error}")))?;
    let mut ended = script(context, START, &socket, None).await?;
    for key in keys {
        if !ended.0.success() {
            return Ok(ended);
        }
        ended = script(context, ADD, &socket, Some(&key.private_key)).await?;
    }
    context.export("SSH_AUTH_SOCK", socket);
    if keys.iter().any(|key| key.host.is_some()) {
        config::write(&folder, &seen, keys)
            .map_err(|error| Failure::Infrastructure(format!("cannot configure ssh: {error}")))?;
        let path = seen.join(config::FILE);
        let path = shell_words::quote(&path.to_string_lossy()).into_owned();
        let ssh = checkout::ssh_command(context);
        context.export("GIT_SSH_COMMAND", format!("{ssh} -F {path}"));
    }
    Ok(ended)
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

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)
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
