//! A server from its start to its end.

use std::net::SocketAddr;
use std::sync::Arc;

use outrider_service::{Shutdown, Tasks};

use crate::core::Parts;
use crate::net::Listener;
use crate::{Core, ServerSettings, api, duties};

/// A server that is bound to its address.
pub struct Server {
    core: Arc<Core>,
    listener: Listener,
    /// Loopback without TLS, for a runner in this process.
    inner: Option<Listener>,
    address: SocketAddr,
    shutdown: Shutdown,
}

/// A server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Others could read tokens and logs on the way.
    #[error(
        "{address} can be reached by other hosts, and without TLS they could read tokens and logs"
    )]
    NotEncrypted {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// The address cannot be used.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl Server {
    /// Binds the address. Nothing is served before [`Server::run`].
    pub async fn bind(
        parts: Parts,
        settings: ServerSettings,
        shutdown: Shutdown,
    ) -> Result<Self, StartError> {
        let address = settings.listen;
        if !address.ip().is_loopback() && settings.tls.is_none() && !settings.behind_tls_proxy {
            return Err(StartError::NotEncrypted { address });
        }
        let listen_error = |source| StartError::Listen { address, source };
        let listener = Listener::bind(address, settings.tls.as_ref())
            .await
            .map_err(listen_error)?;
        let address = listener.address().map_err(listen_error)?;
        let core = Arc::new(Core::new(parts, settings, shutdown.clone()));
        Ok(Self {
            core,
            listener,
            inner: None,
            address,
            shutdown,
        })
    }

    /// What the server does, without HTTP.
    pub const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// How others reach it.
    pub fn url(&self) -> String {
        let scheme = if self.listener.is_tls() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address)
    }

    /// How a runner in this process reaches it. A certificate is for a name that others use, and a
    /// runner here need not trust its authority: with TLS there is a second address, on loopback.
    pub async fn url_on_this_host(&mut self) -> Result<String, StartError> {
        if !self.listener.is_tls() {
            return Ok(self.url());
        }
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let listen_error = |source| StartError::Listen { address, source };
        let inner = Listener::bind(address, None).await.map_err(listen_error)?;
        let url = format!("http://{}", inner.address().map_err(listen_error)?);
        self.inner = Some(inner);
        Ok(url)
    }

    /// Serves until it is drained, then lets open requests finish, for a while.
    pub async fn run(self) {
        let duties = Tasks::new();
        let connections = Tasks::new();
        duties::start(&self.core, &duties);
        let routes = api::router(Arc::clone(&self.core));
        if let Some(inner) = self.inner {
            duties.spawn(inner.serve(routes.clone(), self.shutdown.clone(), connections.clone()));
        }
        self.listener
            .serve(routes, self.shutdown.clone(), connections.clone())
            .await;
        tracing::info!("no more connections; open requests finish");
        let drain = self.core.settings.timings.drain;
        if tokio::time::timeout(drain, connections.ended())
            .await
            .is_err()
        {
            tracing::warn!("open requests did not finish in time and are cut off");
            self.shutdown.stop();
            connections.ended().await;
        }
        duties.ended().await;
    }
}
