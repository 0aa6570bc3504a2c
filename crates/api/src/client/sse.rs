//! Server-sent events, as far as Outrider's own streams need them (WHATWG HTML, section 9.2).

use reqwest::Response;

use super::{ClientError, Result};

/// One server-sent event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerEvent {
    /// Its name; `message` where the server gives none.
    pub event: String,
    /// Its id: what `Last-Event-ID` takes to go on after it.
    pub id: String,
    /// Its data.
    pub data: String,
}

/// A stream of server-sent events. Comments, which keep the connection alive, are passed over.
pub struct SseStream {
    url: String,
    response: Response,
    buffer: Vec<u8>,
}

impl SseStream {
    pub(super) const fn new(url: String, response: Response) -> Self {
        Self {
            url,
            response,
            buffer: Vec::new(),
        }
    }

    /// The next event; `None` when the server ended the stream.
    pub async fn next(&mut self) -> Result<Option<ServerEvent>> {
        loop {
            while let Some(event) = take_event(&mut self.buffer) {
                if !event.data.is_empty() || !event.event.is_empty() {
                    return Ok(Some(event));
                }
            }
            match self.response.chunk().await {
                Ok(Some(bytes)) => self.buffer.extend_from_slice(&bytes),
                Ok(None) => return Ok(None),
                Err(error) => {
                    return Err(ClientError::Unreachable {
                        url: self.url.clone(),
                        source: Box::new(error.without_url()),
                    });
                }
            }
        }
    }
}

/// Takes the first whole event out of the buffer.
fn take_event(buffer: &mut Vec<u8>) -> Option<ServerEvent> {
    let end = buffer.windows(2).position(|pair| pair == b"\n\n")?;
    let text = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end + 2);
    let mut event = ServerEvent::default();
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut event.event),
            "id" => value.clone_into(&mut event.id),
            "data" => {
                if !event.data.is_empty() {
                    event.data.push('\n');
                }
                event.data.push_str(value);
            }
            _ => {}
        }
    }
    Some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_events_as_they_become_whole() {
        let mut buffer =
            b": keep-alive\n\nevent: log\nid: 5\ndata: a\ndata: b\n\nevent: e".to_vec();
        assert_eq!(take_event(&mut buffer), Some(ServerEvent::default()));
        let event = take_event(&mut buffer).unwrap();
        assert_eq!((event.event.as_str(), event.id.as_str()), ("log", "5"));
        assert_eq!(event.data, "a\nb");
        assert_eq!(take_event(&mut buffer), None);
        assert_eq!(buffer, b"event: e");
    }
}
