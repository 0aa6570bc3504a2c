//! An executor whose environments hide their files from the runner, as containers do: processes of
//! this host, and tools that are the real program.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outrider_executor::process::{ProcessExecutor, ProcessSettings};
use outrider_executor::{ExecResult, ExecutorError, Tool, ToolRequest};
use outrider_model::report::Exit;
use outrider_runner::{Runner, RunnerSettings};
use outrider_service::{OsRandom, Shutdown, SystemClock, Tasks};
use outrider_testkit::hidden::{HiddenFiles, failed};
use tokio::process::Command;

use crate::common::{OUTRIDER, World};

/// How the tool is called: the program, and what comes before its arguments.
pub type Program = Arc<Mutex<Vec<String>>>;

/// A runner in this process.
pub struct ContainedRunner {
    shutdown: Shutdown,
    tasks: Tasks,
    /// Of tools that start from now on.
    pub program: Program,
}

impl ContainedRunner {
    /// Takes the work of this world.
    pub async fn start(world: &World) -> Self {
        let program = Program::new(Mutex::new(vec![OUTRIDER.to_owned()]));
        let (shutdown, tasks) = (Shutdown::new(), Tasks::new());
        let path = std::env::vars().filter(|(name, _)| name == "PATH");
        let settings = RunnerSettings {
            inherited_environment: path.collect(),
            stop_grace: Duration::from_secs(1),
            ..RunnerSettings::new("contained", world.path("contained").join("spool"))
        };
        let client = Arc::new(world.client(&world.class_token().await));
        let work = world.path("contained").join("work");
        let process = ProcessSettings::new(work, world.runner_name("contained"));
        let tool = Arc::clone(&program);
        let executor = HiddenFiles {
            processes: ProcessExecutor::new(process),
            host: None,
            variables: BTreeMap::new(),
            start_tool: Arc::new(move |request, variables| start_tool(&tool, request, variables)),
        };
        let runner = Runner::new(
            settings,
            Arc::clone(&client) as _,
            client,
            Arc::new(executor),
            Arc::new(SystemClock),
            Arc::new(OsRandom::new()),
        );
        drop(tasks.spawn(runner.run(shutdown.clone())));
        Self {
            shutdown,
            tasks,
            program,
        }
    }

    /// From now on this script is what runs as a tool.
    pub fn replace_tool(&self, script: &str) {
        let words = ["/bin/sh", "-c", script].map(str::to_owned);
        *self.program.lock().unwrap() = words.into();
    }

    /// The real tool again.
    pub fn restore_tool(&self) {
        *self.program.lock().unwrap() = vec![OUTRIDER.to_owned()];
    }

    /// Ends it.
    pub async fn end(self) {
        self.shutdown.stop();
        self.tasks.ended().await;
    }
}

fn start_tool(
    program: &Program,
    request: ToolRequest,
    variables: &BTreeMap<String, String>,
) -> Result<Tool, ExecutorError> {
    let program = program.lock().unwrap().clone();
    let mut command = Command::new(&program[0]);
    command
        .args(&program[1..])
        .args(request.arguments)
        .env_clear()
        .envs(variables)
        .envs(request.environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(failed)?;
    let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let ended = async move {
        let status = child.wait().await.map_err(failed)?;
        Ok(ExecResult {
            exit: status.code().map_or(Exit::Signal(9), Exit::Code),
            usage: None,
            // What is killed here stands for what the kernel kills for its memory.
            out_of_memory: status.signal().map(|_| 64 << 20),
        })
    };
    Ok(Tool {
        stdin: Box::new(stdin),
        stdout: Box::new(stdout),
        ended: Box::pin(ended),
    })
}
