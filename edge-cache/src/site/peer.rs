//! Another member of the site, and the connections to it.

#[cfg(test)]
mod tests;
mod told;

use std::{
    io,
    net::SocketAddr,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::BoxStream};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE},
};
use jiff::Timestamp;
use longshore_oci::{ByteRange, Digest, SentRange};
use reqwest::{Certificate, Client, Response, Url, redirect::Policy};
use rustls::crypto::ring;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    Member, Membership, SiteError, SiteRepository, SiteSecret, SiteSettings,
    asked::{self, What, Word},
    health::Health,
    signature::Tag,
};
use crate::{upstream::Identity, via::Way};

/// How long a connection is kept that nothing is asked on.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often it is tried whether the other end is still there while nothing comes.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// How many times as long as for a connection one waits for a place, or for an answer before it is asked whether the member is there at all:
/// one that hangs holds nobody up for long, and one whose machine is busy is not taken for one.
const PATIENT: u32 = 5;

/// Another member.
#[derive(Debug)]
pub struct Peer {
    member: Member,
    url: Url,
    http: Client,
    secret: SiteSecret,
    slots: Arc<Semaphore>,
    /// How long one waits for a place, and before it is asked whether it is there; and how long it may take to answer that.
    patience: Duration,
    health: Mutex<Health>,
}

/// What is asked of it, and for whom.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// Who asks.
    pub own: &'a Member,
    /// Where the blob belongs.
    pub place: &'a SiteRepository,
    /// The blob.
    pub digest: &'a Digest,
    /// As whom the upstream is to be asked.
    pub identity: &'a Identity,
    /// By which way the request came that it is asked for.
    pub way: &'a Way,
}

/// A manifest that it has.
pub struct ToldManifest {
    /// Its bytes, which are what its digest names.
    pub bytes: Bytes,
    /// What it is, by the member's word.
    pub content_type: String,
}

/// Bytes that it sends.
pub struct Sent {
    /// How long the whole blob is.
    pub size_bytes: u64,
    /// What was asked for; an error is that it broke off.
    pub stream: BoxStream<'static, Result<Bytes, reqwest::Error>>,
}

/// Why it is of no help.
#[derive(Debug, thiserror::Error)]
pub enum Missed {
    /// It is left alone for now.
    #[error("it is left alone for now")]
    Skipped,
    /// As much is asked of it as may be.
    #[error("as much is asked of it as may be")]
    Busy,
    /// It did not answer.
    #[error("it does not answer")]
    Down,
    /// It is there, and has not answered this in time.
    #[error("it has not answered in time")]
    Late,
    /// It can't serve this.
    #[error("it answers {0}")]
    Unable(StatusCode),
    /// Its answer is none.
    #[error("{0}")]
    Malformed(&'static str),
    /// The upstream refuses it to the caller.
    #[error("the upstream refuses it")]
    Refused,
}

impl Missed {
    /// A word for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Busy => "busy",
            Self::Down => "down",
            Self::Late => "late",
            Self::Unable(_) => "unable",
            Self::Malformed(_) => "malformed",
            Self::Refused => "refused",
        }
    }
}

impl Peer {
    /// One that is reached by its URL, or, where it was found by a name that all members are behind, at an address.
    pub fn new(
        member: Member,
        address: Option<SocketAddr>,
        settings: &SiteSettings,
        authorities: Option<&[Certificate]>,
    ) -> Result<Self, SiteError> {
        let invalid = |source| SiteError::Setup { member: member.clone(), source };
        // The first in the process sets it; that it is set is all that counts.
        let _ = ring::default_provider().install_default();
        // One request on a connection at a time, so that as many as are allowed are all there are.
        let mut builder = Client::builder()
            .user_agent(concat!("longshore/", env!("CARGO_PKG_VERSION")))
            .http1_only()
            .tls_backend_rustls()
            .no_proxy()
            .redirect(Policy::none())
            .connect_timeout(settings.connect_timeout)
            .read_timeout(settings.read_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(settings.max_connections)
            .tcp_keepalive(KEEPALIVE)
            .tcp_keepalive_interval(KEEPALIVE);
        #[cfg(target_os = "linux")]
        {
            // One that is gone without a word is found out on connections that there are as soon as on new ones.
            builder = builder.tcp_user_timeout(settings.connect_timeout);
        }
        let mut reached = member.as_str().to_owned();
        if member.is_https() {
            if let (Some(address), Membership::Named { name, port, .. }) = (address, &settings.membership) {
                // Its certificate is of the name, not of its address.
                reached = format!("https://{name}:{port}");
                builder = builder.resolve(name, address);
            }
            if let Some(authorities) = authorities {
                builder = builder.tls_certs_only(authorities.iter().cloned());
            }
        } else {
            builder = builder.tls_certs_only(Vec::new());
        }
        Ok(Self {
            http: builder.build().map_err(invalid)?,
            url: reached.parse().expect("a member is a URL"),
            member,
            secret: settings.secret.clone(),
            slots: Arc::new(Semaphore::new(settings.max_connections.max(1))),
            patience: settings.connect_timeout.saturating_mul(PATIENT).min(settings.read_timeout),
            health: Mutex::default(),
        })
    }

    /// Who it is.
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// Whether it answered when it was asked last.
    pub fn is_up(&self) -> bool {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).is_up()
    }

    /// Bytes of a blob, which whoever reads them checks.
    pub async fn read(&self, question: Question<'_>, range: Option<&Range<u64>>) -> Result<Sent, Missed> {
        let (answer, _, slot) = self.ask(question, What::Content, range).await?;
        let text = |name| answer.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let size_bytes = match range {
            None => text(CONTENT_LENGTH).and_then(|text| text.parse().ok()),
            Some(range) => {
                let sent = text(CONTENT_RANGE).and_then(|text| text.parse::<SentRange>().ok());
                sent.filter(|sent| sent.bytes == *range).and_then(|sent| sent.size_bytes)
            }
        };
        let size_bytes = size_bytes.ok_or(Missed::Malformed("it does not say which bytes it sends"))?;
        let stream = answer.bytes_stream().map(move |bytes| {
            // The connection is taken for as long as bytes may come.
            let _ = &slot;
            bytes
        });
        Ok(Sent { size_bytes, stream: stream.boxed() })
    }

    async fn ask(
        &self,
        question: Question<'_>,
        what: What,
        range: Option<&Range<u64>>,
    ) -> Result<(Response, Tag, OwnedSemaphorePermit), NotAnswered> {
        let slot = self.slot().await?;
        if !self.health.lock().unwrap_or_else(PoisonError::into_inner).admit(Instant::now()) {
            return Err(Missed::Skipped.into());
        }
        let mut url = self.url.clone();
        url.set_path(&asked::path(question.place, what, question.digest));
        let range = range.map(|range| ByteRange::from(range).to_string());
        let range = range.map(|range| HeaderValue::from_str(&range).expect("digits and a dash"));
        let members = (question.own, &self.member);
        let now = Timestamp::now().as_second();
        let upstream = (url.path(), &*question.place.address);
        let (mut headers, tag) = asked::headers(&self.secret, members, question.identity, upstream, range.as_ref(), now);
        question.way.tell(&mut headers);
        let is_range = headers.contains_key(RANGE);
        let answer = self.attend(self.http.get(url).headers(headers).send()).await?;
        let status = answer.status();
        if status == StatusCode::UNAUTHORIZED && Word::of(answer.headers()).is_none() {
            // Neither secrets nor clocks are mended by asking on.
            self.unwell("it does not take what this edge signs: see site.secret and the clocks of both");
            return Err(Missed::Unable(status).into());
        }
        self.well();
        match Word::of(answer.headers()) {
            Some(word) => Err(NotAnswered::Said(word)),
            None if status == if is_range { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK } => Ok((answer, tag, slot)),
            None => Err(Missed::Unable(status).into()),
        }
    }

    /// A place for a request. Nobody waits for one at a member that is left alone.
    async fn slot(&self) -> Result<OwnedSemaphorePermit, Missed> {
        if self.health.lock().unwrap_or_else(PoisonError::into_inner).is_left_alone(Instant::now()) {
            return Err(Missed::Skipped);
        }
        let slot = tokio::time::timeout(self.patience, self.slots.clone().acquire_owned()).await;
        slot.ok().and_then(Result::ok).ok_or(Missed::Busy)
    }

    /// What it answers. While nothing comes it is asked now and then whether it is there at all: one that is waits for the upstream.
    async fn attend<T>(&self, answer: impl Future<Output = reqwest::Result<T>>) -> Result<T, Missed> {
        match self.unless_gone(answer).await {
            Some(Ok(answered)) => Ok(answered),
            Some(Err(error)) => Err(self.failed(&error).await),
            None => Err(Missed::Down),
        }
    }

    /// What comes from it; `None` where it does not answer at all any more.
    pub async fn unless_gone<T>(&self, coming: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            came = coming => Some(came),
            () = self.gone() => {
                self.unwell("it answers nothing at all");
                None
            }
        }
    }

    /// Ends when it does not answer at all.
    async fn gone(&self) {
        loop {
            tokio::time::sleep(self.patience).await;
            if !self.is_there().await {
                return;
            }
        }
    }

    /// What it means that a request failed. One that is late may wait for the upstream, which says nothing of other blobs.
    async fn failed(&self, error: &reqwest::Error) -> Missed {
        let (is_late, reason) = {
            let mut cause: &(dyn std::error::Error + 'static) = error;
            while let Some(source) = cause.source() {
                cause = source;
            }
            // Where the system says so, it is the connection that is lost.
            (error.is_timeout() && !error.is_connect() && !cause.is::<io::Error>(), cause.to_string())
        };
        if is_late && self.is_there().await {
            return Missed::Late;
        }
        self.unwell(&reason);
        Missed::Down
    }

    /// Whether it answers at all: what nobody has signed is refused at once.
    async fn is_there(&self) -> bool {
        let mut url = self.url.clone();
        url.set_path(asked::PREFIX);
        let is_there = self.http.get(url).timeout(self.patience).send().await.is_ok();
        if is_there {
            self.well();
        }
        is_there
    }

    fn well(&self) {
        if self.health.lock().unwrap_or_else(PoisonError::into_inner).worked() {
            tracing::info!(member = %self.member, "an edge of the site is back");
        }
    }

    fn unwell(&self, reason: &str) {
        if self.health.lock().unwrap_or_else(PoisonError::into_inner).failed(Instant::now()) {
            tracing::warn!(member = %self.member, reason, "an edge of the site does not answer; it is skipped for a while");
        }
    }
}

/// Why there is no content.
enum NotAnswered {
    Missed(Missed),
    Said(Word),
}

impl From<Missed> for NotAnswered {
    fn from(missed: Missed) -> Self {
        Self::Missed(missed)
    }
}

impl From<NotAnswered> for Missed {
    fn from(not_answered: NotAnswered) -> Self {
        match not_answered {
            NotAnswered::Missed(missed) => missed,
            NotAnswered::Said(Word::Refused) => Self::Refused,
            NotAnswered::Said(Word::Unvouched) => Self::Malformed("it says that nobody vouches for bytes"),
        }
    }
}
