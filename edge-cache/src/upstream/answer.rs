use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use http::{HeaderMap, StatusCode, header};
use longshore_client::PullAnswer;

use super::{
    Upstream, UpstreamError, blame::Blame, byte_rate::ByteRate, endpoint::Endpoint, metrics::Counts, metrics::InFlight,
    slots::Slot,
};

/// How long a body may take that is read whole.
const READ_PATIENCE: Duration = Duration::from_mins(5);

/// What an upstream answers.
pub struct Answer {
    /// 200, 206 or 304.
    pub status: StatusCode,
    /// Its headers, but for cookies.
    pub headers: HeaderMap,
    /// Its body; none for HEAD and 304. It ends with an error where it breaks off, or is not as long as was promised.
    pub body: BoxStream<'static, Result<Bytes, UpstreamError>>,
    upstream: Arc<str>,
}

/// An answer whose body has begun.
pub(super) struct Arrived {
    pub(super) pulled: PullAnswer,
    pub(super) first: Option<Bytes>,
    pub(super) has_body: bool,
    pub(super) promised_bytes: Option<u64>,
    pub(super) blame: Blame,
}

/// A body under way, with all that is held until it is here.
struct Body {
    pulled: PullAnswer,
    first: Option<Bytes>,
    promised_bytes: Option<u64>,
    came_bytes: u64,
    blame: Blame,
    upstream: Arc<str>,
    endpoint: Arc<Endpoint>,
    rate: Option<Arc<ByteRate>>,
    counts: Counts,
    _held: (Option<Slot>, InFlight),
}

impl Answer {
    pub(super) fn of(
        mut arrived: Arrived,
        upstream: &Upstream,
        endpoint: &Arc<Endpoint>,
        held: (Option<Slot>, InFlight),
    ) -> Self {
        let (status, headers) = (arrived.pulled.status, std::mem::take(&mut arrived.pulled.headers));
        let name = upstream.name.clone();
        let Arrived { pulled, first, has_body, promised_bytes, blame } = arrived;
        let is_over = first.is_none() && promised_bytes.is_none_or(|promised| promised == 0);
        if !has_body || is_over {
            endpoint.succeeds();
            return Self { status, headers, body: stream::empty().boxed(), upstream: name };
        }
        let body = Body {
            pulled,
            first,
            promised_bytes,
            came_bytes: 0,
            blame,
            upstream: name.clone(),
            endpoint: endpoint.clone(),
            rate: upstream.rate.clone(),
            counts: upstream.counts.clone(),
            _held: held,
        };
        Self { status, headers, body: body.into_stream(), upstream: name }
    }

    /// The whole body, which is so long at most, and comes within five minutes.
    pub async fn read(self, limit_bytes: usize) -> Result<Bytes, UpstreamError> {
        self.read_within(limit_bytes, READ_PATIENCE).await
    }

    /// How long its body is to be, in bytes, where that is told.
    pub(super) fn told_bytes(&self) -> Option<usize> {
        self.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
    }

    /// The whole body, which comes within this time: a server that sends a byte now and then would be waited for without an end.
    pub(super) async fn read_within(self, limit_bytes: usize, patience: Duration) -> Result<Bytes, UpstreamError> {
        let upstream = self.upstream.clone();
        let late = |_| {
            let reason = format!("its answer had not ended after {} s", patience.as_secs());
            UpstreamError::Malformed { upstream, reason }
        };
        tokio::time::timeout(patience, self.read_all(limit_bytes)).await.map_err(late)?
    }

    async fn read_all(mut self, limit_bytes: usize) -> Result<Bytes, UpstreamError> {
        let mut whole = BytesMut::new();
        while let Some(bytes) = self.body.next().await.transpose()? {
            if bytes.len() > limit_bytes - whole.len() {
                let reason = format!("its answer is longer than {limit_bytes} bytes");
                return Err(UpstreamError::Malformed { upstream: self.upstream, reason });
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.freeze())
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Answer").field("status", &self.status).field("headers", &self.headers).finish_non_exhaustive()
    }
}

impl Body {
    fn into_stream(self) -> BoxStream<'static, Result<Bytes, UpstreamError>> {
        let next = |body: Option<Self>| async {
            let mut body = body?;
            match body.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(body))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        };
        stream::unfold(Some(self), next).boxed()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        let chunk = match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.pulled.chunk().await,
        };
        let chunk = chunk.map_err(|error| UpstreamError::of(&self.upstream, error, true)).and_then(|chunk| self.counted(chunk));
        match chunk {
            Ok(Some(bytes)) => {
                self.counts.came(bytes.len());
                if let Some(rate) = &self.rate {
                    tokio::time::sleep(rate.take(bytes.len(), Instant::now())).await;
                }
                Ok(Some(bytes))
            }
            Ok(None) => {
                self.endpoint.succeeds();
                Ok(None)
            }
            Err(error) => {
                self.counts.broke_off();
                self.endpoint.fails(&error, Some(&self.blame), &self.counts);
                let came_bytes = self.came_bytes;
                tracing::warn!(upstream = %self.upstream, from = %self.pulled.place(), came_bytes, %error, "an answer broke off");
                Err(error)
            }
        }
    }

    /// That a body is as long as was promised.
    fn counted(&mut self, chunk: Option<Bytes>) -> Result<Option<Bytes>, UpstreamError> {
        let Some(promised) = self.promised_bytes else { return Ok(chunk) };
        self.came_bytes += chunk.as_ref().map_or(0, |bytes| bytes.len() as u64);
        let is_right = if chunk.is_some() { self.came_bytes <= promised } else { self.came_bytes == promised };
        if is_right {
            return Ok(chunk);
        }
        let reason = format!("it promised {promised} bytes and sent {} of them", self.came_bytes);
        Err(UpstreamError::Malformed { upstream: self.upstream.clone(), reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_for_no_body_that_does_not_end() {
        let drops = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Some((Ok(Bytes::from_static(b"x")), ()))
        });
        let (status, headers) = (StatusCode::OK, HeaderMap::new());
        let answer = Answer { status, headers, body: drops.boxed(), upstream: "up".into() };
        let error = answer.read_within(1 << 20, Duration::from_millis(50)).await.unwrap_err();
        assert!(matches!(&error, UpstreamError::Malformed { reason, .. } if reason.contains("not ended")), "{error}");
    }
}
