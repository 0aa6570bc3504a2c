//! A network that cuts and holds connections, each once.
#![expect(
    clippy::disallowed_methods,
    reason = "it ends with the runtime of its test"
)]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of a connection.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// It is cut after so many bytes towards the server.
    CutRequest(usize),
    /// It is cut after so many bytes towards the client.
    CutAnswer(usize),
    /// The server never hears of it.
    Hold,
    /// After so many bytes towards the client it stands still, until the client gives up.
    HoldAnswer(usize),
}

/// Stands in front of a server until the test ends. The first connections have these fates, the
/// others go through.
pub struct Relay {
    /// Where it listens.
    pub address: SocketAddr,
    met: Arc<AtomicUsize>,
}

impl Relay {
    /// Starts it.
    pub async fn start(server: SocketAddr, fates: &[Fate]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let met = Arc::new(AtomicUsize::new(0));
        let fates = Mutex::new(VecDeque::from(fates.to_vec()));
        let counter = Arc::clone(&met);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let fate = fates.lock().expect("no panic").pop_front();
                tokio::spawn(carry(client, server, fate, Arc::clone(&counter)));
            }
        });
        Self { address, met }
    }

    /// How many connections met their fate.
    pub fn met(&self) -> usize {
        self.met.load(Ordering::SeqCst)
    }
}

async fn carry(
    mut client: TcpStream,
    server: SocketAddr,
    fate: Option<Fate>,
    met: Arc<AtomicUsize>,
) {
    let (request, answer) = match fate {
        Some(Fate::CutRequest(bytes)) => (bytes, usize::MAX),
        Some(Fate::CutAnswer(bytes) | Fate::HoldAnswer(bytes)) => (usize::MAX, bytes),
        None => (usize::MAX, usize::MAX),
        Some(Fate::Hold) => {
            met.fetch_add(1, Ordering::SeqCst);
            return hold(client).await;
        }
    };
    let Ok(mut server) = TcpStream::connect(server).await else {
        return;
    };
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let cut = tokio::select! {
        cut = pass(from_client, to_server, request) => cut,
        cut = pass(from_server, to_client, answer) => cut,
    };
    if cut {
        met.fetch_add(1, Ordering::SeqCst);
        if matches!(fate, Some(Fate::HoldAnswer(_))) {
            hold(client).await;
        }
    }
}

/// Until the client gives up.
pub(crate) async fn hold(mut client: impl AsyncReadExt + Unpin) {
    while let Ok(1..) = client.read(&mut [0; 4096]).await {}
}

/// Whether it was cut before one side ended it.
pub(crate) async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut left: usize,
) -> bool {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let part = count.min(left);
        if to.write_all(&buffer[..part]).await.is_err() {
            return false;
        }
        left -= part;
        if part < count {
            return true;
        }
    }
    false
}
