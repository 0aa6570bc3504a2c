//! How the command fails: one clear message, what to do about it, and a stable exit code.

use std::fmt;
use std::process::ExitCode;

use outrider_api::ErrorCode;
use outrider_api::client::ClientError;
use outrider_blobs::{BlobsError, OpenError};
use outrider_runner::RunnerError;
use outrider_server::StartError;
use outrider_store::StoreError;

use crate::show::hint;

/// Exit codes besides those of failed steps, after `sysexits.h`. `docs/operations.md` lists them.
pub mod code {
    /// Something failed that has no code of its own.
    pub const FAILED: u8 = 1;
    /// The config does not compile.
    pub const INVALID_CONFIG: u8 = 65;
    /// A file or a thing that was named does not exist.
    pub const NOT_FOUND: u8 = 66;
    /// The server cannot be reached.
    pub const UNAVAILABLE: u8 = 69;
    /// A defect of Outrider.
    pub const INTERNAL: u8 = 70;
    /// A folder or file cannot be written.
    pub const CANNOT_WRITE: u8 = 73;
    /// Somebody else has it: a port, a data folder.
    pub const IN_USE: u8 = 75;
    /// The token is missing, wrong, or not allowed to do this.
    pub const NOT_ALLOWED: u8 = 77;
    /// Settings contradict each other or the host.
    pub const BAD_SETTINGS: u8 = 78;
    /// A step or a task ran out of time.
    pub const TIMED_OUT: u8 = 124;
    /// The infrastructure failed, not a step.
    pub const LOST: u8 = 125;
    /// It was canceled.
    pub const CANCELED: u8 = 130;
}

/// Why the command failed.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    message: String,
    advice: Option<String>,
}

impl Failure {
    /// A failure with its exit code.
    pub fn new(code: u8, message: impl fmt::Display) -> Self {
        Self {
            code,
            message: message.to_string(),
            advice: None,
        }
    }

    /// One that should not be possible.
    pub fn internal(action: &str, error: impl Into<anyhow::Error>) -> Self {
        Self::new(
            code::INTERNAL,
            format!("could not {action}: {:#}", error.into()),
        )
    }

    /// Something could not be written.
    pub fn cannot_write(what: impl fmt::Display, error: impl Into<anyhow::Error>) -> Self {
        Self::new(
            code::CANNOT_WRITE,
            format!("cannot write {what}: {:#}", error.into()),
        )
    }

    /// Says what to do.
    #[must_use]
    pub fn advise(mut self, advice: impl fmt::Display) -> Self {
        self.advice = Some(advice.to_string());
        self
    }

    /// The exit code.
    pub const fn code(&self) -> u8 {
        self.code
    }

    /// What is wrong, and what to do about it.
    pub fn text(&self) -> String {
        let advice = self.advice.iter().map(|advice| format!("\n  {advice}"));
        std::iter::once(self.message.trim_end().to_owned())
            .chain(advice)
            .collect()
    }

    /// Prints it, and gives the exit code.
    pub fn report(&self) -> ExitCode {
        hint!("error: {}", self.text());
        ExitCode::from(self.code)
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let message = chain(&error);
        match error {
            ClientError::Settings { .. } => Self::new(code::BAD_SETTINGS, message),
            ClientError::Unreachable { .. } if message.contains("certificate") => {
                Self::new(code::UNAVAILABLE, message).advise(
                    "Name a file with the certificate of the server's authority with --ca-file \
                     (OUTRIDER_CA_FILE), and use a name or an address in the URL that the \
                     certificate is for.",
                )
            }
            ClientError::Unreachable { url, .. } => Self::new(code::UNAVAILABLE, message).advise(
                format!("Is a server running at {url}? Start one with `outrider server`, or set OUTRIDER_URL."),
            ),
            ClientError::Protocol { .. } => Self::new(code::INTERNAL, message)
                .advise("Check the URL, and that this command and the server have versions that fit."),
            ClientError::Refused { detail, .. } => Self {
                code: exit_code(detail.code),
                message: detail.rendered.unwrap_or(detail.message),
                advice: detail.advice,
            },
        }
    }
}

const fn exit_code(error: ErrorCode) -> u8 {
    match error {
        ErrorCode::InvalidConfig => code::INVALID_CONFIG,
        ErrorCode::NotFound => code::NOT_FOUND,
        ErrorCode::Unauthorized | ErrorCode::Forbidden => code::NOT_ALLOWED,
        ErrorCode::Unavailable | ErrorCode::StorageFull => code::UNAVAILABLE,
        ErrorCode::Internal => code::INTERNAL,
        ErrorCode::BadRequest
        | ErrorCode::StaleLease
        | ErrorCode::Conflict
        | ErrorCode::SecretsUnusable
        | ErrorCode::TooLarge
        | ErrorCode::BadRange
        | ErrorCode::WrongBytes
        | ErrorCode::LogGap => code::FAILED,
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let message = chain(&error);
        match error {
            StoreError::Locked { .. } => Self::new(code::IN_USE, message)
                .advise("Stop that server, or give this one another folder with --data."),
            StoreError::TooNew { .. } => Self::new(code::BAD_SETTINGS, message)
                .advise("Start the version that wrote it, or a newer one."),
            StoreError::DiskFull => {
                Self::new(code::CANNOT_WRITE, message).advise("Make room, and try again.")
            }
            _ => Self::new(code::CANNOT_WRITE, message)
                .advise("Check that the data folder exists, is yours, and can be written."),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::new(code::BAD_SETTINGS, chain(&error)).advise("Check --blobs.")
    }
}

impl From<BlobsError> for Failure {
    fn from(error: BlobsError) -> Self {
        let failure = Self::new(code::UNAVAILABLE, chain(&error));
        match error {
            BlobsError::Store(error) => failure.advise(error.trouble.advice()),
            _ => failure.advise("Check --blobs."),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let message = chain(&error);
        match error {
            StartError::NotEncrypted { .. } => Self::new(code::BAD_SETTINGS, message).advise(
                "Give it --tls-cert and --tls-key, or say --behind-tls-proxy if a proxy in front speaks TLS.",
            ),
            StartError::Listen { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
                Self::new(code::IN_USE, message)
                    .advise("Another program has this port: stop it, or choose another with --listen.")
            }
            StartError::Listen { .. } => {
                Self::new(code::BAD_SETTINGS, message).advise("Check --listen and the TLS files.")
            }
        }
    }
}

impl From<RunnerError> for Failure {
    fn from(error: RunnerError) -> Self {
        let code = match &error {
            RunnerError::NotAllowed(_) => code::NOT_ALLOWED,
            RunnerError::SpoolLocked { .. } => code::IN_USE,
            RunnerError::Spool { .. } => code::CANNOT_WRITE,
            RunnerError::Refused(_) => code::FAILED,
        };
        // The runner says what to do on a line of its own.
        let text = error.to_string();
        let (message, advice) = text.split_once('\n').unwrap_or((&text, ""));
        let message = match std::error::Error::source(&error) {
            Some(cause) => format!("{message}: {}", chain(cause)),
            None => message.to_owned(),
        };
        let failure = Self::new(code, message);
        match advice.trim() {
            "" => failure,
            advice => failure.advise(advice),
        }
    }
}
