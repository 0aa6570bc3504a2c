//! The first process of a service container: it starts the service's program, and ends with it.
//!
//! The runner holds the other end of its stdin. When that end closes because the runner is gone, it
//! ends, and the kernel every other process of the container.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::future::poll_fn;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::task::Poll;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{self, SignalKind, signal};

use super::VERB;
use super::server::input;

/// The code with which it ends when the runner is gone.
pub const RUNNER_IS_GONE: u8 = 250;

/// The action of the init's verb.
pub(super) const ACTION: &str = "service";
/// Stands before the words of the service's program.
const WORDS: &str = "--";

/// What the first process of a service container is called with, so that it runs `words`. The
/// variables are for them alone.
pub fn service_arguments(variables: &BTreeMap<String, String>, words: &[String]) -> Vec<String> {
    let start = [VERB, ACTION].map(str::to_owned);
    let variables = variables
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    start
        .into_iter()
        .chain(variables)
        .chain([WORDS.to_owned()])
        .chain(words.iter().cloned())
        .collect()
}

/// Whether a program only works as the first process of its container.
pub fn must_be_first(words: &[String]) -> bool {
    let names = [
        "/init",
        "/sbin/init",
        "/usr/sbin/init",
        "/lib/systemd/systemd",
        "/usr/lib/systemd/systemd",
    ];
    words.first().is_some_and(|word| names.contains(&&**word))
}

/// Takes what comes after [`ACTION`].
pub(super) fn main(arguments: &[OsString]) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = runtime.and_then(|runtime| {
        let ended = runtime.block_on(serve(arguments));
        // A blocking read of stdin must not hold up the end.
        runtime.shutdown_background();
        ended
    });
    ended.map_or_else(
        |error| {
            eprintln!("outrider {VERB}: {error}");
            ExitCode::FAILURE
        },
        ExitCode::from,
    )
}

async fn serve(arguments: &[OsString]) -> io::Result<u8> {
    let mut child_ended = signal(SignalKind::child())?;
    let mut signals = Signals::new()?;
    let child = match start(arguments) {
        Ok(child) => child,
        Err(error) => return Ok(not_started(arguments, &error)),
    };
    let gone = closed();
    tokio::pin!(gone);
    loop {
        tokio::select! {
            () = &mut gone => return Ok(RUNNER_IS_GONE),
            Some(()) = child_ended.recv() => {
                if let Some(status) = reap(child)? {
                    return Ok(code(status));
                }
            }
            signal = signals.next() => kill_process(child, signal)?,
        }
    }
}

fn words(arguments: &[OsString]) -> impl Iterator<Item = &OsString> {
    arguments.iter().skip_while(|word| *word != WORDS).skip(1)
}

fn start(arguments: &[OsString]) -> io::Result<Pid> {
    let variables = arguments.iter().take_while(|word| *word != WORDS);
    let variables = variables.filter_map(|word| {
        let at = word.as_bytes().iter().position(|&byte| byte == b'=')?;
        let (name, value) = word.as_bytes().split_at(at);
        Some((OsStr::from_bytes(name), OsStr::from_bytes(&value[1..])))
    });
    let mut words = words(arguments);
    let program = words.next().ok_or(io::ErrorKind::InvalidInput)?;
    let child = Command::new(program)
        .args(words)
        .envs(variables)
        .stdin(Stdio::null())
        .spawn()?;
    Ok(Pid::from_child(&child))
}

/// As a shell says it.
fn not_started(arguments: &[OsString], error: &io::Error) -> u8 {
    let program = words(arguments).next().map(|word| word.display());
    let program = program.map_or_else(String::new, |word| word.to_string());
    eprintln!(
        "`{program}` cannot be started: {error}\n\
         look at the `entrypoint`, `command` and `user` of the image"
    );
    if error.kind() == io::ErrorKind::NotFound {
        127
    } else {
        126
    }
}

/// Returns when the runner is gone.
async fn closed() {
    let Ok(mut input) = input() else { return };
    let mut buffer = [0; 64];
    while !matches!(input.read(&mut buffer).await, Ok(0) | Err(_)) {}
}

/// Waits for all that have ended: how the service has, if it has.
fn reap(service: Pid) -> io::Result<Option<ExitStatus>> {
    let mut ended = None;
    while let Some((pid, status)) = wait(WaitOptions::NOHANG)? {
        if pid == service {
            ended = Some(ExitStatus::from_raw(status.as_raw()));
            break;
        }
    }
    Ok(ended)
}

/// As container engines say it.
fn code(status: ExitStatus) -> u8 {
    let signalled = || status.signal().map_or(255, |signal| 128 + signal);
    u8::try_from(status.code().unwrap_or_else(signalled)).unwrap_or(u8::MAX)
}

/// What people send to a service.
struct Signals([(Signal, unix::Signal); 7]);

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self([
            (Signal::TERM, signal(SignalKind::terminate())?),
            (Signal::INT, signal(SignalKind::interrupt())?),
            (Signal::HUP, signal(SignalKind::hangup())?),
            (Signal::QUIT, signal(SignalKind::quit())?),
            (Signal::USR1, signal(SignalKind::user_defined1())?),
            (Signal::USR2, signal(SignalKind::user_defined2())?),
            (Signal::WINCH, signal(SignalKind::window_change())?),
        ]))
    }

    async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            let came = self.0.iter_mut().find_map(|(signal, source)| {
                source.poll_recv(context).is_ready().then_some(*signal)
            });
            came.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_as_engines_say_it() {
        assert_eq!(code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(code(ExitStatus::from_raw(9)), 137);
    }

    #[test]
    fn only_programs_that_manage_a_system_must_be_first() {
        let must = |word: &str| must_be_first(&[word.to_owned(), "x".to_owned()]);
        assert!(must("/init") && must("/sbin/init"));
        assert!(!must("init") && !must("/docker-entrypoint.sh") && !must_be_first(&[]));
    }
}
