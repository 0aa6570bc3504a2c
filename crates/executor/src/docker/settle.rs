//! Answers that only time makes readable.
//!
//! Podman calls a container `stopped` between its end and its clean-up. The client knows no such
//! state, and gives up on the whole answer.

use bollard::errors::Error;
use tokio::time::{Duration, Instant, sleep};

/// How long Podman may take to clean up. It waits for locks on its storage.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// Asks until the answer can be read.
pub(super) async fn settled<T, F>(ask: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let end = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Err(Error::JsonDataError { .. }) if Instant::now() < end => sleep(PAUSE).await,
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn what_cannot_be_read_is_asked_for_again() {
        let asked = Cell::new(0);
        let answer = settled(|| {
            asked.set(asked.get() + 1);
            let answer = match asked.get() {
                1 | 2 => Err(Error::JsonDataError {
                    message: "unknown variant `stopped`".to_owned(),
                    column: 1,
                }),
                _ => Ok("exited"),
            };
            async { answer }
        });
        assert_eq!(answer.await.expect("an answer"), "exited");
        assert_eq!(asked.get(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_can_never_be_read_is_an_error() {
        let unreadable = || async {
            Err::<(), _>(Error::JsonDataError {
                message: "unknown variant `odd`".to_owned(),
                column: 1,
            })
        };
        let answer = settled(unreadable).await;
        assert!(matches!(answer, Err(Error::JsonDataError { .. })));
    }
}
