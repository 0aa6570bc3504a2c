//! The place where a fake attempt pretends to run.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_model::AttemptId;
use outrider_model::report::Exit;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::command::{Command, letters};
use super::{FakeHandle, World};
use crate::{Environment, ExecRequest, ExecResult, ExecutorError, Files, Handle, Output};

pub(super) struct FakeEnvironment {
    pub world: Arc<World>,
    pub life: Arc<Life>,
    pub attempt: AttemptId,
    pub directory: PathBuf,
    pub working_directory: String,
}

/// How far an environment has come. Only ever forwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    #[default]
    Open,
    /// Scripts were told to end.
    Term,
    /// Scripts were ended.
    Killed,
    /// Cleaned up or recovered.
    Gone,
}

#[derive(Clone, Copy, Debug, Default)]
struct Status {
    stage: Stage,
    running: usize,
}

/// What the executor and the environment both know.
#[derive(Default)]
pub(super) struct Life {
    status: watch::Sender<Status>,
}

impl Life {
    pub fn advance(&self, stage: Stage) {
        self.status
            .send_modify(|status| status.stage = status.stage.max(stage));
    }

    fn stage(&self) -> Stage {
        self.status.borrow().stage
    }

    pub async fn wait_until_idle(&self) {
        let mut status = self.status.subscribe();
        // It fails only if the sender is gone, and we have it.
        let _ = status.wait_for(|status| status.running == 0).await;
    }

    async fn wait_for(&self, stage: Stage) {
        let mut status = self.status.subscribe();
        let _ = status.wait_for(|status| status.stage >= stage).await;
    }

    fn begin(&self) -> Result<Running<'_>, Stage> {
        let mut stage = Stage::Open;
        self.status.send_modify(|status| {
            stage = status.stage;
            status.running += usize::from(stage == Stage::Open);
        });
        if stage == Stage::Open {
            Ok(Running { life: self })
        } else {
            Err(stage)
        }
    }
}

/// One running script.
struct Running<'a> {
    life: &'a Life,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.life.status.send_modify(|status| status.running -= 1);
    }
}

/// What a script does when it is told to end.
#[derive(Clone, Copy)]
enum OnTerm {
    Die,
    Ignore,
    Exit(i32),
}

impl Running<'_> {
    /// How the script ends now, if it was ended from outside.
    fn ended(&self, on_term: OnTerm) -> Option<Exit> {
        match (self.life.stage(), on_term) {
            (Stage::Open, _) | (Stage::Term, OnTerm::Ignore) => None,
            (Stage::Term, OnTerm::Exit(code)) => Some(Exit::Code(code)),
            (Stage::Term, OnTerm::Die) => Some(Exit::Signal(libc::SIGTERM)),
            (Stage::Killed | Stage::Gone, _) => Some(Exit::Signal(libc::SIGKILL)),
        }
    }

    async fn until_ended(&self, on_term: OnTerm) {
        let stage = if matches!(on_term, OnTerm::Ignore) {
            Stage::Killed
        } else {
            Stage::Term
        };
        self.life.wait_for(stage).await;
    }

    async fn interpret(&self, request: &ExecRequest, output: &dyn Output) -> Exit {
        let mut on_term = OnTerm::Die;
        for line in request.script.lines() {
            if let Some(exit) = self.ended(on_term) {
                return exit;
            }
            match Command::parse(line) {
                Command::Sleep(time) => {
                    let _ = timeout(time, self.until_ended(on_term)).await;
                }
                Command::Hang => self.until_ended(on_term).await,
                Command::IgnoreTerm => on_term = OnTerm::Ignore,
                Command::OnTerm(code) => on_term = OnTerm::Exit(code),
                Command::Exit(code) => return Exit::Code(code),
                Command::Signal(number) => return Exit::Signal(number),
                Command::Bytes(count) => {
                    for piece in letters(count) {
                        if let Some(exit) = self.ended(on_term) {
                            return exit;
                        }
                        output.write(piece).await;
                    }
                }
                command => {
                    if let Some(bytes) = text(command, request) {
                        output.write(bytes).await;
                    }
                }
            }
        }
        self.ended(on_term).unwrap_or(Exit::Code(0))
    }
}

fn text(command: Command<'_>, request: &ExecRequest) -> Option<Bytes> {
    let line = |text: &str| Some(Bytes::from([text.as_bytes(), b"\n"].concat()));
    match command {
        Command::Print(text) => line(text),
        Command::Write(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
        Command::Hex(bytes) => Some(Bytes::from(bytes)),
        Command::Env(name) => line(request.environment.get(name).map_or("", String::as_str)),
        Command::Pwd => line(&request.working_directory.to_string_lossy()),
        _ => None,
    }
}

#[async_trait]
impl Environment for FakeEnvironment {
    fn handle(&self) -> Handle {
        Handle::Fake(FakeHandle {
            attempt: self.attempt,
        })
    }

    fn files(&self) -> Files<'_> {
        Files::Here(&self.directory)
    }

    fn resolve(&self, path: &str) -> PathBuf {
        let working_directory =
            crate::resolve(&self.directory, &self.directory, &self.working_directory);
        crate::resolve(&self.directory, &working_directory, path)
    }

    async fn exec(
        &self,
        request: ExecRequest,
        output: Arc<dyn Output>,
    ) -> Result<ExecResult, ExecutorError> {
        let running = match self.life.begin() {
            Ok(running) => running,
            // The runner cannot know yet that someone else has called `stop`.
            Err(Stage::Term | Stage::Killed) => {
                let message = "the environment was stopped, no step can start in it any more";
                return Err(ExecutorError::infrastructure(message, None));
            }
            Err(_) => {
                let what = format!("exec: the environment of {:?} is gone", self.attempt);
                return Err(self.world.violation(what));
            }
        };
        if request.shell.is_empty() {
            let what = format!("exec: {:?} asks for no shell", self.attempt);
            return Err(self.world.violation(what));
        }
        let exit = running.interpret(&request, &*output).await;
        Ok(ExecResult {
            exit,
            usage: None,
            out_of_memory: None,
        })
    }

    async fn stop(&self, grace: Duration) -> Result<(), ExecutorError> {
        self.life.advance(Stage::Term);
        tokio::select! {
            biased;
            () = self.life.wait_until_idle() => {}
            () = sleep(grace) => {
                self.life.advance(Stage::Killed);
                self.life.wait_until_idle().await;
            }
        }
        Ok(())
    }

    async fn cleanup(&self) -> Result<(), ExecutorError> {
        self.life.advance(Stage::Gone);
        self.life.wait_until_idle().await;
        self.world.forget(self.attempt);
        Ok(())
    }
}
