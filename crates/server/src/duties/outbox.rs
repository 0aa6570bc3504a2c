//! Sends what happened to the outside: each message at least once, in order.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use outrider_api::ErrorCode;
use outrider_model::secret::Token;
use outrider_store::OutboxMessage;
use sha2::Sha256;

use crate::settings::Webhook;
use crate::{ApiError, Core};

const BATCH: u32 = 100;
const PAUSE: Duration = Duration::from_millis(500);

/// How long a receiver may take for one message.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A message that nobody takes is given up after this time, so that it does not block the rest.
const GIVE_UP: Duration = Duration::from_secs(24 * 3600);

/// Posts messages to the webhook, if there is one.
pub struct Sender {
    http: reqwest::Client,
    webhook: Option<Webhook>,
}

impl Sender {
    /// Sends to this webhook, or to nobody.
    pub fn new(webhook: Option<&Webhook>) -> Self {
        outrider_api::client::use_ring();
        Self {
            http: reqwest::Client::new(),
            webhook: webhook.cloned(),
        }
    }

    /// Posts one message. Without a webhook there is nobody to tell.
    async fn send(&self, message: &OutboxMessage) -> Result<(), ApiError> {
        let Some(webhook) = &self.webhook else {
            return Ok(());
        };
        let mut request = self
            .http
            .post(&webhook.url)
            .timeout(TIMEOUT)
            .header("content-type", "application/json")
            .header("outrider-event", &message.topic)
            .header("outrider-delivery", message.id.to_string())
            .body(message.body.clone());
        if let Some(secret) = &webhook.secret {
            request = request.header("outrider-signature", signature(secret, &message.body));
        }
        let sent = request
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        sent.map(drop).map_err(|error| {
            let cause = crate::error::chain(&error.without_url());
            ApiError::new(
                ErrorCode::Unavailable,
                format!("the webhook did not take it: {cause}"),
            )
        })
    }
}

/// `v1=` and the HMAC-SHA-256 of the body in hexadecimal digits, as CircleCI signs its webhooks.
fn signature(secret: &Token, body: &str) -> String {
    // HMAC takes keys of every length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) else {
        return String::new();
    };
    mac.update(body.as_bytes());
    let digits: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("v1={digits}")
}

/// Sends the oldest messages. Those that were taken leave the outbox; the first that was not holds
/// up the rest, so that the order stays.
pub async fn send_outbox_once(core: &Core, sender: &Sender) -> Result<Duration, ApiError> {
    let messages = core.store.outbox(BATCH).await?;
    let now = core.clock.now();
    let mut done = Vec::new();
    let mut failure = None;
    for message in &messages {
        if let Err(error) = sender.send(message).await {
            if now.since(message.created_at) < GIVE_UP {
                failure = Some(error);
                break;
            }
            tracing::error!(topic = message.topic, %error, "gave up a message after a day");
        }
        done.push(message.id);
    }
    let whole = done.len() == BATCH as usize;
    if !done.is_empty() {
        core.store.outbox_done(done).await?;
    }
    match failure {
        Some(error) => Err(error),
        None if whole => Ok(Duration::ZERO),
        None => Ok(PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_the_standard_says() {
        // RFC 4231, test case 2.
        let signed = signature(&Token::presented("Jefe"), "what do ya want for nothing?");
        assert_eq!(
            signed,
            "v1=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
