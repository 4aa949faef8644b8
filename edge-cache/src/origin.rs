//! An upstream as one of its callers, for one repository: where the blobs of that come from.

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE},
};
use longshore_oci::{Digest, RepositoryName, Route};

use crate::{
    grants::address,
    piece::PieceHashes,
    source::{Reading, Source, SourceError},
    upstream::{Answer, Ask, Identity, Upstream},
};

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
        address(&self.upstream)
    }

    fn caller(&self) -> Option<&Identity> {
        Some(&self.who)
    }

    async fn vouched(&self, digest: &Digest) -> Result<Option<(u64, PieceHashes)>, SourceError> {
        Ok(self.upstream.metainfo(&self.who, &self.repository, digest).await?)
    }

    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<Reading, SourceError> {
        let mut headers = HeaderMap::new();
        if let Some(Range { start, end }) = &range {
            let text = format!("bytes={start}-{}", end.saturating_sub(1));
            headers.insert(RANGE, HeaderValue::from_str(&text).expect("digits and a dash"));
        }
        let route = Route::Blob(self.repository.clone(), digest.clone());
        let answer = self.upstream.ask(&self.who, Ask { method: Method::GET, route, query: None, headers }).await?;
        let wrong =
            |reason: &str| SourceError::Wrong { name: self.name().to_owned(), digest: digest.clone(), reason: reason.into() };
        let Answer { status, headers, body, .. } = answer;
        let stream = body.map_err(SourceError::from).boxed();
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        match (status, range) {
            (StatusCode::PARTIAL_CONTENT, Some(range)) => {
                let told = text(CONTENT_RANGE).and_then(content_range);
                let (sent, size_bytes) = told.ok_or_else(|| wrong("its Content-Range can't be read"))?;
                if sent != range {
                    return Err(wrong("another range was sent than was asked for"));
                }
                Ok(Reading { size_bytes, is_ranged: true, stream })
            }
            (StatusCode::OK, range) => {
                let length = text(CONTENT_LENGTH).and_then(|text| text.parse().ok());
                let size_bytes = length.ok_or_else(|| wrong("it is not said how long it is"))?;
                // Whoever knows no ranges sends all.
                let is_ranged = range.is_none();
                let range = range.unwrap_or(0..size_bytes);
                let mut at = 0;
                let stream = stream.map_ok(move |bytes| {
                    let start = at;
                    at += bytes.len() as u64;
                    part(&bytes, start, &range)
                });
                let stream = stream.try_filter(|bytes| std::future::ready(!bytes.is_empty())).boxed();
                Ok(Reading { size_bytes, is_ranged, stream })
            }
            _ => Err(wrong(&format!("the answer is {status}"))),
        }
    }
}

/// What a range has of bytes that begin at `start`.
fn part(bytes: &Bytes, start: u64, range: &Range<u64>) -> Bytes {
    let end = start + bytes.len() as u64;
    let within = |at: u64| usize::try_from(at.clamp(start, end) - start).expect("no longer than these bytes");
    bytes.slice(within(range.start)..within(range.end))
}

/// Which bytes of how many an answer has (RFC 9110, section 14.4); `None` where it does not say.
pub(crate) fn content_range(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let (first, last, size) = (number(first)?, number(last)?, number(size)?);
    (first <= last && last < size).then_some((first..last + 1, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_which_bytes_were_sent() {
        assert_eq!(content_range("bytes 0-4/10"), Some((0..5, 10)));
        assert_eq!(content_range("bytes 9-9/10"), Some((9..10, 10)));
        for text in
            ["", "bytes */10", "bytes 0-4/*", "bytes 5-4/10", "bytes 0-10/10", "items 0-4/10", "bytes +0-4/10", "bytes 0-4"]
        {
            assert_eq!(content_range(text), None, "{text}");
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
