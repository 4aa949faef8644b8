//! Callers of an orchestrator.

mod act;
mod error;
mod event;
mod login;
mod logs;
mod namespace;
mod node;
mod operation;
mod page;
mod patience;
mod pod;
mod watch;
mod workload;

use std::{
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use longshore_fleet::api::{Code, Problem};
use reqwest::{Client, Method, Request, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;

pub use error::FleetError;
pub use login::KnownLogin;
pub use logs::{Logs, LogsWish};
pub use page::FleetPages;
pub use patience::Patience;
pub use pod::PodFilter;
pub use watch::{Watch, WatchFilter};
pub use workload::{Terms, Workload, WorkloadFilter};

use crate::{ClientOptions, CredentialStore, RegistryUrl, client::text_header, retry_after::retry_after, token::Tokens};

/// The longest body that is read into memory: far over what a page needs.
const MAX_BODY_BYTES: usize = 64 << 20;
/// The longest body of a refusal that is read.
const MAX_PROBLEM_BYTES: usize = 1 << 20;
/// How long a stream may be silent that somebody follows: a pod can have nothing to say for long. That the other end is gone, TCP finds out.
const FOLLOWED: Duration = Duration::from_hours(24);
/// The most items that are asked for at once.
const PAGE_SIZE: u32 = 500;

/// How to reach an orchestrator, and who asks.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// Where it is and how it is reached; its credentials are shown to the orchestrator itself.
    pub connection: ClientOptions,
    /// Credentials that somebody gave for a registry: shown to it, where the orchestrator has its callers get tokens there.
    pub given: Option<KnownLogin>,
    /// Where other logins are kept.
    pub kept: Option<CredentialStore>,
    /// How long it is tried again where no answer comes, or none yet.
    pub patience: Patience,
}

impl FleetOptions {
    /// Nobody in particular asks.
    pub fn new(connection: ClientOptions) -> Self {
        Self { connection, given: None, kept: None, patience: Patience::default() }
    }
}

/// One orchestrator, and the connections to it. Clones share them, and the tokens.
#[derive(Clone, Debug)]
pub struct FleetClient {
    options: Arc<FleetOptions>,
    http: Client,
    /// For answers that go on for as long as somebody follows them.
    following: Client,
    tokens: Arc<Tokens>,
    /// Whether it has ever answered: what was there is waited for.
    has_answered: Arc<AtomicBool>,
}

impl FleetClient {
    /// A client; nothing is asked yet. Reads the files of certificates, so this blocks.
    pub fn new(options: FleetOptions) -> Result<Self, FleetError> {
        let http = options.connection.build()?;
        let following = ClientOptions { read_timeout: FOLLOWED, ..options.connection.clone() }.build()?;
        Ok(Self { options: Arc::new(options), http, following, tokens: Arc::default(), has_answered: Arc::default() })
    }

    /// Where the orchestrator is.
    pub fn url(&self) -> &RegistryUrl {
        &self.options.connection.registry
    }

    /// A path of the API, from its parts.
    fn at(&self, parts: &[&dyn Display]) -> Url {
        let mut url = self.url().as_url().clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(["api", "v1"]).extend(parts.iter().map(ToString::to_string));
        }
        url
    }

    /// What is there.
    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, FleetError> {
        let response = self.again(&self.http, || self.http.request(Method::GET, url.clone())).await?;
        self.read_json(response).await
    }

    /// Sends a request, and again for as long as it is worth it. An answer other than 2xx is an error.
    async fn again(&self, http: &Client, request: impl Fn() -> RequestBuilder) -> Result<Response, FleetError> {
        let mut tries = self.options.patience.begin();
        loop {
            let error = match self.send(http, request()).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let has_answered = self.has_answered.load(Ordering::Relaxed);
            match error.pause(has_answered).and_then(|asked| tries.next(asked)) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
        }
    }

    /// Sends a request once, with a token where one is asked for.
    async fn send(&self, http: &Client, request: RequestBuilder) -> Result<Response, FleetError> {
        let request = request.build().map_err(|error| self.unreachable(error))?;
        let response = self.signed(http, request).await?;
        self.has_answered.store(true, Ordering::Relaxed);
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await) }
    }

    async fn execute(&self, http: &Client, request: Request) -> Result<Response, FleetError> {
        http.execute(request).await.map_err(|error| self.unreachable(error))
    }

    /// Why it was not done.
    async fn refusal(&self, response: Response) -> FleetError {
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let request_id = text_header(response.headers(), "x-request-id");
        let body = self.read_up_to(response, MAX_PROBLEM_BYTES).await.unwrap_or_default();
        let url = self.url().clone();
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => FleetError::Refused { url, problem: Box::new(problem), retry_after, request_id },
            Err(_) if status == StatusCode::UNAUTHORIZED => {
                let problem = Problem::new(Code::Unauthorized, "");
                FleetError::Refused { url, problem: Box::new(problem), retry_after, request_id }
            }
            Err(_) => FleetError::Stranger { url, status },
        }
    }

    async fn read_json<T: DeserializeOwned>(&self, response: Response) -> Result<T, FleetError> {
        let body = self.read_up_to(response, MAX_BODY_BYTES).await?;
        if body.len() >= MAX_BODY_BYTES {
            return Err(self.malformed(format!("its answer is longer than {MAX_BODY_BYTES} bytes")));
        }
        serde_json::from_slice(&body).map_err(|error| self.malformed(format!("its JSON can't be read: {error}")))
    }

    /// At most `limit` bytes of the body.
    async fn read_up_to(&self, mut response: Response, limit: usize) -> Result<BytesMut, FleetError> {
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(error))? {
            let room = limit - body.len();
            body.extend_from_slice(&chunk[..room.min(chunk.len())]);
            if body.len() == limit {
                break;
            }
        }
        Ok(body)
    }

    fn unreachable(&self, error: reqwest::Error) -> FleetError {
        FleetError::unreachable(self.url(), error)
    }

    fn malformed(&self, reason: impl Into<String>) -> FleetError {
        FleetError::Malformed { url: self.url().clone(), reason: reason.into() }
    }
}

/// Adds what is asked for to a URL, where it is.
fn with_query<'a>(mut url: Url, pairs: impl IntoIterator<Item = (&'a str, Option<String>)>) -> Url {
    for (name, value) in pairs {
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, &value);
        }
    }
    url
}
