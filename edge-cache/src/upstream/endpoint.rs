use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use longshore_client::{ClientError, ClientOptions, Credentials, PullClient, RegistryUrl};

use super::{Pause, UpstreamError, UpstreamSettings, asker::Asker, blame::Blame, breaker::Breaker, metrics::Counts};

/// The longest time for which a registry is heeded that wants to be left alone.
const MOST_HELD: Duration = Duration::from_mins(5);

/// An address of an upstream, and how it does.
#[derive(Debug)]
pub(super) struct Endpoint {
    breaker: Breaker,
    /// For the edge itself, with its certificate where it has one.
    own: PullClient,
    /// For everybody else.
    bare: PullClient,
    shows_certificate: bool,
    /// The client of the edge's credentials, and which they are.
    signed: Mutex<Option<(Credentials, PullClient)>>,
    /// Whether it was told that it fails, since it last answered.
    is_told: AtomicBool,
    /// What it last failed with, whoever asked.
    last_failure: Mutex<Option<Arc<str>>>,
    /// Until when whose requests wait, by [`Asker::together`], and why.
    held: Mutex<[Option<(Instant, Pause)>; 2]>,
}

/// An address of an upstream that is left alone, for all or for some.
#[derive(Clone, Debug)]
pub struct LeftAlone {
    /// Which.
    pub address: RegistryUrl,
    /// For how long yet; zero where the next request finds out whether it is back.
    pub wait: Duration,
    /// Why, for people.
    pub reason: String,
}

/// How long nobody asks there, and why.
#[derive(Clone, Copy, Debug)]
pub(super) enum Closed {
    /// The registry asked for it.
    Held(Duration, Pause),
    /// It failed too often.
    Broken(Duration),
}

impl Endpoint {
    pub(super) fn new(address: &RegistryUrl, settings: &UpstreamSettings) -> Result<Self, ClientError> {
        let mut options = ClientOptions::new(address.clone());
        options.ca_file.clone_from(&settings.ca_file);
        options.allow_plain_http = settings.allow_plain_http;
        (options.connect_timeout, options.read_timeout) = (settings.connect_timeout, settings.read_timeout);
        let bare = PullClient::new(options.clone(), settings.token_realms.clone())?;
        let shows_certificate = settings.certificate.is_some() && address.is_https();
        let own = if shows_certificate {
            options.certificate.clone_from(&settings.certificate);
            PullClient::new(options, settings.token_realms.clone())?
        } else {
            bare.clone()
        };
        let breaker = Breaker::new(settings.breaker_failures, settings.breaker_pause);
        let (signed, last_failure, held) = (Mutex::default(), Mutex::default(), Mutex::default());
        Ok(Self { breaker, own, bare, shows_certificate, signed, is_told: AtomicBool::new(false), last_failure, held })
    }

    pub(super) fn address(&self) -> &RegistryUrl {
        self.bare.registry()
    }

    /// The client that asks for somebody.
    pub(super) fn client(&self, asker: &Asker) -> PullClient {
        match asker {
            Asker::Anonymous | Asker::Caller(_) => self.bare.clone(),
            Asker::Nobody | Asker::Edge(None) => self.own.clone(),
            Asker::Edge(Some(credentials)) => {
                let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
                match &*signed {
                    Some((known, client)) if known == credentials => client.clone(),
                    _ => {
                        let client = self.own.with_credentials(Some(credentials.clone()));
                        signed.insert((credentials.clone(), client)).1.clone()
                    }
                }
            }
        }
    }

    /// Whether the edge's certificate is shown for somebody.
    pub(super) fn shows_certificate(&self, asker: &Asker) -> bool {
        self.shows_certificate && matches!(asker, Asker::Nobody | Asker::Edge(_))
    }

    /// Whether somebody may ask now, which they then do.
    pub(super) fn admit(&self, asker: &Asker, now: Instant) -> Result<(), Closed> {
        if let Some(together) = asker.together()
            && let Some((until, why)) = self.held.lock().unwrap_or_else(PoisonError::into_inner)[together]
            && until > now
        {
            return Err(Closed::Held(until - now, why));
        }
        self.breaker.admit(now).map_err(Closed::Broken)
    }

    /// It answered, whatever it was.
    pub(super) fn answers(&self, counts: &Counts) {
        if self.breaker.answered() {
            counts.paused(&self.address().to_string(), false);
            self.is_told.store(false, Ordering::Relaxed);
            tracing::info!(upstream = counts.upstream(), address = %self.address(), "it answers again");
        }
    }

    /// Notes that it is left alone; whether that is news, and not that it was tried again in vain.
    fn is_news(&self) -> bool {
        !self.is_told.swap(true, Ordering::Relaxed)
    }

    /// It failed; `blame` is what that may be of alone, where it is not of the address.
    pub(super) fn fails(&self, error: &UpstreamError, blame: Option<&Blame>, counts: &Counts) {
        let now = Instant::now();
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string().into());
        let opens = match blame {
            Some(blame) => self.breaker.failed_at(blame.each(), now),
            None => self.breaker.failed(now),
        };
        counts.paused(&self.address().to_string(), self.breaker.is_open());
        if opens && self.is_news() {
            tracing::warn!(upstream = counts.upstream(), address = %self.address(), %error, "it fails, and is left alone for now");
        } else if opens {
            tracing::debug!(upstream = counts.upstream(), address = %self.address(), %error, "it still fails");
        }
    }

    /// What it last failed with, as far as that counted against it.
    pub(super) fn last_failure(&self) -> Option<Arc<str>> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it is left alone, and for what it is so the longest.
    pub(super) fn left_alone(&self, now: Instant) -> Option<LeftAlone> {
        let failure = || self.last_failure().map_or_else(|| Pause::Failing.to_string(), |failure| failure.to_string());
        let held = *self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = held.into_iter().zip(["without credentials", "with the cache's credentials"]).filter_map(|(held, who)| {
            let (until, why) = held.filter(|(until, _)| *until > now)?;
            let reason = if why == Pause::Limited { format!("it limits requests {who}") } else { failure() };
            Some((until - now, reason))
        });
        let broken = self.breaker.open_for(now).map(|wait| (wait, failure()));
        let (wait, reason) = broken.into_iter().chain(held).max_by_key(|(wait, _)| *wait)?;
        Some(LeftAlone { address: self.address().clone(), wait, reason })
    }

    /// Whether more than one thing failed there since it last did all that it was asked.
    pub(super) fn fails_widely(&self) -> bool {
        self.breaker.fails_widely()
    }

    /// It did all that it was asked.
    pub(super) fn succeeds(&self) {
        self.breaker.succeeded();
    }

    /// Has all who ask together with somebody wait.
    pub(super) fn hold(&self, asker: &Asker, wait: Duration, why: Pause, now: Instant) {
        if let Some(together) = asker.together() {
            let held = &mut self.held.lock().unwrap_or_else(PoisonError::into_inner)[together];
            let until = now + wait.min(MOST_HELD);
            if held.is_none_or(|(longest, _)| longest < until) {
                *held = Some((until, why));
            }
        }
    }
}

impl Closed {
    pub(super) fn wait(self) -> Duration {
        match self {
            Self::Held(wait, _) | Self::Broken(wait) => wait,
        }
    }

    pub(super) fn reason(self) -> Pause {
        match self {
            Self::Held(_, why) => why,
            Self::Broken(_) => Pause::Failing,
        }
    }
}

#[cfg(test)]
mod tests {
    use longshore_service::metrics::Metrics;

    use super::*;
    use crate::upstream::UpstreamMetrics;

    #[test]
    fn what_it_failed_with_is_known_while_it_is_left_alone() {
        let url = RegistryUrl::parse("http://127.0.0.1:1", false).unwrap();
        let settings = UpstreamSettings { breaker_failures: 1, ..UpstreamSettings::new("up", url) };
        let endpoint = Endpoint::new(&settings.url.api(), &settings).unwrap();
        assert!(endpoint.last_failure().is_none());
        let error = UpstreamError::Malformed { upstream: "up".into(), reason: "it is a page".to_owned() };
        endpoint.fails(&error, None, &UpstreamMetrics::new(&Metrics::new()).of("up".into()));
        assert!(matches!(endpoint.admit(&Asker::Nobody, Instant::now()), Err(Closed::Broken(_))));
        assert_eq!(endpoint.last_failure().as_deref(), Some(error.to_string().as_str()));
        let left = endpoint.left_alone(Instant::now()).expect("it failed");
        assert!(left.wait > Duration::ZERO && left.wait <= settings.breaker_pause, "{left:?}");
        assert_eq!((left.address, left.reason), (settings.url, error.to_string()));
    }

    #[test]
    fn that_it_fails_is_news_once_until_it_answers() {
        let url = RegistryUrl::parse("http://127.0.0.1:1", false).unwrap();
        let pause = Duration::from_nanos(1);
        let settings = UpstreamSettings { breaker_failures: 1, breaker_pause: pause, ..UpstreamSettings::new("up", url) };
        let endpoint = Endpoint::new(&settings.url, &settings).unwrap();
        let counts = UpstreamMetrics::new(&Metrics::new()).of("up".into());
        let error = UpstreamError::Malformed { upstream: "up".into(), reason: "it is a page".to_owned() };
        let is_told = || endpoint.is_told.load(Ordering::Relaxed);
        assert!(!is_told());
        endpoint.fails(&error, None, &counts);
        assert!(is_told() && !endpoint.is_news(), "the next time is no news");
        std::thread::sleep(Duration::from_millis(1));
        endpoint.admit(&Asker::Nobody, Instant::now()).expect("it may be tried again");
        endpoint.fails(&error, None, &counts);
        assert!(is_told());
        std::thread::sleep(Duration::from_millis(1));
        endpoint.admit(&Asker::Nobody, Instant::now()).expect("it may be tried again");
        endpoint.answers(&counts);
        assert!(!is_told(), "it answered, so that the next failure is news");
    }

    #[test]
    fn what_it_asked_for_is_told_with_whom_it_is_of() {
        let url = RegistryUrl::parse("http://127.0.0.1:1", false).unwrap();
        let settings = UpstreamSettings::new("up", url);
        let (endpoint, now) = (Endpoint::new(&settings.url, &settings).unwrap(), Instant::now());
        assert!(endpoint.left_alone(now).is_none());
        endpoint.hold(&Asker::Nobody, Duration::from_secs(7), Pause::Limited, now);
        let left = endpoint.left_alone(now).expect("it asked for it");
        assert_eq!((left.wait.as_secs(), left.reason.as_str()), (7, "it limits requests without credentials"));
        assert!(endpoint.left_alone(now + Duration::from_secs(7)).is_none());
    }
}
