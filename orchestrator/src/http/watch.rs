//! `GET /api/v1/watch`: what happens, as server-sent events (WHATWG HTML, "Server-sent events").
//!
//! Each has its position as its id, and an [`longshore_fleet::api::Event`] as its data. A watch goes on from `since`, or from the
//! `Last-Event-ID` of whoever comes again. It ends with an event of a kind of its own where it can't go on: `gone` where the history does not
//! go back so far, `behind` where its reader did not keep up, `expired` where its token has ended, `draining` where this replica stops.

use std::{convert::Infallible, fmt::Write as _, sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderName;
use jiff::Timestamp;
use longshore_fleet::{Name, api::EventKind};
use tokio::time::Instant;

use super::{Call, Outcome, pods::Word, reply};
use crate::{
    access::Right,
    error::Error,
    feed::{Next, Told, Watching},
    orchestrator::Orchestrator,
    state::StateError,
};

/// After how long a silence something is sent, so that nobody in between takes the connection for dead.
const BEAT: Duration = Duration::from_secs(10);
/// How long to wait where the database does not answer.
const PAUSE: Duration = Duration::from_secs(1);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub async fn watch<B>(orchestrator: &Arc<Orchestrator>, call: &Call<B>) -> Outcome {
    let mut parameters = call.parameters(&["since", "kinds", "namespace"]);
    let since: Option<u64> = parameters.optional("since");
    let kinds = parameters.list::<Word<EventKind>>("kinds").into_iter().map(|word| word.0).collect();
    let namespace: Option<Name> = parameters.optional("namespace");
    let (since, kinds, namespace) = parameters.done((since, kinds, namespace))?;
    orchestrator.access.require(&call.caller, Right::View, namespace.as_ref())?;
    let resumed = call.header(LAST_EVENT_ID).filter(|id| !id.is_empty()).map(str::parse::<u64>);
    let resumed = resumed.transpose().map_err(|_| Error::Request("Last-Event-ID must be a position".to_owned()))?;
    let at = match resumed.or(since) {
        Some(position) => {
            // Whether it can go on from there is told before anything else.
            orchestrator.state.events(position, 1).await?;
            position
        }
        None => orchestrator.state.position().await?,
    };
    let watching = orchestrator.feed.watch(at).ok_or(Error::Overloaded)?;
    let left = call.caller.ends_at().map(|ends_at| ends_at.saturating_sub(Timestamp::now().as_second()));
    let ends_at = left.map(|seconds| Instant::now() + Duration::from_secs(u64::try_from(seconds).unwrap_or_default()));
    let stream = Stream {
        orchestrator: orchestrator.clone(),
        watching,
        kinds,
        namespace,
        ends_at,
        told_at: at,
        is_new: true,
        is_over: false,
    };
    Ok(reply::stream("text/event-stream", futures_util::stream::unfold(stream, Stream::step)))
}

struct Stream {
    orchestrator: Arc<Orchestrator>,
    watching: Watching,
    /// All of them where there is none.
    kinds: Vec<EventKind>,
    namespace: Option<Name>,
    ends_at: Option<Instant>,
    /// The position that was told last.
    told_at: u64,
    /// Whether nothing was sent yet.
    is_new: bool,
    is_over: bool,
}

impl Stream {
    async fn step(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if self.is_over {
            return None;
        }
        if std::mem::take(&mut self.is_new) {
            // At once, so that it is seen to have begun, and from where: whoever comes again has missed nothing since.
            let text = format!(":\nid: {}\n\n", self.told_at);
            return Some((Ok(text.into()), self));
        }
        let text = self.next().await;
        Some((Ok(text.into()), self))
    }

    /// What is sent next.
    async fn next(&mut self) -> String {
        let beat = Instant::now() + BEAT;
        loop {
            if self.orchestrator.draining.is_cancelled() {
                return self.end("draining", "this replica stops: come again, and another goes on");
            }
            if self.ends_at.is_some_and(|ends_at| Instant::now() >= ends_at) {
                return self.end("expired", "the token has ended: come again with another");
            }
            match self.watching.next().await {
                Ok(Next::Events(events)) => {
                    let text = self.told(&events);
                    if !text.is_empty() {
                        return text;
                    }
                }
                Ok(Next::Nothing) => {
                    if !self.wait(beat).await {
                        return self.beat();
                    }
                }
                Ok(Next::Behind) => return self.end("behind", "you did not keep up: come again, and go on from here"),
                Err(StateError::TooOld) => return self.end("gone", "the history does not go back so far: list again"),
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a watch waits for the database");
                    tokio::time::sleep(PAUSE).await;
                    if Instant::now() >= beat {
                        return self.beat();
                    }
                }
            }
        }
    }

    /// Waits until something may be other than it was; false where it is time for a sign of life.
    async fn wait(&mut self, beat: Instant) -> bool {
        let until = self.ends_at.map_or(beat, |ends_at| ends_at.min(beat));
        tokio::select! {
            () = self.watching.changed() => true,
            () = self.orchestrator.draining.cancelled() => true,
            () = tokio::time::sleep_until(until) => until < beat,
        }
    }

    fn told(&mut self, events: &[Arc<Told>]) -> String {
        let mut text = String::new();
        for event in events {
            let is_wanted = self.kinds.is_empty() || self.kinds.contains(&event.kind);
            let is_there = self.namespace.is_none() || self.namespace == event.namespace;
            if is_wanted && is_there {
                self.told_at = event.position;
                let _ = write!(text, "id: {}\ndata: {}\n\n", event.position, event.text);
            }
        }
        text
    }

    /// That nothing has happened; and how far it has been looked, where what has is not for this watch.
    fn beat(&mut self) -> String {
        let at = self.watching.at;
        // An event without data is none, but its id counts.
        if std::mem::replace(&mut self.told_at, at) == at { ":\n\n".to_owned() } else { format!(":\nid: {at}\n\n") }
    }

    fn end(&mut self, kind: &str, words: &str) -> String {
        self.is_over = true;
        let data = serde_json::json!({ "position": self.watching.at, "message": words });
        format!("event: {kind}\ndata: {data}\n\n")
    }
}
