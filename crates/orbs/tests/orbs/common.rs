//! What tests of orbs share: configs that are lists of references, and a server on loopback.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use outrider_config::{OrbReference, Orbs};
use outrider_orbs::{Network, Resolution, ResolveError, Resolver, Settings};
use outrider_service::Tasks;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What a config misses that uses these orbs. An orb uses what its lines `# uses …` name.
pub fn uses(roots: &[&str]) -> impl Fn(&Orbs) -> Vec<OrbReference> {
    let roots: Vec<OrbReference> = roots.iter().map(|root| root.parse().unwrap()).collect();
    move |orbs| {
        let mut all = roots.clone();
        for text in orbs.values().map(|orb| &orb.text) {
            let used = text.lines().filter_map(|line| line.strip_prefix("# uses "));
            all.extend(used.map(|name| name.parse::<OrbReference>().unwrap()));
        }
        let mut missing = Vec::new();
        for reference in all {
            if !orbs.contains_key(&reference) && !missing.contains(&reference) {
                missing.push(reference);
            }
        }
        missing
    }
}

/// A folder with a place for everything that a resolution touches.
pub struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// All files, by their path here.
    pub fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in folder.read_dir().unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let below = path.strip_prefix(self.folder.path()).unwrap();
                    found.push(below.display().to_string());
                }
            }
        }
        found.sort();
        found
    }

    /// Settings that touch nothing but this folder.
    pub fn settings(&self) -> Settings {
        Settings {
            directories: vec![self.path("orbs")],
            cache: Some(self.path("cache")),
            offline: true,
            ..Settings::default()
        }
    }

    pub async fn resolve(
        &self,
        settings: &Settings,
        roots: &[&str],
    ) -> Result<Resolution, ResolveError> {
        let resolver = Resolver::new(settings).unwrap();
        let lock = self.path("orbs.lock");
        resolver.resolve(Some(&lock), uses(roots)).await
    }
}

/// The text that a config gets for a reference.
pub fn text<'a>(resolution: &'a Resolution, reference: &str) -> &'a str {
    assert!(
        resolution.unresolved.is_empty(),
        "{:?}",
        resolution.unresolved
    );
    &resolution.orbs[&reference.parse::<OrbReference>().unwrap()].text
}

/// What is wrong with the only orb that could not be had, and what to do.
pub fn complaint(resolution: &Resolution) -> String {
    let [unresolved] = &resolution.unresolved[..] else {
        panic!("one is expected: {:?}", resolution.unresolved);
    };
    format!("{unresolved}\n{}", unresolved.advice())
}

/// What a server was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

/// What a server answers.
pub enum Reply {
    Status(u16, String),
    Redirect(String),
    Never,
}

impl Reply {
    pub fn ok(text: impl Into<String>) -> Self {
        Self::Status(200, text.into())
    }
}

/// A server on loopback. It ends with the test's runtime.
pub struct Peer {
    pub url: String,
    pub certificate: Option<Vec<u8>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    _tasks: Tasks,
}

type Answer = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

impl Peer {
    /// Speaks HTTPS with a certificate of its own.
    pub async fn https(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        outrider_api::client::use_ring();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let pem = made.cert.pem().into_bytes();
        Self::start(Some((acceptor, pem)), Arc::new(answer)).await
    }

    /// Speaks HTTP.
    pub async fn http(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(answer)).await
    }

    async fn start(tls: Option<(TlsAcceptor, Vec<u8>)>, answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (acceptor, certificate) = tls.unzip();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let tasks = Tasks::new();
        let (log, connections) = (asked.clone(), tasks.clone());
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, answer, log) = (acceptor.clone(), answer.clone(), log.clone());
                connections.spawn(async move {
                    match acceptor {
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, answer, log).await;
                            }
                        }
                        None => serve(stream, answer, log).await,
                    }
                });
            }
        });
        Self {
            url: format!("{scheme}://{address}"),
            certificate,
            asked,
            _tasks: tasks,
        }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How it is reached.
    pub fn network(&self) -> Network {
        Network {
            ca_certificates: self.certificate.clone(),
            ..Network::default()
        }
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: Answer,
    log: Arc<Mutex<Vec<Asked>>>,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let (answer, log) = (answer.clone(), log.clone());
        async move {
            let asked = Asked {
                path: request.uri().path().to_owned(),
                headers: request.headers().clone(),
                body: text_of(request.into_body()).await,
            };
            let reply = answer(&asked);
            log.lock().unwrap().push(asked);
            Ok::<_, Infallible>(response(reply).await)
        }
    });
    // A client that goes away is none of a test's business.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn text_of(body: Incoming) -> String {
    let bytes = body.collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn response(reply: Reply) -> Response<Full<Bytes>> {
    let builder = Response::builder();
    match reply {
        Reply::Status(status, text) => builder.status(status).body(Full::from(text)).unwrap(),
        Reply::Redirect(to) => builder
            .status(302)
            .header("location", to)
            .body(Full::default())
            .unwrap(),
        Reply::Never => std::future::pending().await,
    }
}
