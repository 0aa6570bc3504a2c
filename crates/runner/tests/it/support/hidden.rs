//! Environments that hide their files from the runner, as containers do: processes of this host,
//! whose tools run in this process. The git of their steps is the host's.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use outrider_executor::process::{ProcessExecutor, ProcessSettings};
use outrider_executor::{ExecResult, ExecutorError, Tool, ToolRequest};
use outrider_model::report::Exit;
use outrider_runner::inside::code;
use outrider_service::Tasks;
use outrider_testkit::hidden::{HiddenFiles, failed};
use tokio::net::unix::pipe::Sender;

use super::rig::Rig;

/// A rig with such an executor, whose runner keeps mirrors.
pub fn rig() -> Rig {
    let directory = tempfile::tempdir().unwrap();
    let processes = |name: &str| {
        let mut settings = ProcessSettings::new(directory.path().join(name), "anna");
        settings.cgroups = false;
        ProcessExecutor::new(settings)
    };
    let path = std::env::vars().filter(|(name, _)| name == "PATH");
    let executor = Arc::new(HiddenFiles {
        processes: processes("inside"),
        host: Some(processes("host")),
        variables: path.collect(),
        start_tool: Arc::new(start_tool),
    });
    let mut rig = Rig::with_executor(directory, Arc::default(), executor);
    rig.settings.mirrors = Some(rig.directory.path().join("mirrors"));
    rig
}

/// How many places for work on the host there are.
pub fn left_on_host(rig: &Rig) -> usize {
    let entries = std::fs::read_dir(rig.directory.path().join("host"));
    let names = entries.into_iter().flatten().flatten();
    let attempts = names.filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    attempts.count()
}

fn start_tool(request: ToolRequest, _: &BTreeMap<String, String>) -> Result<Tool, ExecutorError> {
    let arguments: Vec<OsString> = request.arguments.into_iter().map(Into::into).collect();
    assert_eq!(arguments[0], code::VERB);
    let (input, stdin) = std::io::pipe().map_err(failed)?;
    let (stdout, output) = tokio::io::duplex(64 * 1024);
    let running =
        Tasks::new().spawn(async move { code::run(&arguments[1..], input, output).await });
    Ok(Tool {
        stdin: Box::new(Sender::from_owned_fd(stdin.into()).map_err(failed)?),
        stdout: Box::new(stdout),
        ended: Box::pin(async {
            let ended = running.await.unwrap();
            Ok(ExecResult {
                exit: Exit::Code(ended.is_err().into()),
                usage: None,
                out_of_memory: None,
            })
        }),
    })
}
