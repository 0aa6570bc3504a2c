//! The typed HTTP client: what the runner and the command line use.

mod data;
mod outputs;
mod secrets;
mod sse;

use std::time::Duration;

use bytes::Bytes;
use outrider_model::secret::{LeaseToken, Token};
use outrider_model::{JobId, PipelineId, TaskId, TokenId};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;

pub use data::BLOB_STORE;
pub use sse::{ServerEvent, SseStream};

use crate::continuation::{CONTINUE_PATH, ContinuePipeline, Message};
use crate::error::{ErrorBody, ErrorCode, ErrorDetail};
use crate::jobs::{Explanation, JobDetail, LogQuery, TaskDetail};
use crate::paths;
use crate::pipelines::{
    Canceled, ListPipelines, PipelineDetail, PipelineList, SubmitPipeline, SubmittedPipeline,
};
use crate::runner::{
    AppendLogQuery, AppendLogResponse, ClaimRequest, ClaimResponse, GoodbyeRequest,
    HeartbeatRequest, HeartbeatResponse, ReleaseRequest, ReportRequest, ReportResponse,
};
use crate::runners::{ListRunners, Queue, RunnerList};
use crate::tokens::{CreateToken, CreatedToken, TokenList};

/// How long a call may take that does not wait for work.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How much longer than the server's own waiting a waiting call may take.
const WAIT_MARGIN: Duration = Duration::from_secs(15);

/// Speaks to one server with one token. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    /// For the blob store: it sends no token.
    direct: reqwest::Client,
    base: String,
}

/// How to reach a server.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// Its URL, for example `https://ci.example.com`.
    pub url: String,
    /// Who is calling.
    pub token: Token,
    /// A PEM file with certificates to trust besides the system's.
    pub ca_certificates: Option<Vec<u8>>,
}

/// A call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The settings make no client.
    #[error("cannot call {url}: {problem}")]
    Settings {
        /// The server's URL.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// No answer came: the server is away, or the network is. The call may or may not have taken
    /// effect; all calls can be repeated.
    #[error("no answer from {url}")]
    Unreachable {
        /// The server's URL.
        url: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server refused.
    #[error("{}", .detail.message)]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the server said.
        detail: Box<ErrorDetail>,
    },
    /// What came back is not what this version understands.
    #[error("the answer of {url} makes no sense: {problem}")]
    Protocol {
        /// The server's URL.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl ClientError {
    /// Whether the same call may succeed later: the server was away or not ready.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            Self::Settings { .. } | Self::Protocol { .. } => false,
        }
    }

    /// The server's error code, if it sent one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { detail, .. } => Some(detail.code),
            _ => None,
        }
    }
}

type Result<T, E = ClientError> = std::result::Result<T, E>;

/// Chooses the cryptography of all TLS in this process. Whoever builds an HTTP client calls it.
pub fn use_ring() {
    // Only the first call installs it; the error says that it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client that trusts these certificates and the system's. A system that has none is no reason to
/// fail: it may call servers without TLS.
fn trusting(
    builder: impl Fn() -> reqwest::ClientBuilder,
    certificates: &[reqwest::Certificate],
) -> reqwest::Result<reqwest::Client> {
    let own = || certificates.iter().cloned();
    let both = builder().tls_certs_merge(own()).build();
    both.or_else(|_| builder().tls_certs_only(own()).build())
}

impl Client {
    /// A client for one server and one token.
    pub fn new(settings: &ClientSettings) -> Result<Self> {
        use_ring();
        let base = settings.url.trim_end_matches('/').to_owned();
        let wrong = |problem: String| ClientError::Settings {
            url: base.clone(),
            problem,
        };
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(wrong(
                "a server's URL starts with https:// or http://".to_owned(),
            ));
        }
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", settings.token.reveal()))
            .map_err(|_| wrong("the token has characters that no token has".to_owned()))?;
        bearer.set_sensitive(true);
        let certificates = match &settings.ca_certificates {
            Some(pem) => reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|error| wrong(format!("the CA file cannot be read: {error}")))?,
            None => Vec::new(),
        };
        let direct = || {
            reqwest::Client::builder()
                .user_agent(concat!("outrider/", env!("CARGO_PKG_VERSION")))
                .http1_only()
                .tcp_nodelay(true)
                .connect_timeout(Duration::from_secs(10))
        };
        let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
        let own = || {
            let own = direct().default_headers(headers.clone());
            match base.starts_with("http://") {
                true => own.no_proxy(),
                false => own,
            }
        };
        let wrong = |error: reqwest::Error| wrong(error.to_string());
        let http = trusting(own, &certificates).map_err(wrong)?;
        let direct = trusting(direct, &certificates).map_err(wrong)?;
        Ok(Self { http, direct, base })
    }

    /// The server's URL.
    pub fn url(&self) -> &str {
        &self.base
    }

    // ---- pipelines ----

    /// Submits a pipeline. With the same key it can be repeated safely.
    pub async fn submit_pipeline(
        &self,
        body: &SubmitPipeline,
        idempotency_key: Option<&str>,
    ) -> Result<SubmittedPipeline> {
        let mut request = self.request(Method::POST, "/pipelines").json(body);
        if let Some(key) = idempotency_key {
            request = request.header(paths::IDEMPOTENCY_KEY_HEADER, key);
        }
        self.call(request).await
    }

    /// Continues a pipeline from a job of its setup config.
    pub async fn continue_pipeline(&self, body: &ContinuePipeline) -> Result<Message> {
        let url = format!("{}{CONTINUE_PATH}", self.base);
        let request = self.http.post(url).timeout(CALL_TIMEOUT).json(body);
        self.call(request).await
    }

    /// Lists pipelines, the newest first.
    pub async fn pipelines(&self, query: &ListPipelines) -> Result<PipelineList> {
        self.call(self.request(Method::GET, "/pipelines").query(query))
            .await
    }

    /// Shows a pipeline.
    pub async fn pipeline(&self, id: PipelineId) -> Result<PipelineDetail> {
        self.get(&format!("/pipelines/{id}")).await
    }

    /// Cancels a pipeline.
    pub async fn cancel_pipeline(&self, id: PipelineId) -> Result<Canceled> {
        self.call(self.request(Method::POST, &format!("/pipelines/{id}/cancel")))
            .await
    }

    /// Follows a pipeline's events after `after`: an SSE stream of
    /// [`PipelineEvent`](crate::pipelines::PipelineEvent).
    pub async fn follow_pipeline(&self, id: PipelineId, after: u64) -> Result<SseStream> {
        let request = self
            .waiting_request(Method::GET, &format!("/pipelines/{id}/events"))
            .header("last-event-id", after.to_string());
        Ok(SseStream::new(self.base.clone(), self.send(request).await?))
    }

    // ---- jobs and tasks ----

    /// Shows a job with its tasks.
    pub async fn job(&self, id: JobId) -> Result<JobDetail> {
        self.get(&format!("/jobs/{id}")).await
    }

    /// Cancels a job.
    pub async fn cancel_job(&self, id: JobId) -> Result<Canceled> {
        self.call(self.request(Method::POST, &format!("/jobs/{id}/cancel")))
            .await
    }

    /// Approves a job that is on hold; shows it as it is then.
    pub async fn approve_job(&self, id: JobId) -> Result<JobDetail> {
        self.call(self.request(Method::POST, &format!("/jobs/{id}/approve")))
            .await
    }

    /// Shows a task with its attempts.
    pub async fn task(&self, id: TaskId) -> Result<TaskDetail> {
        self.get(&format!("/tasks/{id}")).await
    }

    /// Why a task is where it is.
    pub async fn explain(&self, id: TaskId) -> Result<Explanation> {
        self.get(&format!("/tasks/{id}/explain")).await
    }

    /// Reads a log as it is now.
    pub async fn log(&self, id: TaskId, query: &LogQuery) -> Result<Response> {
        let request = self
            .waiting_request(Method::GET, &format!("/tasks/{id}/log"))
            .query(query);
        self.send(request).await
    }

    /// Follows a log to its end.
    pub async fn follow_log(&self, id: TaskId, query: &LogQuery) -> Result<SseStream> {
        let path = format!("/tasks/{id}/log/follow");
        let request = self.waiting_request(Method::GET, &path).query(query);
        Ok(SseStream::new(self.base.clone(), self.send(request).await?))
    }

    // ---- administration ----

    /// Makes a token.
    pub async fn create_token(&self, body: &CreateToken) -> Result<CreatedToken> {
        self.call(self.request(Method::POST, "/tokens").json(body))
            .await
    }

    /// Lists tokens.
    pub async fn tokens(&self) -> Result<TokenList> {
        self.get("/tokens").await
    }

    /// Revokes a token.
    pub async fn revoke_token(&self, id: TokenId) -> Result<()> {
        self.send(self.request(Method::DELETE, &format!("/tokens/{id}")))
            .await
            .map(drop)
    }

    /// The inventory.
    pub async fn runners(&self, query: &ListRunners) -> Result<RunnerList> {
        self.call(self.request(Method::GET, "/runners").query(query))
            .await
    }

    /// The queue, by class.
    pub async fn queue(&self) -> Result<Queue> {
        self.get("/queue").await
    }

    // ---- runner ----

    /// Claims tasks; waits for them on the server.
    pub async fn claim(&self, body: &ClaimRequest) -> Result<ClaimResponse> {
        let wait = Duration::from_millis(body.wait_ms);
        let request = self.waiting_request(Method::POST, "/runner/claim");
        self.call(request.timeout(wait + WAIT_MARGIN).json(body))
            .await
    }

    /// Reports what happened to tasks.
    pub async fn report(&self, body: &ReportRequest) -> Result<ReportResponse> {
        self.call(self.request(Method::POST, "/runner/report").json(body))
            .await
    }

    /// Sends a large piece of a log.
    pub async fn append_log(
        &self,
        task: TaskId,
        lease: LeaseToken,
        offset: u64,
        bytes: Bytes,
    ) -> Result<AppendLogResponse> {
        let request = self
            .request(Method::PUT, &format!("/runner/tasks/{task}/log"))
            .query(&AppendLogQuery { offset })
            .header(paths::LEASE_HEADER, lease.to_string())
            .body(bytes);
        self.call(request).await
    }

    /// Renews leases and learns of cancellations.
    pub async fn heartbeat(&self, body: &HeartbeatRequest) -> Result<HeartbeatResponse> {
        let wait = Duration::from_millis(body.wait_ms);
        let request = self.waiting_request(Method::POST, "/runner/heartbeat");
        self.call(request.timeout(wait + WAIT_MARGIN).json(body))
            .await
    }

    /// Gives back what has not started.
    pub async fn release(&self, body: &ReleaseRequest) -> Result<()> {
        self.send(self.request(Method::POST, "/runner/release").json(body))
            .await
            .map(drop)
    }

    /// Leaves the inventory.
    pub async fn goodbye(&self, body: &GoodbyeRequest) -> Result<()> {
        self.send(self.request(Method::POST, "/runner/goodbye").json(body))
            .await
            .map(drop)
    }

    // ---- plumbing ----

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.call(self.request(Method::GET, path)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.waiting_request(method, path).timeout(CALL_TIMEOUT)
    }

    fn waiting_request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{}{path}", self.base, paths::V1))
    }

    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let response = self.send(request).await?;
        let body = response
            .bytes()
            .await
            .map_err(|error| self.unreachable(error))?;
        serde_json::from_slice(&body).map_err(|error| ClientError::Protocol {
            url: self.base.clone(),
            problem: error.to_string(),
        })
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request
            .send()
            .await
            .map_err(|error| self.unreachable(error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refusal(response).await)
    }

    fn unreachable(&self, error: reqwest::Error) -> ClientError {
        ClientError::Unreachable {
            url: self.base.clone(),
            source: Box::new(error.without_url()),
        }
    }
}

/// The bodies that refusals have.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Refusal {
    Ours(ErrorBody),
    Plain(Message),
}

/// What a refusal says; something readable also where a proxy in between answered.
async fn refusal(response: Response) -> ClientError {
    let status = response.status();
    let body = response.bytes().await.unwrap_or_default();
    let code = code_of(status);
    let detail = match serde_json::from_slice::<Refusal>(&body) {
        Ok(Refusal::Ours(body)) => body.error,
        Ok(Refusal::Plain(refused)) => ErrorDetail {
            missing_orbs: refused.missing_orbs,
            ..plain(code, refused.message, None)
        },
        Err(_) => plain(
            code,
            format!("the answer was HTTP {status}, and not from an Outrider server"),
            Some("Check the URL, and any proxy in between.".to_owned()),
        ),
    };
    ClientError::Refused {
        status: status.as_u16(),
        detail: Box::new(detail),
    }
}

/// An error in words of our own.
fn plain(code: ErrorCode, message: String, advice: Option<String>) -> ErrorDetail {
    ErrorDetail {
        code,
        message,
        advice,
        diagnostics: Vec::new(),
        rendered: None,
        missing_orbs: Vec::new(),
        request_id: None,
    }
}

fn code_of(status: StatusCode) -> ErrorCode {
    match status.as_u16() {
        401 => ErrorCode::Unauthorized,
        403 => ErrorCode::Forbidden,
        404 => ErrorCode::NotFound,
        413 => ErrorCode::TooLarge,
        507 => ErrorCode::StorageFull,
        500 => ErrorCode::Internal,
        502..=504 => ErrorCode::Unavailable,
        _ => ErrorCode::BadRequest,
    }
}
