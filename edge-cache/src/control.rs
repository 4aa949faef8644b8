//! The edge's own API, for whoever looks after it.
//!
//! | request under `/v2/_longshore/edge/` | answer |
//! |---|---|
//! | `GET status` | [`EdgeStatus`](longshore_client::EdgeStatus): hits, what is left alone, disk, pins |
//! | `GET blobs?n=&last=` | `{"blobs": [...]}`, what is kept by digest, in pages with a `Link` |
//! | `DELETE blobs/<digest>` | 204: what was kept of it is gone; 404 where that was nothing, 409 where it is pinned |
//! | `GET pins` | `{"pins": [...]}`, all |
//! | `POST pins` | 201 and `{"pins": [...]}`: an image with all its parts, or a blob, is kept, not fetched; 409 where the quota has no room |
//! | `DELETE pins?owner=&image=` or `&digest=` | `{"pins": [...]}`, those that there were; 404 where that was none |
//! | `GET scrub` | how far the scrub that was last asked for is |
//! | `GET swarm` | [`SwarmStatus`](longshore_client::SwarmStatus): a node's peers, and what comes of them; 404 where there is no swarm |
//! | `GET layers?since=&wait=&n=` | [`LayerChanges`](longshore_client::LayerChanges): what is here and on its way, or what has changed of that |
//! | `GET transfers` | `{"transfers": [...]}`: what comes and came last, and from whom |
//! | `POST scrub` | 202: what is kept is read again, all of it; the one that runs where one does |
//!
//! It is served on both listeners, and to nobody else than those who send `listen.admin_token`, or where there is none to callers on this
//! machine.

mod admission;
mod blobs;
mod image;
mod layers;
mod lease;
mod pins;
mod refusal;
mod route;
mod scrub;
mod status;

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::{Buf, Bytes};
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, Limited};
use serde::{Serialize, de::DeserializeOwned};

pub use admission::AdminToken;
pub use layers::LayerFollowers;
use refusal::Refusal;
use route::ControlRoute;
pub use scrub::Scrubbing;

use crate::edge::Edge;

/// What all its paths begin with.
const ROOT: &str = "/v2/_longshore/edge/";
/// The longest body that is read, in bytes.
const MOST_BODY: usize = 64 << 10;
/// How long it may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What it answers with.
pub type Answer = Response<Full<Bytes>>;

/// Whether a path is one of these.
pub fn is_ours(path: &str) -> bool {
    path.starts_with(ROOT)
}

/// That whoever sends this may look after the edge; the answer where not.
pub fn admit<B>(edge: &Edge, client: IpAddr, request: &Request<B>) -> Result<(), Box<Answer>> {
    let admitted = admission::admit(&edge.admin_token, client, request.uri(), request.headers());
    admitted.map_err(|refusal| Box::new(refusal.into_answer()))
}

/// Answers a request whose path [`is_ours`].
pub async fn handle<B>(edge: &Arc<Edge>, request: Request<B>, client: IpAddr) -> Answer
where
    B: Body<Data: Buf + Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send,
{
    let (parts, body) = request.into_parts();
    operate(edge, &parts, body, client).await.unwrap_or_else(Refusal::into_answer)
}

async fn operate<B>(edge: &Arc<Edge>, parts: &Parts, body: B, client: IpAddr) -> Result<Answer, Refusal>
where
    B: Body<Data: Buf + Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send,
{
    admission::admit(&edge.admin_token, client, &parts.uri, &parts.headers)?;
    let path = parts.uri.path().strip_prefix(ROOT).unwrap_or_default();
    let query = longshore_oci::Query::new(parts.uri.query().unwrap_or_default());
    let is_read = parts.method == Method::GET || parts.method == Method::HEAD;
    match (ControlRoute::parse(path)?, &parts.method) {
        (ControlRoute::Status, _) if is_read => Ok(json(StatusCode::OK, &status::status(edge))),
        (ControlRoute::Blobs, _) if is_read => blobs::list(edge, query),
        (ControlRoute::Blob(digest), &Method::DELETE) => blobs::evict(edge, &digest).await,
        (ControlRoute::Pins, _) if is_read => Ok(pins::list(edge)),
        (ControlRoute::Pins, &Method::POST) => pins::pin(edge, read(body).await?).await,
        (ControlRoute::Pins, &Method::DELETE) => pins::unpin(edge, query).await,
        (ControlRoute::Layers, _) if is_read => layers::changes(edge, query).await,
        (ControlRoute::Transfers, _) if is_read => Ok(layers::transfers(edge)),
        (ControlRoute::Swarm, _) if is_read => swarm(edge).await,
        (ControlRoute::Scrub, _) if is_read => Ok(json(StatusCode::OK, &edge.scrubbing.seen())),
        (ControlRoute::Scrub, &Method::POST) => Ok(json(StatusCode::ACCEPTED, &scrub::start(edge))),
        (route, method) => Err(Refusal::method(method, route.allowed())),
    }
}

/// How things are with the neighbours.
async fn swarm(edge: &Edge) -> Result<Answer, Refusal> {
    let neighbours = edge.sources.neighbours().ok_or_else(Refusal::unknown)?;
    let status = neighbours.status().await.ok_or_else(Refusal::unknown)?;
    Ok(json(StatusCode::OK, &status))
}

/// Reads a body of JSON.
async fn read<T, B>(body: B) -> Result<T, Refusal>
where
    T: DeserializeOwned,
    B: Body<Data: Buf + Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send,
{
    let reading = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MOST_BODY).collect());
    let body = reading.await.map_err(|_| Refusal::request("the body did not come in time"))?;
    let body =
        body.map_err(|error| Refusal::request(format!("the body can't be read, or is longer than {MOST_BODY} bytes: {error}")))?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| Refusal::request(format!("the body can't be read: {error}")))
}

fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value).expect("what we answer is always JSON");
    let mut answer = Response::new(Full::from(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
