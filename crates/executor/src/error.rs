//! What executors cannot do, and who has to mend it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An executor could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ExecutorError {
    /// Who has to mend it.
    pub fault: Fault,
    /// What could not be done.
    pub message: String,
    /// Why.
    #[source]
    pub source: Option<std::io::Error>,
}

impl ExecutorError {
    /// An error of the config's or the code's author.
    pub fn user(message: impl fmt::Display, source: impl Into<Option<std::io::Error>>) -> Self {
        Self {
            fault: Fault::User,
            message: message.to_string(),
            source: source.into(),
        }
    }

    /// An error of the host.
    pub fn infrastructure(
        message: impl fmt::Display,
        source: impl Into<Option<std::io::Error>>,
    ) -> Self {
        Self {
            fault: Fault::Infrastructure,
            message: message.to_string(),
            source: source.into(),
        }
    }
}

/// Who has to mend an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// The author of the config or the code: a shell that does not exist, say.
    User,
    /// Whoever runs the host: a full disk, say. The task may be tried elsewhere.
    Infrastructure,
}
