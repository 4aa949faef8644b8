//! The keys that a registry of ours publishes, by which it is also known to be one.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderValue, StatusCode, header};
use longshore_oci::Route;
use longshore_service::signing::{InvalidSignature, KeySet};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::{Ask, Kind, Pause, Upstream, UpstreamError, asker::Asker, backoff};
use crate::{
    via::{MOST_HOPS, Way},
    vouching::edge_key,
};

/// How long it holds what an upstream is.
const KEPT: Duration = Duration::from_mins(10);
/// The answers of a registry that has no such thing.
const SAY_NONE: [StatusCode; 4] =
    [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
/// The same where a page for people came, which may be of something in between.
const KEPT_IN_DOUBT: Duration = Duration::from_secs(30);
/// How often keys are asked for again since one is not known.
const RENEWED_AFTER: Duration = Duration::from_secs(10);
/// How long nobody asks after a first failure to find out, at the longest; twice as long after each further one.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
/// The same after any failure.
const MOST_PAUSE: Duration = Duration::from_secs(10);
/// How long finding out may take, all attempts together.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest set of keys.
const MOST_BYTES: usize = 1 << 20;

/// What an upstream was found to be.
#[derive(Debug)]
pub(super) struct Published {
    state: Mutex<State>,
    /// One asks for all who came through as many caches of ours: see [`Single`](crate::single::Single).
    turns: [Semaphore; MOST_HOPS],
}

#[derive(Clone, Debug, Default)]
struct State {
    found: Option<Found>,
    /// That it could not be found out since then.
    failed: Option<Failed>,
    /// When a key was last not known.
    renewed_at: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Found {
    /// None where it is not one of ours.
    keys: Option<Arc<KeySet>>,
    at: Instant,
    until: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Failed {
    /// How often in a row.
    times: u32,
    at: Instant,
    /// Until when nobody asks again.
    until: Instant,
}

impl Default for Published {
    fn default() -> Self {
        Self { state: Mutex::default(), turns: std::array::from_fn(|_| Semaphore::new(1)) }
    }
}

impl Published {
    /// Takes up keys that were fetched before this process began. They are asked for anew where somebody can be asked.
    pub(super) fn take_up(&self, keys: KeySet) {
        let now = Instant::now();
        let mut state = self.lock();
        if state.found.is_none() {
            state.succeed(Some(Arc::new(keys)), Duration::ZERO, now);
        }
    }

    fn state(&self) -> State {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is known; none where it is not one of ours, or that is not known.
    fn keys(&self) -> Option<Arc<KeySet>> {
        self.found.as_ref()?.keys.clone()
    }

    /// Whether what was found holds.
    fn is_fresh(&self, now: Instant) -> bool {
        self.found.as_ref().is_some_and(|found| now < found.until)
    }

    /// Whether nobody needs to ask who wants to know since then: another has asked, in vain or not, or has in vain a moment ago.
    fn is_asked(&self, since: Instant, now: Instant) -> bool {
        self.found.as_ref().is_some_and(|found| found.at >= since)
            || self.failed.is_some_and(|failed| failed.at >= since || now < failed.until)
    }

    /// How long it stays open what it is; `None` where that is known, or nobody has asked.
    fn doubt(&self, now: Instant) -> Option<Duration> {
        let is_sure = |found: &Found| found.keys.is_some() || found.until.saturating_duration_since(found.at) >= KEPT;
        match (&self.found, self.failed) {
            (Some(found), _) if is_sure(found) => None,
            (_, Some(failed)) => Some(failed.until.saturating_duration_since(now)),
            (Some(found), None) => Some(found.until.saturating_duration_since(now)),
            (None, None) => None,
        }
    }

    /// It was found out.
    fn succeed(&mut self, keys: Option<Arc<KeySet>>, kept: Duration, now: Instant) {
        (self.found, self.failed) = (Some(Found { keys, at: now, until: now + kept }), None);
    }

    /// It could not be, for how many times in a row by now; `part`, from 0 to 1, is by chance.
    fn fail(&mut self, now: Instant, part: f64) -> u32 {
        let times = self.failed.map_or(0, |failed| failed.times).saturating_add(1);
        let pause = backoff::pause(times, LEAST_PAUSE, MOST_PAUSE, 0.5 + part / 2.0);
        self.failed = Some(Failed { times, at: now, until: now + pause });
        times
    }

    /// Whether keys may be asked for again, which is then done.
    fn may_renew(&mut self, now: Instant) -> bool {
        let may = self.renewed_at.is_none_or(|at| now.saturating_duration_since(at) >= RENEWED_AFTER);
        self.renewed_at = if may { Some(now) } else { self.renewed_at };
        may
    }
}

impl Upstream {
    /// Whether it is one of ours: by its settings, or by the keys that it publishes. What was found out holds for ten minutes;
    /// while it can't be reached what was known before does, and where nothing was it counts as another.
    pub async fn is_longshore(&self) -> bool {
        self.find_kind().await.unwrap_or_default()
    }

    /// The same; an error where that could not be found out, which says how soon it is tried again.
    pub async fn find_kind(&self) -> Result<bool, UpstreamError> {
        match self.settings.kind {
            Kind::Longshore => Ok(true),
            Kind::Other => Ok(false),
            Kind::Auto => {
                self.look_up().await?;
                let known = self.published.state();
                match known.doubt(Instant::now()) {
                    Some(wait) => Err(self.paused(Pause::Failing, wait)),
                    None => Ok(known.keys().is_some()),
                }
            }
        }
    }

    /// The keys that it publishes; none where it is not one of ours, or never could be asked.
    pub async fn keys(&self) -> Option<Arc<KeySet>> {
        self.look_up().await.unwrap_or_else(|_| self.published.state().keys())
    }

    /// The same; an error where nothing is known, and it says that who asks goes round in a circle, which says nothing of others.
    async fn look_up(&self) -> Result<Option<Arc<KeySet>>, UpstreamError> {
        if self.settings.kind == Kind::Other {
            return Ok(None);
        }
        let (known, now) = (self.published.state(), Instant::now());
        if known.is_fresh(now) || known.is_asked(now, now) { Ok(known.keys()) } else { self.find(now).await }
    }

    /// What was signed by one of its keys as a statement of this kind; a key that is not known is asked for, once in ten seconds
    /// at most. `None` where it has no keys.
    pub async fn check<S: DeserializeOwned>(&self, kind: &'static str, signed: &str) -> Option<Result<S, InvalidSignature>> {
        let keys = self.keys().await?;
        let checked = keys.check(kind, signed);
        let now = Instant::now();
        if !matches!(checked, Err(InvalidSignature::UnknownKey(_))) || !self.published.lock().may_renew(now) {
            return Some(checked);
        }
        Some(match self.find(now).await {
            Ok(Some(keys)) => keys.check(kind, signed),
            _ => checked,
        })
    }

    /// The same by the keys that are known now; nothing is asked.
    pub fn check_known<S: DeserializeOwned>(&self, kind: &'static str, signed: &str) -> Option<Result<S, InvalidSignature>> {
        Some(self.published.state().keys()?.check(kind, signed))
    }

    /// Asks what it is, unless somebody else has since then, or has in vain a moment ago: all who wait get what came of the one
    /// request.
    async fn find(&self, since: Instant) -> Result<Option<Arc<KeySet>>, UpstreamError> {
        let _turn = self.published.turns[Way::now().hops()].acquire().await;
        let known = self.published.state();
        if known.is_asked(since, Instant::now()) {
            return Ok(known.keys());
        }
        let reason = match tokio::time::timeout(PATIENCE, self.fetch_keys()).await {
            Ok(Ok((keys, kept))) => {
                self.published.lock().succeed(keys.clone(), kept, Instant::now());
                if let Some(statements) = self.statements.get() {
                    statements.put_keys(&self.key, keys.as_deref());
                }
                return Ok(keys);
            }
            Ok(Err(error)) if error.is_loop() => return if known.found.is_some() { Ok(known.keys()) } else { Err(error) },
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("they did not come within {} s", PATIENCE.as_secs()),
        };
        // Told once until it succeeds: it is tried for as long as the registry is away.
        if self.published.lock().fail(Instant::now(), backoff::part()) == 1 {
            tracing::warn!(upstream = %self.name, reason, "the keys of a registry could not be asked for");
        } else {
            tracing::debug!(upstream = %self.name, reason, "the keys of a registry could still not be asked for");
        }
        Ok(known.keys())
    }

    /// The keys, and how long they hold; none where it is not one of ours.
    async fn fetch_keys(&self) -> Result<(Option<Arc<KeySet>>, Duration), UpstreamError> {
        let mut ask = Ask::get(Route::Keys);
        ask.headers.insert(header::ACCEPT, HeaderValue::from_static("application/jwk-set+json, application/json"));
        let mut edge = None;
        let read = match self.ask_as(&Asker::Nobody, &ask).await {
            Ok(answer) => {
                edge = edge_key(&answer.headers).map(str::to_owned);
                answer.read(MOST_BYTES).await
            }
            Err(error) => Err(error),
        };
        match read {
            Ok(body) => {
                let keys: Option<KeySet> = serde_json::from_slice(&body).ok();
                let kept = if keys.is_some() { KEPT } else { KEPT_IN_DOUBT };
                // An edge's own key is not that of the registry behind it, if there is one of ours at all.
                let keys = match edge {
                    Some(id) => keys.map(|keys| keys.without(&id)).filter(|keys| !keys.is_empty()),
                    None => keys,
                };
                Ok((keys.map(Arc::new), kept))
            }
            Err(UpstreamError::Malformed { .. }) => Ok((None, KEPT_IN_DOUBT)),
            Err(error) if error.status().is_some_and(|status| SAY_NONE.contains(&status)) => Ok((None, KEPT)),
            // What is wrong with the question may be in between, too.
            Err(error) if error.status().is_some_and(|status| status.is_client_error()) && !error.is_passing() => {
                Ok((None, KEPT_IN_DOUBT))
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_remembered_for_longer_each_time() {
        let (mut state, begin) = (State::default(), Instant::now());
        for (before, seconds) in [1, 2, 4, 8, 10, 10].into_iter().enumerate() {
            assert_eq!(state.fail(begin, 1.0) as usize, before + 1, "the first is told");
            assert_eq!(state.doubt(begin), Some(Duration::from_secs(seconds)));
        }
        state.succeed(None, KEPT, begin);
        assert_eq!(state.fail(begin, 0.0), 1, "and so is the first after a success");
        let pause = LEAST_PAUSE / 2;
        assert!(state.is_asked(begin + pause / 2, begin + pause / 2) && !state.is_asked(begin + pause, begin + pause));
        let late = begin + MOST_PAUSE;
        state.fail(late, 0.0);
        assert!(state.is_asked(late, late + MOST_PAUSE), "who waited meanwhile has its outcome");
    }

    #[test]
    fn what_was_found_holds_whatever_fails() {
        let (mut state, begin) = (State::default(), Instant::now());
        assert!(state.doubt(begin).is_none() && !state.is_fresh(begin) && !state.is_asked(begin, begin));
        state.succeed(None, KEPT_IN_DOUBT, begin);
        assert_eq!(state.doubt(begin), Some(KEPT_IN_DOUBT), "a page for people says little");
        state.succeed(Some(Arc::new(KeySet::from_iter([]))), KEPT, begin);
        assert!(state.is_fresh(begin) && !state.is_fresh(begin + KEPT));
        state.fail(begin + KEPT, 1.0);
        assert!(state.keys().is_some() && state.doubt(begin + KEPT).is_none());
    }
}
