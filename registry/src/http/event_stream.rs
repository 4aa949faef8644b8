//! Changes as server-sent events (WHATWG HTML, "Server-sent events"), for as long as their caller may know of them.

use std::{convert::Infallible, fmt::Write as _, net::IpAddr, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, header, request::Parts};
use longshore_oci::{Change, Route};
use longshore_service::listener::ClientCertificate;
use serde_json::json;
use tokio::time::timeout;

use super::{Call, admission, events::Teller};
use crate::{access::Caller, error::Error, feed::Following, state::Author};

/// After how long a silence something is sent, so that nobody in between takes the connection for dead.
const BEAT: Duration = Duration::from_secs(15);

/// Whether an `Accept` asks for a stream.
pub fn is_accepted(accept: &str) -> bool {
    accept.split(',').filter_map(|kind| kind.split(';').next()).any(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// The answer that goes on.
pub fn answer<B>(call: &Call<B>, teller: Teller, following: Following, is_reset: bool) -> Response<Body> {
    let stream = Stream {
        parts: call.parts.clone(),
        client: call.client,
        certificate: call.certificate.clone(),
        caller: call.caller.clone(),
        author: Author::current(),
        teller,
        following,
        is_reset,
        is_new: true,
        told_at: 0,
    };
    let mut response = Response::new(Body::from_stream(futures_util::stream::unfold(stream, Stream::step)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A proxy that gathers what it passes on would hold up each event until there are many.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

struct Stream {
    parts: Parts,
    client: IpAddr,
    certificate: Option<ClientCertificate>,
    caller: Caller,
    author: Option<Arc<Author>>,
    teller: Teller,
    following: Following,
    /// Whether it is to be told that changes may be missing.
    is_reset: bool,
    /// Whether nothing was sent yet.
    is_new: bool,
    /// The position that was told last.
    told_at: u64,
}

impl Stream {
    async fn step(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let author = self.author.clone();
        match Box::pin(Author::scope(author, self.next())).await {
            Ok(Some(text)) => Some((Ok(text.into()), self)),
            Ok(None) => None,
            Err(error) => {
                // It has its 200 already. Whoever comes again is told what is wrong.
                tracing::debug!(error = &error as &dyn std::error::Error, "a stream of changes ends");
                None
            }
        }
    }

    /// What is sent next; `None` where the registry is to stop.
    async fn next(&mut self) -> Result<Option<String>, Error> {
        if std::mem::take(&mut self.is_new) {
            // At once, so that it is seen to have begun.
            return Ok(Some(if std::mem::take(&mut self.is_reset) { self.reset() } else { self.beat() }));
        }
        loop {
            if self.following.is_over() {
                return Ok(None);
            }
            let reach = self.following.reach();
            if self.teller.at < reach {
                self.admit().await?;
                match self.teller.next(&self.caller, reach, usize::MAX).await? {
                    None => {
                        let head = self.teller.look().await?;
                        self.teller.restart(&head);
                        return Ok(Some(self.reset()));
                    }
                    Some(changes) if !changes.is_empty() => {
                        self.told_at = self.teller.at;
                        return Ok(Some(self.told(&changes)));
                    }
                    Some(_) => {}
                }
            } else if timeout(BEAT, self.following.changed()).await.is_err() {
                self.admit().await?;
                return Ok(Some(self.beat()));
            }
        }
    }

    /// That the caller may still follow: it may have lost that since it came, and its token may be over.
    async fn admit(&mut self) -> Result<(), Error> {
        let registry = self.teller.registry();
        self.caller = admission::admit(registry, &Route::Events, &self.parts, self.client, self.certificate.as_ref()).await?;
        Ok(())
    }

    /// That nothing has happened; and how far it has been looked, where what has is not for this caller.
    fn beat(&mut self) -> String {
        let is_farther = std::mem::replace(&mut self.told_at, self.teller.at) != self.teller.at;
        // An event without data is none, but its id counts.
        if is_farther { format!(":\nid: {}\n\n", self.teller.position()) } else { ":\n\n".to_owned() }
    }

    fn reset(&mut self) -> String {
        self.told_at = self.teller.at;
        let position = self.teller.position();
        let data = json!({ "position": position });
        format!("event: {}\nid: {position}\ndata: {data}\n\n", Change::RESET)
    }

    fn told(&self, changes: &[Change]) -> String {
        let mut text = String::new();
        for change in changes {
            let data = serde_json::to_string(change).expect("what we answer is always JSON");
            write!(text, "id: {}\ndata: {data}\n\n", change.position).expect("a text takes all");
        }
        // What follows the last of them is not for this caller.
        write!(text, "id: {}\n\n", self.teller.position()).expect("a text takes all");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_for_those_who_accept_one() {
        for accept in ["text/event-stream", "Text/Event-Stream; q=1", "application/json, text/event-stream"] {
            assert!(is_accepted(accept), "{accept}");
        }
        for accept in ["", "*/*", "application/json", "text/*"] {
            assert!(!is_accepted(accept), "{accept}");
        }
    }
}
