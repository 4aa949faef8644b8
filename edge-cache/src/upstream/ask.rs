use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use http::{HeaderMap, Method, StatusCode};
use longshore_client::{ClientError, PullRequest};
use longshore_oci::Route;

use super::{
    Answer, Identity, Pause, Upstream, UpstreamError,
    answer::Arrived,
    asker::Asker,
    backoff,
    blame::Blame,
    effort::Effort,
    endpoint::{Closed, Endpoint},
    scrutiny,
};
use crate::via::Way;

/// After how long one may ask again who found every place for requests taken, or no memory for an answer.
const BUSY: Duration = Duration::from_secs(1);

/// What is asked of an upstream.
#[derive(Clone, Debug)]
pub struct Ask {
    /// GET or HEAD.
    pub method: Method,
    /// What for.
    pub route: Route,
    /// The query, as it stands in a URL.
    pub query: Option<String>,
    /// `Accept`, `If-None-Match`, `If-Range`, `Range` and `Via`; others are not sent. By way of which caches of ours the request came that
    /// it is asked for is added.
    pub headers: HeaderMap,
}

impl Ask {
    /// For the whole.
    pub fn get(route: Route) -> Self {
        Self { method: Method::GET, route, query: None, headers: HeaderMap::new() }
    }

    /// For the headers alone.
    pub fn head(route: Route) -> Self {
        Self { method: Method::HEAD, ..Self::get(route) }
    }

    /// Whether the answer can be long under way.
    fn is_long(&self) -> bool {
        self.method == Method::GET && matches!(self.route, Route::Blob(..))
    }
}

impl Upstream {
    /// Asks, as often as it takes and is allowed; what fails after the first byte of the body is an error of the body's.
    ///
    /// One of the places for requests is taken until the body is dropped.
    pub async fn ask(&self, who: &Identity, mut ask: Ask) -> Result<Answer, UpstreamError> {
        self.ask_for_voucher(&mut ask);
        let answer = self.ask_in_name(who, &ask).await?;
        self.keep_voucher(&ask.route, &answer.headers);
        Ok(answer)
    }

    async fn ask_in_name(&self, who: &Identity, ask: &Ask) -> Result<Answer, UpstreamError> {
        let asker = match who {
            Identity::Anonymous => Asker::Anonymous,
            Identity::Edge => Asker::Edge(self.credentials.get().await),
            Identity::Caller(authorization) => Asker::Caller(authorization.clone()),
        };
        let error = match self.ask_as(&asker, ask).await {
            Ok(answer) => {
                self.lets_edge_in(&asker);
                return Ok(answer);
            }
            Err(error) => error,
        };
        if !matches!(asker, Asker::Edge(_)) {
            return Err(error);
        }
        if let UpstreamError::Setup { source, .. } = &error
            && matches!(**source, ClientError::ForeignRealm { .. })
        {
            if !self.has_warned.swap(true, Ordering::Relaxed) {
                tracing::warn!(upstream = %self.name, reason = %source, "the cache asks anonymously; token_realms can name that server");
            }
            return self.ask_as(&Asker::Anonymous, ask).await;
        }
        if error.status() == Some(StatusCode::UNAUTHORIZED) {
            self.credentials.doubt();
        }
        if may_be_public(&asker, ask, &error)
            && let Ok(answer) = self.ask_as(&Asker::Anonymous, ask).await
        {
            if !self.is_refused.swap(true, Ordering::Relaxed) {
                tracing::warn!(upstream = %self.name, reason = %error, "it refuses the cache's credentials what it gives to anybody");
            }
            return Ok(answer);
        }
        Err(error)
    }

    /// Notes that the edge's credentials are taken, so that it is said when they are not.
    fn lets_edge_in(&self, asker: &Asker) {
        if let Asker::Edge(Some(_)) = asker {
            self.is_refused.store(false, Ordering::Relaxed);
        }
    }

    pub(super) async fn ask_as(&self, asker: &Asker, ask: &Ask) -> Result<Answer, UpstreamError> {
        self.attempts(asker, ask, |endpoint| self.ask_at(endpoint, asker, ask)).await
    }

    /// Tries something that somebody asks at one address or the other, as often as it takes and is allowed.
    pub(super) async fn attempts<T, F>(
        &self,
        asker: &Asker,
        ask: &Ask,
        attempt: impl Fn(Arc<Endpoint>) -> F,
    ) -> Result<T, UpstreamError>
    where
        F: Future<Output = Result<T, UpstreamError>>,
    {
        let mut effort = Effort::new(self.endpoints.len(), self.settings.retry_timeout, Instant::now());
        let mut last = None;
        loop {
            let place = match self.choose(&mut effort, asker) {
                Ok(chosen) => chosen,
                Err(Closed::Held(wait, _)) if effort.may_wait(wait, Instant::now()) => {
                    // All who wait for the same moment come apart after it.
                    let apart = backoff::pause(1, self.settings.backoff_min, self.settings.backoff_max, backoff::part());
                    tokio::time::sleep(wait.saturating_add(apart)).await;
                    continue;
                }
                Err(closed) => return Err(last.unwrap_or_else(|| self.paused(closed.reason(), closed.wait()))),
            };
            let error = match attempt(self.endpoints[place].clone()).await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            self.note_failure(&self.endpoints[place], (asker, ask), &error, effort.blame(place));
            let pause = effort.go_on(place, &error, &self.settings, backoff::part(), Instant::now());
            let Some(pause) = pause else { return Err(error) };
            tracing::debug!(upstream = %self.name, %error, ?pause, "asking again");
            self.counts.retried();
            last = Some(error);
            tokio::time::sleep(pause).await;
        }
    }

    /// The address to ask now.
    fn choose(&self, effort: &mut Effort, asker: &Asker) -> Result<usize, Closed> {
        let mut shortest: Option<Closed> = None;
        for place in effort.order() {
            let admitted = self.endpoints[place].admit(asker, Instant::now());
            effort.visit(place);
            match admitted {
                Ok(()) => return Ok(place),
                Err(closed) => {
                    let is_shorter = shortest.is_none_or(|shortest| closed.wait() < shortest.wait());
                    shortest = if is_shorter { Some(closed) } else { shortest };
                }
            }
        }
        Err(shortest.expect("there is an address"))
    }

    async fn ask_at(&self, endpoint: Arc<Endpoint>, asker: &Asker, ask: &Ask) -> Result<Answer, UpstreamError> {
        // A stream of changes stays for as long as both sides do, and there is one; it would take its place from all others.
        let slot = if ask.route == Route::Events {
            None
        } else {
            Some(self.slots.take(ask.is_long()).await.ok_or_else(|| self.busy())?)
        };
        let (in_flight, begun) = (self.counts.begin(), Instant::now());
        let arrived = self.arrival(&endpoint, asker, ask).await;
        let outcome = match &arrived {
            Ok(arrived) if arrived.pulled.status == StatusCode::NOT_MODIFIED => "304",
            Ok(_) => "2xx",
            Err(error) => error.label(),
        };
        self.counts.answered(ask.route.label(), outcome, begun.elapsed().as_secs_f64());
        let arrived = arrived?;
        endpoint.answers(&self.counts);
        Ok(Answer::of(arrived, self, &endpoint, (slot, in_flight)))
    }

    /// The answer, with the first bytes of its body where it has one.
    async fn arrival(&self, endpoint: &Endpoint, asker: &Asker, ask: &Ask) -> Result<Arrived, UpstreamError> {
        let shows_certificate = endpoint.shows_certificate(asker);
        let failed = |error| UpstreamError::of(&self.name, error, shows_certificate);
        let Ask { method, route, query, mut headers } = ask.clone();
        Way::now().tell(&mut headers);
        let request = PullRequest { method, route, query, headers, shown: asker.shown() };
        let mut pulled = endpoint.client(asker).ask(&request).await.map_err(failed)?;
        let promised = scrutiny::promised(ask, pulled.status, &pulled.headers);
        let promised_bytes = promised.map_err(|reason| UpstreamError::Malformed { upstream: self.name.clone(), reason })?;
        let has_body = ask.method == Method::GET && pulled.status != StatusCode::NOT_MODIFIED;
        let first = if has_body { pulled.chunk().await.map_err(failed)? } else { None };
        Ok(Arrived { pulled, first, has_body, promised_bytes, blame: Blame::of(asker, ask) })
    }

    /// What becomes of an address that failed. One request's further attempts don't count against it.
    fn note_failure(&self, endpoint: &Arc<Endpoint>, (asker, ask): (&Asker, &Ask), error: &UpstreamError, is_first: bool) {
        let is_limit = error.status() == Some(StatusCode::TOO_MANY_REQUESTS);
        match error {
            UpstreamError::Paused { .. } => return,
            UpstreamError::Malformed { reason, .. } => {
                tracing::warn!(upstream = %self.name, address = %endpoint.address(), reason, "its answer is not taken");
            }
            _ => {}
        }
        if !error.is_away() {
            endpoint.answers(&self.counts);
        } else if is_first {
            let blame = error.may_be_of_one_thing().then(|| Blame::of(asker, ask));
            endpoint.fails(error, blame.as_ref(), &self.counts);
        }
        // That one thing is not to be had is no reason for others to wait.
        if let Some(wait) = error.retry_after().filter(|_| is_limit || (error.is_away() && endpoint.fails_widely())) {
            let why = if is_limit { Pause::Limited } else { Pause::Failing };
            // A limit is the registry's at either of its addresses.
            let held = if is_limit { self.endpoints.as_slice() } else { std::slice::from_ref(endpoint) };
            for endpoint in held {
                endpoint.hold(asker, wait, why, Instant::now());
            }
        }
    }

    /// More of it is wanted than there is room for.
    pub(super) fn busy(&self) -> UpstreamError {
        self.paused(Pause::Busy, BUSY)
    }

    /// It has said nothing for so long: to who can't wait it is away.
    pub(crate) fn silent(&self, waited: Duration) -> UpstreamError {
        self.paused(Pause::Failing, waited)
    }

    pub(super) fn paused(&self, reason: Pause, retry_after: Duration) -> UpstreamError {
        UpstreamError::Paused { upstream: self.name.clone(), reason, retry_after }
    }
}

/// Whether content that the edge's credentials are refused may be open to all: it is not lost to all where they have lapsed.
fn may_be_public(asker: &Asker, ask: &Ask, error: &UpstreamError) -> bool {
    matches!(asker, Asker::Edge(Some(_)))
        && matches!(error.status(), Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN))
        && matches!(ask.route, Route::Manifest(..) | Route::Blob(..) | Route::Metainfo(..))
}
