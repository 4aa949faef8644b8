//! What this edge answers to others of its site.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER},
    request::Parts,
};
use http_body::Frame;
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use longshore_oci::{RangeRequest, SentRange};

use super::{
    Behind, Site,
    asked::{ANSWER_SIGNATURE, Asked, NotTaken, WORD, What, Word},
    signature::Tag,
};
use crate::{
    blobs::{Blobs, Found, OpenError, Opened},
    error::Error,
    grants::Denied,
    http::held,
    source::SourceError,
    store::Entry,
    tags::Manifest,
    upstream::UpstreamError,
    via::Way,
    vouching::{self, unsigned},
};

/// After how many seconds who is told that too much is going on may ask again.
const AGAIN_SECONDS: &str = "1";

/// Answers a request whose path begins with [`super::PREFIX`]: with bytes of a blob, with its pieces' hashes, or with a manifest.
///
/// Whoever asks has shown by the site's secret that it is a member, and has seen itself that its client may have the blob.
pub async fn serve(site: &Site, blobs: &Blobs, behind: &dyn Behind, parts: &Parts) -> Response<Body> {
    let answer = answer(site, blobs, behind, parts).await.unwrap_or_else(Refusal::told);
    site.metrics.answered.with_label_values(&[answer.status().as_str()]).inc();
    answer
}

async fn answer(site: &Site, blobs: &Blobs, behind: &dyn Behind, parts: &Parts) -> Result<Response<Body>, Refusal> {
    let now = Timestamp::now().as_second();
    let asked = Asked::read(parts, &site.settings.secret, site.own().as_ref(), &site.replays, now)?;
    Way::of(&parts.headers)?.lead(Box::pin(find(site, blobs, behind, asked))).await
}

async fn find(site: &Site, blobs: &Blobs, behind: &dyn Behind, asked: Asked) -> Result<Response<Body>, Refusal> {
    let none =
        || Refusal::new(StatusCode::NOT_FOUND, "this edge has no upstream of that name: edges of a site must call them alike");
    if asked.what == What::Manifest {
        let found = behind.manifest(&asked.place, &asked.digest, &asked.identity).await.ok_or_else(none)?;
        return Ok(manifest(site, &asked, &found?));
    }
    let source = behind.source(&asked.place, asked.identity.clone()).ok_or_else(none)?;
    let found = blobs.find(&asked.digest, &source).await?;
    match (asked.what, found) {
        (_, Found::NoRoom) => Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "this edge has no room for the blob")),
        (What::Pieces, Found::Pieces(entry)) => pieces(site, &asked, entry).await,
        (What::Pieces, Found::Whole) => Err(Refusal {
            status: StatusCode::NOT_FOUND,
            reason: "nobody says what pieces the blob has".into(),
            word: Some(Word::Unvouched),
        }),
        (What::Content | What::Manifest, _) => {
            Ok(content(site, asked.range, blobs.open(&asked.digest, source, asked.range).await?))
        }
    }
}

async fn pieces(site: &Site, asked: &Asked, entry: Arc<Entry>) -> Result<Response<Body>, Refusal> {
    let kind = HeaderValue::from_static("application/json");
    let (secret, tag, signed_kind) = (site.settings.secret.clone(), asked.tag, kind.clone());
    let make = move |entry: &Entry| {
        let list = serde_json::to_vec(&unsigned(entry)).expect("a metainfo is JSON");
        let signature = secret.sign_answer(&tag, &signed_kind, &list);
        (list, signature)
    };
    let (list, signature, room) = vouching::written(&site.room, entry, make).await.map_err(OpenError::from)?;
    let length = list.len();
    Ok(told(kind, signature, length, held::body(list, room)))
}

fn manifest(site: &Site, asked: &Asked, manifest: &Manifest) -> Response<Body> {
    let kind = HeaderValue::from_str(&manifest.media_type).unwrap_or(HeaderValue::from_static("application/json"));
    let signature = site.settings.secret.sign_answer(&asked.tag, &kind, &manifest.bytes);
    told(kind, signature, manifest.bytes.len(), Body::from(manifest.bytes.clone()))
}

/// An answer of so many bytes that is signed as a whole.
fn told(kind: HeaderValue, signature: Tag, length: usize, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(ANSWER_SIGNATURE, HeaderValue::from_str(&hex::encode(signature)).expect("hexadecimal digits"));
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(CONTENT_TYPE, kind);
    response
}

fn content(site: &Site, asked: RangeRequest, opened: Opened) -> Response<Body> {
    let Opened { size_bytes, range, body, .. } = opened;
    let sent = site.metrics.sent_bytes.clone();
    let body = body.map_frame(move |frame: Frame<_>| {
        frame.map_data(|bytes: Bytes| {
            sent.inc_by(bytes.len() as u64);
            bytes
        })
    });
    let mut response = Response::new(Body::new(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, (range.end - range.start).into());
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if matches!(asked, RangeRequest::Part(_)) {
        let sent = SentRange::new(range, size_bytes).to_string();
        headers.insert(CONTENT_RANGE, HeaderValue::try_from(sent).expect("numbers are plain ASCII"));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

/// Why a member does not get what it asks for.
struct Refusal {
    status: StatusCode,
    reason: String,
    word: Option<Word>,
}

impl Refusal {
    fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), word: None }
    }

    /// The upstream's own, to whom it was asked as.
    fn refused(status: StatusCode, reason: String) -> Self {
        Self { status, reason, word: Some(Word::Refused) }
    }

    fn told(self) -> Response<Body> {
        tracing::debug!(status = self.status.as_u16(), reason = self.reason, "an edge of the site is refused something");
        let code = if self.status.is_server_error() { "UNAVAILABLE" } else { "DENIED" };
        let body = serde_json::json!({ "errors": [{ "code": code, "message": self.reason }] });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(word) = self.word {
            headers.insert(WORD, HeaderValue::from_static(word.as_str()));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(AGAIN_SECONDS));
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET"));
        }
        response
    }
}

impl From<NotTaken> for Refusal {
    fn from(NotTaken(status, reason): NotTaken) -> Self {
        Self::new(status, reason)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match &error {
            Error::Denied(Denied::Upstream(UpstreamError::Refused { status, .. })) if status.is_client_error() => {
                Self::refused(*status, error.to_string())
            }
            Error::Overloaded => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            Error::Loop(reason) => Self::new(StatusCode::LOOP_DETECTED, *reason),
            _ => Self::new(StatusCode::BAD_GATEWAY, error.to_string()),
        }
    }
}

impl From<OpenError> for Refusal {
    fn from(error: OpenError) -> Self {
        match &error {
            OpenError::Source(SourceError::Upstream(UpstreamError::Refused { status, .. })) if status.is_client_error() => {
                Self::refused(*status, error.to_string())
            }
            OpenError::Source(_) => Self::new(StatusCode::BAD_GATEWAY, error.to_string()),
            OpenError::RangeNotSatisfiable { .. } => Self::new(StatusCode::RANGE_NOT_SATISFIABLE, error.to_string()),
            OpenError::Store { .. } => Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
            OpenError::NoBudget(_) | OpenError::GaveUp(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        }
    }
}
