//! Listening: sockets, TLS, and connections that end gracefully.
//!
//! Connections are served by hyper directly, not by `axum::serve`: a parked long poll then costs
//! half the memory.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use outrider_service::{Shutdown, Tasks};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::api::Observed;
use crate::settings::TlsFiles;

/// How long a peer may take for its request's head, and how long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(120);

/// How long a peer may take for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The pause after the system could not give another socket.
const PAUSE: Duration = Duration::from_millis(50);

/// A socket that is bound, and how to speak on it.
pub struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Listener {
    /// Binds the socket and reads the certificates: what can go wrong goes wrong here.
    pub async fn bind(address: SocketAddr, tls: Option<&TlsFiles>) -> io::Result<Self> {
        let tls = tls.map(acceptor).transpose()?;
        Ok(Self {
            socket: TcpListener::bind(address).await?,
            tls,
        })
    }

    /// The address that it is bound to.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Whether it speaks TLS.
    pub const fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Accepts connections until the server drains; those that are open then may finish what they
    /// are doing.
    pub async fn serve(self, routes: Observed, shutdown: Shutdown, connections: Tasks) {
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = shutdown.draining() => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    let serving =
                        connection(stream, self.tls.clone(), routes.clone(), shutdown.clone());
                    connections.spawn(serving);
                }
                Err(error) => {
                    // Out of file descriptors, mostly: those that are open go on.
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    routes: Observed,
    shutdown: Shutdown,
) {
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    match tls {
        None => serve_http(stream, routes, shutdown).await,
        // Apart, so that connections without TLS do not carry its state.
        Some(acceptor) => Box::pin(serve_tls(acceptor, stream, routes, shutdown)).await,
    }
}

async fn serve_tls(acceptor: TlsAcceptor, stream: TcpStream, routes: Observed, shutdown: Shutdown) {
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => serve_http(stream, routes, shutdown).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    routes: Observed,
    shutdown: Shutdown,
) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(IDLE);
    let service = service_fn(move |request| routes.answer(request));
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.draining() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = shutdown.stopping() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(
            error = crate::error::chain(&error),
            "a connection ended early"
        );
    }
}

fn acceptor(files: &TlsFiles) -> io::Result<TlsAcceptor> {
    let wrong = |path: &std::path::Path, error: &dyn std::fmt::Display| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{}: {error}", path.display()),
        )
    };
    let certificates = CertificateDer::pem_file_iter(&files.certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(&files.certificates, &error))?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| wrong(&files.key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| wrong(&files.certificates, &error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
