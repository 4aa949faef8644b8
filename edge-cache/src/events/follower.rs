use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use longshore_oci::Route;
use tokio_util::sync::CancellationToken;

use super::{
    EventMetrics, Invalidate,
    pause::{End, pause},
    session::Session,
};
use crate::{
    store::Store,
    upstream::{Answer, Ask, Identity, Kind, Pause, Upstream, UpstreamError, backoff},
};

/// The kind of record that positions are.
const KIND: &str = "events";
/// After how long a silence a stream is given up. The registry sends something every 15 s.
const SILENCE: Duration = Duration::from_secs(45);
/// How often it is written down where a stream is.
const KEPT_EVERY: Duration = Duration::from_secs(1);
/// The longest position, in bytes.
const MOST_POSITION_BYTES: usize = 256;

/// The task that follows one upstream's changes.
pub struct Follower {
    upstream: Arc<Upstream>,
    store: Store,
    invalidate: Arc<dyn Invalidate>,
    metrics: EventMetrics,
    /// Where it is, as the registry has told.
    position: Option<String>,
    /// Whether it was ever followed, as far as is known here.
    has_followed: bool,
    kept_at: Option<Instant>,
}

impl Follower {
    /// One of this upstream, from where the last one was.
    pub fn new(upstream: Arc<Upstream>, store: Store, invalidate: Arc<dyn Invalidate>, metrics: EventMetrics) -> Self {
        let records = store.records(KIND);
        // What can't be read may say that it was.
        let is_unread = records.is_err();
        let records = records.unwrap_or_else(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(upstream = upstream.name(), error, "where the changes of the upstream were followed to can't be read");
            Vec::new()
        });
        // One of another that it was before says nothing of this one.
        let is_of_before = |key: &str| key != &**upstream.key() && key.split(' ').next() == Some(upstream.name());
        records.iter().filter(|(key, _)| is_of_before(key)).for_each(|(key, _)| store.remove_record(KIND, key));
        let record = records.into_iter().find(|(key, _)| *key == **upstream.key());
        let has_followed = is_unread || record.is_some();
        // What can't be sent as it is was never told by a registry of ours; without a position all is forgotten.
        let position = record.and_then(|(_, value)| String::from_utf8(value).ok());
        let position = position.filter(|position| is_plain(position) && upstream.settings().kind != Kind::Other);
        Self { upstream, store, invalidate, metrics, position, has_followed, kept_at: None }
    }

    /// Follows until told to stop.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut failures = 0_u32;
        loop {
            let followed = tokio::select! {
                () = shutdown.cancelled() => None,
                end = self.follow() => Some(end),
            };
            self.metrics.following.with_label_values(&[self.upstream.name()]).set(0);
            self.keep();
            let Some(followed) = followed else { return };
            let end = End::of(&followed, self.position.is_some());
            if failures == 0 {
                self.tell(end, &followed);
            }
            failures = if matches!(end, End::Told) { 0 } else { failures.saturating_add(1) };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause(end, failures, backoff::part())) => {}
            }
        }
    }

    /// Says how it ended, where that is not well.
    fn tell(&self, end: End, followed: &Result<bool, UpstreamError>) {
        let upstream = self.upstream.name();
        match followed {
            Ok(true) => {}
            Ok(false) if end == End::Without => {
                tracing::info!(upstream, "the upstream tells of no changes; its tags are looked at again when they are old");
            }
            Ok(false) => {
                tracing::warn!(upstream, "the upstream told of its changes before, and does not now; it will be asked again");
            }
            Err(error) => {
                let is_left_alone = matches!(error, UpstreamError::Paused { reason: Pause::Failing, .. });
                let failed_with = if is_left_alone { self.upstream.last_failure() } else { None };
                let (error, failed_with) = (error as &dyn std::error::Error, failed_with.as_deref());
                tracing::warn!(
                    upstream,
                    error,
                    failed_with,
                    "the changes of the upstream can't be followed, and will be tried again"
                );
            }
        }
    }

    /// Follows one stream to its end. Whether there is one.
    async fn follow(&mut self) -> Result<bool, UpstreamError> {
        // One that does not say yet what it is may tell of changes a moment later. One that was followed is one of ours, whatever answers
        // in its place for now.
        if self.position.is_none() && !self.upstream.find_kind().await? {
            return Ok(false);
        }
        let upstream = self.upstream.clone();
        let query = self.position.as_ref().map(|position| format!("after={position}"));
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("text/event-stream"))]);
        let ask = Ask { method: Method::GET, route: Route::Events, query, headers };
        let answer = match upstream.ask(&Identity::Edge, ask).await {
            Err(error) if matches!(error.status(), Some(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)) => {
                return Ok(false);
            }
            answer => answer?,
        };
        let Answer { headers, mut body, .. } = answer;
        if !is_stream(&headers) {
            return Ok(false);
        }
        let name = [upstream.name()];
        self.metrics.following.with_label_values(&name).set(1);
        tracing::info!(upstream = upstream.name(), "following the changes of the upstream");
        let invalidate = self.invalidate.clone();
        let mut session = Session::new(upstream.name(), &*invalidate, !self.has_followed);
        let mut has_told = false;
        loop {
            let chunk = match tokio::time::timeout(SILENCE, body.next()).await {
                Ok(Some(Ok(chunk))) => chunk,
                // It broke off. That is as good as an end where it had begun.
                Ok(Some(Err(error))) if !has_told => return Err(error),
                Ok(Some(Err(_)) | None) | Err(_) => return Ok(true),
            };
            has_told = true;
            let Ok(taken) = session.take(&chunk) else {
                tracing::warn!(upstream = upstream.name(), "the upstream told of a change that is too long to be one");
                invalidate.all(upstream.name());
                self.position = None;
                return Ok(true);
            };
            self.has_followed |= session.position().is_some();
            self.metrics.events.with_label_values(&name).inc_by(taken.changes);
            self.metrics.resets.with_label_values(&name).inc_by(taken.resets);
            self.move_to(session.position());
        }
    }

    /// What came up to there is forgotten. It is written down now and then: what is told twice does no harm.
    fn move_to(&mut self, position: Option<&str>) {
        let Some(position) = position.filter(|position| is_plain(position)) else { return };
        if self.position.as_deref() == Some(position) {
            return;
        }
        self.position = Some(position.to_owned());
        if self.kept_at.is_none_or(|at| at.elapsed() >= KEPT_EVERY) {
            self.keep();
        }
    }

    fn keep(&mut self) {
        self.kept_at = Some(Instant::now());
        match &self.position {
            Some(position) => self.store.put_record(KIND, self.upstream.key().to_string(), position.clone().into_bytes()),
            // That it was followed holds over a restart, too.
            None if self.has_followed => self.store.put_record(KIND, self.upstream.key().to_string(), Vec::new()),
            None => self.store.remove_record(KIND, self.upstream.key()),
        }
    }
}

/// Whether a position stands in a query as it is.
fn is_plain(position: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (1..=MOST_POSITION_BYTES).contains(&position.len()) && position.bytes().all(is_unreserved)
}

fn is_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.and_then(|kind| kind.split(';').next()).is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use longshore_oci::{Digest, RepositoryName, Tag};
    use longshore_service::metrics::Metrics;
    use tokio::sync::Notify;

    use super::*;
    use crate::{
        store::{StoreMetrics, StoreSettings},
        upstream::{
            UpstreamMetrics,
            tests::{
                server::{Reply, Server},
                settings,
            },
        },
    };

    /// Wakes whoever waits for a change.
    #[derive(Default)]
    struct Told(Notify);

    impl Invalidate for Told {
        fn tag_changed(&self, _upstream: &str, _repository: &RepositoryName, _tag: &Tag) {
            self.0.notify_one();
        }

        fn deleted(&self, _upstream: &str, _repository: &RepositoryName, _digest: &Digest, _at: Timestamp) {}

        fn all(&self, _upstream: &str) {}

        fn begun(&self, _upstream: &str) {}
    }

    const STREAM: &str = "id: e-2\ndata: {\"position\":\"e-2\",\"at\":\"2026-01-01T00:00:00Z\",\"kind\":\"tag.set\",\
        \"repository\":\"a/b\",\"tag\":\"v1\"}\n\n";

    #[tokio::test]
    async fn a_registry_that_is_away_for_a_moment_is_followed_on() {
        let server = Server::start(|head, number| match number {
            // Something in between answers for it.
            0 => Reply::new("404 Not Found", "", "no such service"),
            1 => Reply::new("401 Unauthorized", "", ""),
            _ if head.starts_with("GET /v2/_longshore/events?after=e-1 ") => {
                Reply::ok("Content-Type: text/event-stream\r\n", STREAM)
            }
            _ => Reply::new("404 Not Found", "", ""),
        });
        let server = server.await;
        let (folder, metrics) = (tempfile::tempdir().unwrap(), Metrics::new());
        let opened = Store::open(StoreSettings::new(folder.path(), 1 << 20), StoreMetrics::new(&metrics));
        let (store, _keeper) = opened.unwrap();
        let upstream = Arc::new(Upstream::new(settings(server.address), &UpstreamMetrics::new(&metrics)).unwrap());
        store.put_record(KIND, upstream.key().to_string(), b"e-1".to_vec());
        store.flush().await.unwrap();
        let (told, shutdown) = (Arc::new(Told::default()), CancellationToken::new());
        let follower = Follower::new(upstream, store, told.clone(), EventMetrics::new(&metrics));
        let following = tokio::spawn(follower.run(shutdown.clone()));
        tokio::time::timeout(Duration::from_secs(30), told.0.notified()).await.expect("it is told within seconds");
        shutdown.cancel();
        following.await.unwrap();
    }

    #[tokio::test]
    async fn one_that_is_pointed_elsewhere_was_not_followed_before() {
        let (folder, metrics) = (tempfile::tempdir().unwrap(), Metrics::new());
        let opened = Store::open(StoreSettings::new(folder.path(), 1 << 20), StoreMetrics::new(&metrics));
        let (store, _keeper) = opened.unwrap();
        for key in ["up", "up http://before.example", "up-too http://before.example"] {
            store.put_record(KIND, key.to_owned(), b"e-1".to_vec());
        }
        let upstream = Arc::new(Upstream::new(settings(Server::nobody().await), &UpstreamMetrics::new(&metrics)).unwrap());
        let (told, counts) = (Arc::new(Told::default()), EventMetrics::new(&metrics));
        let follower = Follower::new(upstream.clone(), store.clone(), told.clone(), counts.clone());
        assert_eq!((&follower.position, follower.has_followed), (&None, false));
        let kept: Vec<_> = store.records(KIND).unwrap().into_iter().map(|(key, _)| key).collect();
        assert_eq!(kept, ["up-too http://before.example"], "what it was before is forgotten");
        let mut follower = Follower { has_followed: true, ..follower };
        follower.keep();
        let again = Follower::new(upstream, store, told, counts);
        assert_eq!((again.position, again.has_followed), (None, true), "where to is not known, but that it was");
    }
}
