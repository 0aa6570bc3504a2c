//! What an Engine answers, or does not.

use bollard::Docker;
use bollard::errors::Error;
use tokio::time::timeout;

/// Waits for the whole answer: the client itself waits only for its beginning.
pub(super) async fn answered<T>(
    docker: &Docker,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let answer = timeout(docker.timeout(), answer).await;
    answer.unwrap_or(Err(Error::RequestTimeoutError))
}

/// Whether this says that a disk is full.
pub(super) fn is_full(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    ["no space left on device", "disk quota exceeded"]
        .iter()
        .any(|text| said.contains(text))
}

/// What an error of a client means for people, where nobody says which Engine it is.
pub(super) fn told(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        Error::RequestTimeoutError => "the Docker Engine does not answer\n\
             look at its log and at the load of its host"
            .to_owned(),
        other => format!(
            "the Docker Engine does not answer: {}\nlook whether it still runs, and at its log",
            deepest(other)
        ),
    }
}

/// What lies below a chain of errors that only say that there was one.
pub(super) fn deepest(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
