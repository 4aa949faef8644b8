//! An upstream as one of its callers, for one repository: where the blobs of that come from.

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE},
};
use longshore_oci::{ByteRange, Digest, RepositoryName, Route, SentRange};

use crate::{
    piece::PieceHashes,
    source::{Reading, Source, SourceError},
    supply::{Sender, Supplier},
    upstream::{Answer, Ask, Identity, Upstream, UpstreamError},
};

/// What is wrong where nobody says a blob's length.
const UNTOLD: &str = "it is not said how long it is";

/// A repository of an upstream, as somebody who may pull from it.
#[derive(Clone)]
pub struct Origin {
    /// The upstream.
    pub upstream: Arc<Upstream>,
    /// The repository there.
    pub repository: RepositoryName,
    /// Who asks.
    pub who: Identity,
}

#[async_trait]
impl Source for Origin {
    fn name(&self) -> &str {
        self.upstream.name()
    }

    fn address(&self) -> Arc<str> {
        self.upstream.key().clone()
    }

    fn caller(&self) -> Option<&Identity> {
        Some(&self.who)
    }

    fn is_waited_for(&self) -> bool {
        self.upstream.is_waited_for()
    }

    async fn vouched(&self, digest: &Digest) -> Result<Option<(u64, PieceHashes)>, SourceError> {
        Ok(self.upstream.metainfo(&self.who, &self.repository, digest).await?)
    }

    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<Reading, SourceError> {
        let mut told = None;
        loop {
            let answer = self.get(digest, range.as_ref().map(ByteRange::from)).await?;
            match (answer.status, &range) {
                (StatusCode::PARTIAL_CONTENT, Some(range)) => return self.part(digest, answer, |sent| sent.bytes == *range),
                (StatusCode::OK, _) => {}
                (status, _) => return Err(self.wrong(digest, &format!("the answer is {status}"))),
            }
            if let Some(size_bytes) = length(&answer.headers).or(told) {
                return Ok(whole(answer, size_bytes, range));
            }
            // Its place, which may be the only one, is needed for what is asked next.
            drop(answer);
            told = self.told_by_head(digest).await?;
            if told.is_none() {
                return if range.is_none() { self.read_as_part(digest).await } else { Err(self.wrong(digest, UNTOLD)) };
            }
        }
    }
}

impl Origin {
    /// How long a blob is, in bytes.
    pub async fn size_bytes(&self, digest: &Digest) -> Result<u64, SourceError> {
        match self.told_by_head(digest).await? {
            Some(size_bytes) => Ok(size_bytes),
            None => Ok(self.read_as_part(digest).await?.size_bytes),
        }
    }

    /// How long the upstream says that a blob is, where it tells that without sending it.
    async fn told_by_head(&self, digest: &Digest) -> Result<Option<u64>, SourceError> {
        let answer = match self.upstream.ask(&self.who, Ask::head(self.route(digest))).await {
            Err(error) if is_of_the_method(&error) => return Ok(None),
            answer => answer?,
        };
        Ok(length(&answer.headers).filter(|_| answer.status == StatusCode::OK))
    }

    /// All of a blob as a part of it: of a part an upstream says where it lies, though it may not know beforehand how much it will send.
    async fn read_as_part(&self, digest: &Digest) -> Result<Reading, SourceError> {
        let answer = self.get(digest, Some(ByteRange::From(0))).await?;
        if answer.status != StatusCode::PARTIAL_CONTENT {
            return Err(self.wrong(digest, UNTOLD));
        }
        self.part(digest, answer, |sent| sent.bytes.start == 0 && sent.size_bytes == Some(sent.bytes.end))
    }

    async fn get(&self, digest: &Digest, range: Option<ByteRange>) -> Result<Answer, SourceError> {
        let text = range.map(|range| HeaderValue::try_from(range.to_string()).expect("digits and a dash"));
        let headers = text.map(|text| (RANGE, text)).into_iter().collect();
        Ok(self.upstream.ask(&self.who, Ask { headers, ..Ask::get(self.route(digest)) }).await?)
    }

    fn route(&self, digest: &Digest) -> Route {
        Route::Blob(self.repository.clone(), digest.clone())
    }

    /// A part of a blob, where it is the one that was asked for.
    fn part(&self, digest: &Digest, answer: Answer, is_asked: impl Fn(&SentRange) -> bool) -> Result<Reading, SourceError> {
        let sent = text(&answer.headers, &CONTENT_RANGE).and_then(|text| text.parse::<SentRange>().ok());
        let sent = sent.ok_or_else(|| self.wrong(digest, "its Content-Range can't be read"))?;
        let size_bytes = sent.size_bytes.ok_or_else(|| self.wrong(digest, UNTOLD))?;
        if !is_asked(&sent) {
            return Err(self.wrong(digest, "another range was sent than was asked for"));
        }
        let sender = Sender::new(Supplier::of_answer(&answer.headers));
        Ok(Reading { size_bytes, is_ranged: true, sender, stream: answer.body.map_err(SourceError::from).boxed() })
    }

    fn wrong(&self, digest: &Digest, reason: &str) -> SourceError {
        SourceError::Wrong { name: self.name().to_owned(), digest: digest.clone(), reason: reason.into() }
    }
}

/// Whether a HEAD was refused for what it is, as by a registry that knows none: that says nothing of the blob, nor of who asks.
fn is_of_the_method(error: &UpstreamError) -> bool {
    let of_all = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND];
    !error.is_down() && error.status().is_some_and(|status| !of_all.contains(&status))
}

/// What was asked for of a blob that is sent whole, as whoever knows no ranges does.
fn whole(answer: Answer, size_bytes: u64, range: Option<Range<u64>>) -> Reading {
    let is_ranged = range.is_none();
    let sender = Sender::new(Supplier::of_answer(&answer.headers));
    let range = range.unwrap_or(0..size_bytes);
    let mut at = 0;
    let stream = answer.body.map_err(SourceError::from).map_ok(move |bytes| {
        let start = at;
        at += bytes.len() as u64;
        part(&bytes, start, &range)
    });
    let stream = stream.try_filter(|bytes| std::future::ready(!bytes.is_empty())).boxed();
    Reading { size_bytes, is_ranged, sender, stream }
}

/// How long an answer's body is, in bytes, where that is told.
fn length(headers: &HeaderMap) -> Option<u64> {
    text(headers, &CONTENT_LENGTH)?.trim().parse().ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// What a range has of bytes that begin at `start`.
fn part(bytes: &Bytes, start: u64, range: &Range<u64>) -> Bytes {
    let end = start + bytes.len() as u64;
    let within = |at: u64| usize::try_from(at.clamp(start, end) - start).expect("no longer than these bytes");
    bytes.slice(within(range.start)..within(range.end))
}

#[cfg(test)]
mod tests {
    use longshore_oci::Algorithm;
    use longshore_service::metrics::Metrics;

    use super::*;
    use crate::upstream::{
        UpstreamMetrics, UpstreamSettings,
        tests::{
            server::{Reply, Server},
            settings,
        },
    };

    /// What a HEAD is answered that tells a length, one that tells none, and one that is not known.
    const TELLS: (&str, &str) = ("200 OK", "Content-Length: 5\r\n");
    const UNTELLING: (&str, &str) = ("200 OK", "");
    const UNKNOWN: (&str, &str) = ("405 Method Not Allowed", "Content-Length: 0\r\n");

    /// A registry that does not say how much it sends: a HEAD does, or that of which it sends a part. One thing is asked of it at a time.
    async fn uncounted(of_head: (&'static str, &'static str), sends_parts: bool) -> (Server, Origin) {
        let server = Server::start(move |head, _| {
            let (is_head, is_part) = (head.starts_with("HEAD "), head.to_ascii_lowercase().contains("range: bytes=0-\r\n"));
            let (status, headers, body) = match (is_head, is_part && sends_parts) {
                (true, _) => (of_head.0, of_head.1, ""),
                (false, true) => ("206 Partial Content", "Content-Range: bytes 0-4/5\r\nTransfer-Encoding: chunked\r\n", SENT),
                (false, false) => ("200 OK", "Transfer-Encoding: chunked\r\n", SENT),
            };
            Reply::raw(&format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n{body}"))
        });
        let server = server.await;
        let settings = UpstreamSettings { max_concurrent: 1, ..settings(server.address) };
        let upstream = Arc::new(Upstream::new(settings, &UpstreamMetrics::new(&Metrics::new())).unwrap());
        let origin = Origin { upstream, repository: "team/app".parse().unwrap(), who: Identity::Anonymous };
        (server, origin)
    }

    const SENT: &str = "5\r\nhello\r\n0\r\n\r\n";

    async fn body(reading: Reading) -> Vec<u8> {
        reading.stream.try_collect::<Vec<Bytes>>().await.unwrap().concat()
    }

    #[tokio::test]
    async fn a_length_that_is_not_told_is_found_out() {
        let digest = Digest::of(Algorithm::Sha256, b"hello");
        for (of_head, sends_parts) in [(TELLS, false), (UNTELLING, true), (UNKNOWN, true)] {
            let (server, origin) = uncounted(of_head, sends_parts).await;
            let reading = origin.read(&digest, None).await.unwrap();
            assert_eq!((reading.size_bytes, server.count()), (5, 3), "{of_head:?}");
            assert_eq!(body(reading).await, b"hello");
            assert_eq!(origin.size_bytes(&digest).await.unwrap(), 5);
        }
        let (_server, origin) = uncounted(TELLS, false).await;
        let reading = origin.read(&digest, Some(1..3)).await.unwrap();
        assert_eq!((reading.size_bytes, reading.is_ranged), (5, false));
        assert_eq!(body(reading).await, b"el");
    }

    #[tokio::test]
    async fn a_length_that_nobody_tells_is_wrong() {
        let digest = Digest::of(Algorithm::Sha256, b"hello");
        for of_head in [UNTELLING, UNKNOWN] {
            let (_server, origin) = uncounted(of_head, false).await;
            let [whole, part] = [origin.read(&digest, None).await, origin.read(&digest, Some(1..3)).await].map(Result::err);
            for error in [whole, part, origin.size_bytes(&digest).await.err()] {
                let error = error.expect("nobody says it").to_string();
                assert!(error.contains(UNTOLD), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn who_is_refused_is_told_so() {
        let digest = Digest::of(Algorithm::Sha256, b"hello");
        for status in ["403 Forbidden", "404 Not Found"] {
            let (_server, origin) = uncounted((status, "Content-Length: 0\r\n"), true).await;
            let error = origin.read(&digest, None).await.err().expect("a HEAD is refused");
            assert!(matches!(&error, SourceError::Upstream(error) if error.status().is_some()), "{error}");
        }
    }

    #[test]
    fn cuts_a_range_out_of_what_is_sent_whole() {
        let bytes = Bytes::from_static(b"0123456789");
        assert_eq!(part(&bytes, 0, &(2..5)), "234");
        assert_eq!(part(&bytes, 10, &(2..15)), "01234");
        assert!(part(&bytes, 10, &(0..5)).is_empty() && part(&bytes, 0, &(20..25)).is_empty());
    }
}
