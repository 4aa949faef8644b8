//! Calls to an orchestrator.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::StreamExt as _;
use http::{
    HeaderMap, StatusCode,
    header::{DATE, LOCATION},
};
use jiff::{SignedDuration, Timestamp};
use longshore_fleet::{
    Join, Joined, LogsId, LogsRefused, NodeId, NodeName, Report,
    api::{Code, Problem},
};
use longshore_service::config::Secret;
use reqwest::{Client, RequestBuilder, Response, redirect::Policy};

use super::{Identity, LinkError};
use crate::agent::logs::LogParts;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a short call may take.
const CALL: Duration = Duration::from_secs(10);
/// The longest answer that is read of what is no stream.
const MOST_ANSWER_BYTES: usize = 64 << 10;
/// Up to so many seconds clocks may be apart without a token being signed by the other's: less than what an orchestrator bears.
const CLOSE: i64 = 5;
/// So many seconds an orchestrator's clock may be from this node's for tokens to go by it. Further on it is no clock to be believed: a token
/// that is signed for later could be shown by whoever has overheard it.
const MOST_APART: i64 = 900;

/// What a caller is made of.
#[derive(Debug)]
pub struct CallerSettings {
    /// Certificate authorities to trust besides those of the machine, a PEM file.
    pub ca_file: Option<PathBuf>,
    /// Whether all that are asked are asked without TLS: the machine's authorities are then not read.
    pub is_plain: bool,
    /// What lets the node join.
    pub token: Secret,
    /// What it is called.
    pub name: NodeName,
}

/// Why there can be no caller.
#[derive(Debug, thiserror::Error)]
pub enum CallerError {
    /// The authorities can't be had.
    #[error("agent.ca_file {} can't be used", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// TLS can't be set up.
    #[error("the orchestrator's client can't be set up")]
    Setup(#[source] reqwest::Error),
}

/// Calls an orchestrator, as one node.
#[derive(Clone, Debug)]
pub struct Caller {
    client: Client,
    /// For what is much and has no end: by itself, so that it holds up nothing else.
    bulk: Client,
    identity: Arc<Identity>,
    token: Secret,
    name: NodeName,
    /// By how many seconds the orchestrator's clock is ahead of this node's, where it has refused what was signed by this node's.
    apart: Arc<AtomicI64>,
}

impl Caller {
    /// As this node. Reads the authorities' file, so this blocks.
    pub fn new(settings: CallerSettings, identity: Identity) -> Result<Self, CallerError> {
        // The first caller in the process installs the provider; that another one did is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authorities = settings.ca_file.as_deref().map(authorities).transpose()?;
        let build = || {
            let mut builder = Client::builder()
                .user_agent(concat!("longshore/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT)
                .tcp_keepalive(CALL)
                .redirect(Policy::none())
                .tls_backend_rustls();
            if settings.is_plain {
                builder = builder.no_proxy().tls_certs_only(Vec::new());
            }
            if let Some(authorities) = &authorities {
                builder = builder.tls_certs_merge(authorities.clone());
            }
            builder.build().map_err(CallerError::Setup)
        };
        let (client, bulk) = (build()?, build()?);
        Ok(Self { client, bulk, identity: Arc::new(identity), token: settings.token, name: settings.name, apart: Arc::default() })
    }

    /// Joins the fleet: what names the node from now on.
    pub async fn join(&self, url: &str) -> Result<NodeId, LinkError> {
        if !self.token.is_set() {
            return Err(LinkError::NoToken);
        }
        let what = "joining the fleet";
        let join = Join {
            token: self.token.reveal().to_owned(),
            name: self.name.clone(),
            public_key: self.identity.public_pem().to_owned(),
        };
        let request = self.client.post(format!("{url}/agent/v1/join")).json(&join).timeout(CALL);
        let answer = send(what, request).await?;
        let body = read(what, answer).await?;
        let joined: Joined = serde_json::from_slice(&body).map_err(LinkError::Unreadable)?;
        Ok(joined.node_id)
    }

    /// The stream of what is to be.
    pub async fn instructions(&self, url: &str, node: NodeId) -> Result<Response, LinkError> {
        let what = "asking for instructions";
        let request = self.client.get(format!("{url}/agent/v1/instructions"));
        // Its head comes at once; what follows has no end.
        match tokio::time::timeout(CALL, self.call(what, request, node)).await {
            Ok(answer) => answer,
            Err(_) => Err(LinkError::Silent(CALL)),
        }
    }

    /// Tells how things are.
    pub async fn report(&self, url: &str, node: NodeId, report: &Report) -> Result<(), LinkError> {
        let request = self.client.post(format!("{url}/agent/v1/reports")).json(report).timeout(CALL);
        self.call("reporting", request, node).await.map(drop)
    }

    /// Sends what a pod writes, as it comes.
    pub async fn logs(&self, url: &str, node: NodeId, request: LogsId, parts: LogParts) -> Result<(), LinkError> {
        let parts = futures_util::stream::unfold(parts, async |mut parts: LogParts| Some((parts.recv().await?, parts)));
        // An empty part would be taken for a sign of something else.
        let parts = parts.filter(|part| std::future::ready(part.as_ref().map_or(true, |part| !part.is_empty())));
        let post = self.bulk.post(format!("{url}/agent/v1/logs/{request}"));
        let post = post.header(http::header::CONTENT_TYPE, "text/plain; charset=utf-8").body(reqwest::Body::wrap_stream(parts));
        send("sending logs", self.signed(post, node)).await.map(drop)
    }

    /// Says why what a pod writes can't be sent.
    pub async fn refuse_logs(&self, url: &str, node: NodeId, request: LogsId, refused: &LogsRefused) -> Result<(), LinkError> {
        let post = self.client.post(format!("{url}/agent/v1/logs/{request}")).json(refused).timeout(CALL);
        self.call("refusing logs", post, node).await.map(drop)
    }

    /// Sends what the node signs; once more by the orchestrator's clock, where that it is another's was what was wrong.
    async fn call(&self, what: &'static str, request: RequestBuilder, node: NodeId) -> Result<Response, LinkError> {
        let again = request.try_clone();
        match send(what, self.signed(request, node)).await {
            Err(LinkError::Refused { status: StatusCode::UNAUTHORIZED, date: Some(date), .. })
                if let Some(again) = again
                    && self.goes_by(date) =>
            {
                send(what, self.signed(again, node)).await
            }
            answer => answer,
        }
    }

    /// Goes by the orchestrator's clock from now on, where it is another than it was taken for.
    fn goes_by(&self, date: Timestamp) -> bool {
        let off = date.as_second() - Timestamp::now().as_second();
        let before = self.apart.load(Relaxed);
        if off.abs() > MOST_APART || (off - before).abs() <= CLOSE {
            return false;
        }
        let apart = if off.abs() <= CLOSE { 0 } else { off };
        tracing::warn!(
            seconds = apart,
            "the orchestrator's clock is ahead of this machine's by so much; what is shown to it goes by its own"
        );
        self.apart.store(apart, Relaxed);
        true
    }

    fn signed(&self, request: RequestBuilder, node: NodeId) -> RequestBuilder {
        let now = Timestamp::now();
        let there = now.checked_add(SignedDuration::from_secs(self.apart.load(Relaxed))).unwrap_or(now);
        request.bearer_auth(self.identity.token(node, there))
    }
}

fn authorities(path: &Path) -> Result<Vec<reqwest::Certificate>, CallerError> {
    let read = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
        let found = reqwest::Certificate::from_pem_bundle(&std::fs::read(path)?)?;
        if found.is_empty() { Err("it holds no certificate".into()) } else { Ok(found) }
    };
    read().map_err(|source| CallerError::Authorities { path: path.to_owned(), source })
}

async fn send(what: &'static str, request: RequestBuilder) -> Result<Response, LinkError> {
    let answer =
        request.send().await.map_err(|source| LinkError::Unreachable { what, source: Box::new(source.without_url()) })?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    let (status, leader) = (answer.status(), answer.headers().get(LOCATION).cloned());
    if status == StatusCode::MISDIRECTED_REQUEST {
        return Err(LinkError::NotLeader { leader: leader.and_then(|url| Some(url.to_str().ok()?.to_owned())) });
    }
    let date = date_of(answer.headers());
    let body = read(what, answer).await.unwrap_or_default();
    let problem: Option<Problem> = serde_json::from_slice(&body).ok();
    let code = problem.as_ref().map(|problem| problem.code).filter(|code| *code != Code::Unknown);
    let detail = problem.map_or_else(|| "it does not say why".to_owned(), |problem| problem.to_string());
    Err(LinkError::Refused { what, status, code, detail, date })
}

/// When an answer was made, by the clock of whoever made it.
fn date_of(headers: &HeaderMap) -> Option<Timestamp> {
    let date = headers.get(DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::parse(date).ok().map(|date| date.timestamp())
}

/// All of an answer, up to so much.
async fn read(what: &'static str, mut answer: Response) -> Result<Vec<u8>, LinkError> {
    let mut body = Vec::new();
    let failed = |source: reqwest::Error| LinkError::Unreachable { what, source: Box::new(source.without_url()) };
    while let Some(part) = answer.chunk().await.map_err(failed)? {
        if body.len() + part.len() > MOST_ANSWER_BYTES {
            return Err(LinkError::TooLong(MOST_ANSWER_BYTES));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use libp2p_identity::Keypair;
    use longshore_p2p::plane::NodeKey;

    use super::*;

    #[test]
    fn tokens_go_by_the_clock_of_whoever_takes_them() {
        let settings = CallerSettings { ca_file: None, is_plain: true, token: Secret::default(), name: "n1".parse().unwrap() };
        let caller = Caller::new(settings, Identity::new(&NodeKey::from(Keypair::generate_ed25519())).unwrap()).unwrap();
        let after = |seconds| Timestamp::now().checked_add(SignedDuration::from_secs(seconds)).unwrap();
        assert!(!caller.goes_by(after(2)), "that is close enough");
        assert!(caller.goes_by(after(300)) && caller.apart.load(Relaxed) >= 299);
        assert!(!caller.goes_by(after(301)), "it goes by that already");
        assert!(!caller.goes_by(after(7_200)), "that is no clock to be believed");
        assert!(caller.goes_by(after(-300)), "another leads, whose clock is behind");
        assert!(caller.goes_by(after(0)) && caller.apart.load(Relaxed) == 0);
    }

    #[test]
    fn answers_are_dated_as_http_does() {
        let mut headers = HeaderMap::new();
        assert_eq!(date_of(&headers), None);
        headers.insert(DATE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        assert_eq!(date_of(&headers).map(Timestamp::as_second), Some(784_111_777));
    }
}
