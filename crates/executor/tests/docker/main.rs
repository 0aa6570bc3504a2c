//! Images and services, at a real Engine and with a real registry.

mod care;
mod images;
mod podman;
mod services;

use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_executor::Output;

/// Remembers what was said.
#[derive(Default)]
struct Said(Mutex<Vec<u8>>);

#[async_trait]
impl Output for Said {
    async fn write(&self, bytes: Bytes) {
        self.0.lock().expect("no panic").extend_from_slice(&bytes);
    }
}

impl Said {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("text")
    }
}
