//! Many channels over one stream. Each direction of a channel has a window, so that a slow reader
//! holds back its own writer and nobody else.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::protocol::{CHUNK, Frame, Kind, WINDOW, malformed};

/// One side's view of the connection. What waits to be sent is bounded by the windows.
pub(super) struct Link {
    outgoing: UnboundedSender<Frame>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ended: bool,
    inlets: HashMap<u32, Inlet>,
    outlets: HashMap<u32, Arc<Semaphore>>,
}

struct Inlet {
    items: UnboundedSender<Item>,
    /// How much the peer may send.
    room: Arc<AtomicUsize>,
    replied: bool,
}

/// What comes on a channel.
#[derive(Debug)]
pub(super) enum Item {
    Data(Bytes),
    Reply(Bytes),
}

impl Link {
    /// A link, and what it wants to have sent.
    pub fn new() -> (Arc<Self>, UnboundedReceiver<Frame>) {
        let (outgoing, frames) = unbounded_channel();
        let state = Mutex::default();
        (Arc::new(Self { outgoing, state }), frames)
    }

    /// Sends a frame, unless the connection has ended: its reader tells everybody.
    pub fn send(&self, frame: Frame) {
        let _ = self.outgoing.send(frame);
    }

    /// What arrives on a channel from now on.
    pub fn inbox(self: &Arc<Self>, channel: u32) -> Inbox {
        let (sender, items) = unbounded_channel();
        let room = Arc::new(AtomicUsize::new(WINDOW));
        let mut state = self.state();
        if !state.ended {
            let inlet = Inlet {
                items: sender,
                room: room.clone(),
                replied: false,
            };
            state.inlets.insert(channel, inlet);
        }
        drop(state);
        Inbox {
            link: self.clone(),
            channel,
            items,
            room,
            taken: 0,
        }
    }

    /// The way to send data on a channel.
    pub fn outlet(self: &Arc<Self>, channel: u32) -> Outlet {
        let credit = Arc::new(Semaphore::new(WINDOW));
        let mut state = self.state();
        if state.ended {
            credit.close();
        } else {
            state.outlets.insert(channel, credit.clone());
        }
        drop(state);
        Outlet {
            link: self.clone(),
            channel,
            credit,
        }
    }

    /// Takes a frame that has arrived. What is not about a channel's data is given back.
    pub fn deliver(&self, frame: Frame) -> io::Result<Option<Frame>> {
        let mut state = self.state();
        match frame.kind {
            Kind::Data => state.data(frame)?,
            Kind::Reply => state.reply(frame)?,
            Kind::Close => drop(state.inlets.remove(&frame.channel)),
            Kind::Credit => state.credit(&frame)?,
            Kind::Abandon => {
                if let Some(credit) = state.outlets.remove(&frame.channel) {
                    credit.close();
                }
            }
            Kind::Greeting | Kind::Request | Kind::Cancel | Kind::End => return Ok(Some(frame)),
        }
        Ok(None)
    }

    /// The connection is gone: every channel ends.
    pub fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        state.inlets.clear();
        for (_, credit) in state.outlets.drain() {
            credit.close();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Data of a channel that nobody reads any more is dropped: the peer will hear of it.
    fn data(&mut self, frame: Frame) -> io::Result<()> {
        let Some(inlet) = self.inlets.get(&frame.channel) else {
            return Ok(());
        };
        let length = frame.payload.len();
        let take = |room: usize| room.checked_sub(length);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        if length == 0 || inlet.room.fetch_update(set, fetch, take).is_err() {
            return Err(malformed("data that was not asked for"));
        }
        let _ = inlet.items.send(Item::Data(frame.payload));
        Ok(())
    }

    fn reply(&mut self, frame: Frame) -> io::Result<()> {
        if let Some(inlet) = self.inlets.get_mut(&frame.channel) {
            if std::mem::replace(&mut inlet.replied, true) {
                return Err(malformed("a second reply to one request"));
            }
            let _ = inlet.items.send(Item::Reply(frame.payload));
        }
        Ok(())
    }

    fn credit(&self, frame: &Frame) -> io::Result<()> {
        let bytes = <[u8; 4]>::try_from(&frame.payload[..]);
        let bytes = bytes.map_err(|_| malformed("a credit that is no number"))?;
        let count = u32::from_be_bytes(bytes) as usize;
        if let Some(credit) = self.outlets.get(&frame.channel) {
            if credit.available_permits().saturating_add(count) > WINDOW {
                return Err(malformed("a credit for what was not sent"));
            }
            credit.add_permits(count);
        }
        Ok(())
    }
}

/// The receiving end of a channel. Dropping it tells the peer.
pub(super) struct Inbox {
    link: Arc<Link>,
    channel: u32,
    items: UnboundedReceiver<Item>,
    room: Arc<AtomicUsize>,
    taken: usize,
}

impl Inbox {
    /// What comes next; `None` at the channel's or the connection's end.
    pub async fn next(&mut self) -> Option<Item> {
        self.items.recv().await
    }

    /// Data of this length has been dealt with, so the peer may send as much again.
    pub fn release(&mut self, length: usize) {
        self.taken += length;
        // Not for every line: a credit is a frame too.
        if self.taken < WINDOW / 4 {
            return;
        }
        self.room.fetch_add(self.taken, Ordering::Relaxed);
        let count = u32::try_from(std::mem::take(&mut self.taken)).unwrap_or(u32::MAX);
        self.link.send(Frame {
            kind: Kind::Credit,
            channel: self.channel,
            payload: Bytes::copy_from_slice(&count.to_be_bytes()),
        });
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        if self.link.state().inlets.remove(&self.channel).is_some() {
            self.link.send(Frame::empty(Kind::Abandon, self.channel));
        }
    }
}

/// The sending end of a channel. Dropping it is the end of the data.
pub(super) struct Outlet {
    link: Arc<Link>,
    channel: u32,
    credit: Arc<Semaphore>,
}

impl Outlet {
    /// Sends bytes; waits while the window is full. An error means that nobody wants them.
    pub async fn write(&self, mut bytes: Bytes) -> io::Result<()> {
        while !bytes.is_empty() {
            let payload = bytes.split_to(bytes.len().min(CHUNK));
            let count = u32::try_from(payload.len()).map_err(io::Error::other)?;
            let permit = self.credit.acquire_many(count).await;
            permit
                .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?
                .forget();
            self.link.send(Frame {
                kind: Kind::Data,
                channel: self.channel,
                payload,
            });
        }
        Ok(())
    }

    /// Answers the request that opened the channel. It comes after all data that was written.
    pub fn reply(&self, payload: Bytes) {
        self.link.send(Frame {
            kind: Kind::Reply,
            channel: self.channel,
            payload,
        });
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.link.state().outlets.remove(&self.channel);
        self.link.send(Frame::empty(Kind::Close, self.channel));
    }
}

/// Writes frames to the stream until nobody can send any more.
pub(super) async fn write_frames(
    mut frames: UnboundedReceiver<Frame>,
    writer: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(CHUNK, writer);
    while let Some(frame) = frames.recv().await {
        frame.write(&mut writer).await?;
        if frames.is_empty() {
            writer.flush().await?;
        }
    }
    writer.shutdown().await
}
