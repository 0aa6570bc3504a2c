//! The tool's side: runs one step where its files are.

use std::io;
use std::sync::Arc;

use outrider_api::runner::HeldLease;
use outrider_model::secret::LeaseToken;
use outrider_model::{Random, TaskId};
use outrider_service::{Clock, OsRandom, SystemClock};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::protocol::{self, Down, Order, Up, nonsense};
use super::proxy::Proxy;
use crate::data::blobs::TaskBlobs;
use crate::data::{self, DataContext};
use crate::redact::{Redactor, Secret};

/// Does what the runner orders, and ends. The error is that the runner is gone, or speaks another
/// language.
pub async fn run(
    mut input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Send + Unpin + 'static,
) -> io::Result<()> {
    let Some((Down::Start(order), _)) = protocol::read(&mut input).await? else {
        return Err(nonsense("the runner has not said what to do"));
    };
    let proxy = Arc::new(Proxy::new(output));
    let stop = CancellationToken::new();
    let Order { task, step, masked } = *order;
    let redactor = Redactor::default();
    redactor.add(&masked.into_iter().map(Secret::new).collect::<Vec<_>>());
    let context = DataContext {
        task: Arc::new(task),
        blobs: blobs(&proxy),
        redactor: Arc::new(redactor),
        output: Arc::clone(&proxy) as _,
        clock: Arc::new(SystemClock),
        stop: stop.clone(),
    };
    let ended = tokio::select! {
        ended = data::run_here(&context, &step) => ended,
        gone = listen(&mut input, &proxy, &stop) => return gone,
    };
    let ended = ended.map(|(exit, _)| exit);
    let ended = ended.map_err(|failure| failure.text().to_owned());
    proxy.send(&Up::Ended(ended), &[]).await
}

/// The runner makes the calls with a lease of its own: this one stands for nothing.
fn blobs(proxy: &Arc<Proxy>) -> Arc<TaskBlobs> {
    let random: Arc<dyn Random> = Arc::new(OsRandom::new());
    let by = HeldLease {
        task: TaskId::new(SystemClock.now(), &*random),
        lease: LeaseToken::generate(&*random),
    };
    Arc::new(TaskBlobs::new(Arc::clone(proxy) as _, by, random))
}

/// Hands out answers until the runner is gone.
async fn listen(
    input: &mut (impl AsyncRead + Unpin),
    proxy: &Proxy,
    stop: &CancellationToken,
) -> io::Result<()> {
    while let Some((down, body)) = protocol::read(input).await? {
        match down {
            Down::Answer { call, answer } => proxy.answered(call, (answer, body)),
            Down::Stop => stop.cancel(),
            Down::Start(_) => return Err(nonsense("the runner has started twice")),
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}
