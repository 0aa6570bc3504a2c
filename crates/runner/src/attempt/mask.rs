//! Secrets do not get into logs: a step's output passes through here where the task has any.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_executor::Output;
use tokio::sync::Mutex;

/// What stands in a log in place of a secret.
const MASK: &[u8] = b"****";

/// An output that lets no secret through.
pub struct Masked {
    output: Arc<dyn Output>,
    secrets: Vec<Vec<u8>>,
    /// The end of what was written, as far as it may be the beginning of a secret.
    held: Mutex<Vec<u8>>,
}

impl Masked {
    /// Masks these secrets. None is empty.
    pub fn new(output: Arc<dyn Output>, secrets: Vec<Vec<u8>>) -> Self {
        Self {
            output,
            secrets,
            held: Mutex::default(),
        }
    }

    /// Nothing more will be written: what was held back is no secret.
    pub async fn flush(&self) {
        let rest = std::mem::take(&mut *self.held.lock().await);
        if !rest.is_empty() {
            self.output.write(rest.into()).await;
        }
    }

    /// What can be written of these bytes, and how many at their end cannot yet.
    fn mask(&self, bytes: &[u8]) -> (Vec<u8>, usize) {
        let mut masked = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while !rest.is_empty() {
            if let Some(secret) = self.secrets.iter().find(|it| rest.starts_with(it)) {
                masked.extend_from_slice(MASK);
                rest = &rest[secret.len()..];
            } else if self.secrets.iter().any(|it| it.starts_with(rest)) {
                break;
            } else {
                masked.push(rest[0]);
                rest = &rest[1..];
            }
        }
        (masked, rest.len())
    }
}

#[async_trait]
impl Output for Masked {
    async fn write(&self, bytes: Bytes) {
        let mut held = self.held.lock().await;
        held.extend_from_slice(&bytes);
        let (masked, kept) = self.mask(&held);
        let done = held.len() - kept;
        held.drain(..done);
        if !masked.is_empty() {
            self.output.write(masked.into()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen(Mutex<Vec<u8>>);

    #[async_trait]
    impl Output for Seen {
        async fn write(&self, bytes: Bytes) {
            self.0.lock().await.extend_from_slice(&bytes);
        }
    }

    /// What gets through, written in pieces of this size.
    async fn through(text: &str, size: usize) -> String {
        let seen = Arc::new(Seen::default());
        let secrets = vec![b"secret-1".to_vec(), b"abab".to_vec()];
        let masked = Masked::new(Arc::clone(&seen) as _, secrets);
        for piece in text.as_bytes().chunks(size) {
            masked.write(Bytes::copy_from_slice(piece)).await;
        }
        masked.flush().await;
        let seen = seen.0.lock().await.clone();
        String::from_utf8(seen).unwrap()
    }

    #[tokio::test]
    async fn secrets_are_masked_however_they_are_cut() {
        let text = "a secret-1, another secret-2, secret-1secret-1 and secret-";
        let masked = "a ****, another secret-2, ******** and secret-";
        for size in 1..=text.len() {
            assert_eq!(through(text, size).await, masked, "in pieces of {size}");
        }
        for size in 1..=6 {
            assert_eq!(through("aababb", size).await, "a****b");
        }
    }
}
