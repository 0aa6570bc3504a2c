//! The output of a step, without secrets.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_executor::Output;
use tokio::sync::Mutex;

use super::Redactor;
use super::stream::Stream;

/// An output that lets no secret through.
pub struct Redacted {
    output: Arc<dyn Output>,
    redactor: Arc<Redactor>,
    /// Locked until what is to be written is written: the order stays.
    stream: Mutex<Stream>,
}

impl Redacted {
    /// Writes to this output what the redactor lets through.
    pub fn new(output: Arc<dyn Output>, redactor: Arc<Redactor>) -> Self {
        Self {
            output,
            redactor,
            stream: Mutex::default(),
        }
    }

    /// Nothing more is expected: writes what was held back.
    pub async fn flush(&self) {
        let mut stream = self.stream.lock().await;
        let rest = stream.finish(self.redactor.pattern().as_deref());
        if !rest.is_empty() {
            self.output.write(rest.into()).await;
        }
    }
}

#[async_trait]
impl Output for Redacted {
    async fn write(&self, bytes: Bytes) {
        let mut stream = self.stream.lock().await;
        let written = stream.next(self.redactor.pattern().as_deref(), bytes);
        // Also if it is empty: a step is not silent because its bytes are held back.
        self.output.write(written).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::Secret;

    #[derive(Default)]
    struct Seen(Mutex<Vec<Bytes>>);

    #[async_trait]
    impl Output for Seen {
        async fn write(&self, bytes: Bytes) {
            self.0.lock().await.push(bytes);
        }
    }

    #[tokio::test]
    async fn a_write_is_heard_of_even_if_all_of_it_is_held_back() {
        let (seen, redactor) = (Arc::new(Seen::default()), Arc::new(Redactor::default()));
        let output = Redacted::new(Arc::clone(&seen) as _, Arc::clone(&redactor));
        output.write(Bytes::from_static(b"secret-")).await;
        redactor.add(&[Secret::new("secret-1")]);
        for piece in ["secret-", "1 secret-"] {
            output.write(Bytes::from_static(piece.as_bytes())).await;
        }
        output.flush().await;
        output.flush().await;
        let seen = seen.0.lock().await.clone();
        assert_eq!(seen, ["secret-", "", "**** ", "secret-"]);
    }
}
