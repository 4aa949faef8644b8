use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use longshore_service::{
    fetch::{FetchError, fetch, is_on_loopback, is_secure},
    signing::{InvalidIdentity, IssuerKeys},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::Issuer;
use crate::state::IssuerTrust;

/// The longest document that is read, in bytes.
const MOST_BYTES: usize = 256 << 10;
/// How long an issuer has to tell its keys.
const DEADLINE: Duration = Duration::from_secs(10);
/// How many wait for one issuer's keys; more are sent away.
const MOST_WAITING: usize = 64;

/// How old keys may be.
#[derive(Clone, Copy, Debug)]
struct Ages {
    /// So old they are taken as they are.
    fresh: Duration,
    /// So old they are taken where newer ones can't be had.
    stale: Duration,
    /// The least time between two attempts to get them.
    pause: Duration,
    /// How long is waited for newer ones where there are some.
    patience: Duration,
}

const AGES: Ages = Ages {
    fresh: Duration::from_hours(1),
    stale: Duration::from_hours(24),
    pause: Duration::from_secs(10),
    patience: Duration::from_secs(5),
};

/// Why a token of an issuer was not taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyringError {
    /// There is nothing to check it by, for the time being; why.
    #[error("{0}")]
    Unavailable(String),
    /// It is not good.
    #[error(transparent)]
    Invalid(#[from] InvalidIdentity),
}

/// The keys of issuers: asked for when they are needed, kept, and asked for again when they are old, or one is not among them.
pub struct Keyring {
    ages: Ages,
    all: Mutex<HashMap<String, Arc<Held>>>,
}

/// One issuer's.
struct Held {
    ages: Ages,
    source: Source,
    keys: ArcSwapOption<Fetched>,
    /// When they were last asked for, and why they could not be had if they could not; held by who asks.
    attempt: tokio::sync::Mutex<Option<(Instant, Option<String>)>>,
    waiting: Arc<Semaphore>,
}

/// Where keys come from.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Source {
    url: String,
    jwks_url: Option<String>,
    authorities: Option<String>,
}

struct Fetched {
    keys: IssuerKeys,
    at: Instant,
}

impl Default for Keyring {
    fn default() -> Self {
        Self { ages: AGES, all: Mutex::default() }
    }
}

impl Keyring {
    /// What a token says, where the issuer has signed it.
    pub async fn check(&self, issuer: &Issuer, text: &str) -> Result<Map<String, Value>, KeyringError> {
        if let Some(keys) = issuer.fixed_keys() {
            return Ok(issuer.check(keys, text)?);
        }
        let held = self.of(issuer.name(), issuer.trust());
        let known = held.known();
        if let Some(fetched) = known.as_ref().filter(|fetched| fetched.at.elapsed() < self.ages.fresh) {
            let outcome = issuer.check(&fetched.keys, text);
            if !matches!(outcome, Err(InvalidIdentity::UnknownKey(_) | InvalidIdentity::NoKey)) {
                return Ok(outcome?);
            }
        }
        let newer = held.newer(known).await?;
        Ok(issuer.check(&newer.keys, text)?)
    }

    fn of(&self, name: &str, trust: &IssuerTrust) -> Arc<Held> {
        let source =
            Source { url: trust.url.clone(), jwks_url: trust.jwks_url.clone(), authorities: trust.ca_certificates.clone() };
        let mut all = self.all.lock().expect("nobody panics with it");
        if let Some(held) = all.get(name).filter(|held| held.source == source) {
            return held.clone();
        }
        let held = Arc::new(Held {
            ages: self.ages,
            source,
            keys: ArcSwapOption::empty(),
            attempt: tokio::sync::Mutex::default(),
            waiting: Arc::new(Semaphore::new(MOST_WAITING)),
        });
        all.insert(name.to_owned(), held.clone());
        held
    }

    /// Forgets those of issuers that are gone.
    pub fn keep(&self, is_there: impl Fn(&str) -> bool) {
        self.all.lock().expect("nobody panics with it").retain(|name, _| is_there(name));
    }
}

impl Held {
    /// The keys, where they are not too old to be taken.
    fn known(&self) -> Option<Arc<Fetched>> {
        self.keys.load_full().filter(|fetched| fetched.at.elapsed() < self.ages.stale)
    }

    /// The keys, asked for where they were not just now; those that are known where newer ones can't be had.
    async fn newer(self: Arc<Self>, known: Option<Arc<Fetched>>) -> Result<Arc<Fetched>, KeyringError> {
        let Ok(place) = self.waiting.clone().try_acquire_owned() else {
            return known.ok_or_else(|| KeyringError::Unavailable("too many wait for them".to_owned()));
        };
        let (this, seen) = (self.clone(), known.as_ref().map(|fetched| fetched.at));
        // Seen through though the caller hangs up: else whoever does so again and again keeps everybody from the keys.
        let renewing = tokio::spawn(async move {
            let _place = place;
            let mut attempt = this.attempt.lock().await;
            this.renew(&mut attempt, seen).await
        });
        let patience = if known.is_some() { self.ages.patience } else { 2 * DEADLINE };
        let failure = match tokio::time::timeout(patience, renewing).await {
            Ok(Ok(failure)) => failure.unwrap_or_default(),
            _ => "its answer takes too long".to_owned(),
        };
        self.known().ok_or(KeyringError::Unavailable(failure))
    }

    /// Asks for the keys, where nobody has since those that were seen. Why they could not be had, if they could not.
    async fn renew(&self, attempt: &mut Option<(Instant, Option<String>)>, seen: Option<Instant>) -> Option<String> {
        let is_newer = self.known().is_some_and(|fetched| Some(fetched.at) != seen);
        let is_too_soon = attempt.as_ref().is_some_and(|(at, _)| at.elapsed() < self.ages.pause);
        if is_newer || is_too_soon {
            return attempt.as_ref().and_then(|(_, failure)| failure.clone());
        }
        let asked = tokio::time::timeout(DEADLINE, self.source.keys()).await;
        let failure = match asked.unwrap_or_else(|_| Err(format!("no answer in {} s", DEADLINE.as_secs()))) {
            Ok(keys) => {
                self.keys.store(Some(Arc::new(Fetched { keys, at: Instant::now() })));
                None
            }
            Err(reason) => {
                tracing::warn!(issuer = self.source.url, reason, "the keys of an issuer can't be had");
                Some(reason)
            }
        };
        // From its end: those who waited for one that took long are not each to wait for another.
        *attempt = Some((Instant::now(), failure.clone()));
        failure
    }
}

impl Source {
    async fn keys(&self) -> Result<IssuerKeys, String> {
        let url = match &self.jwks_url {
            Some(url) => url.clone(),
            None => self.discover().await?,
        };
        let set = self.fetch(&url).await.map_err(|error| error.to_string())?;
        let keys = IssuerKeys::read(&set).map_err(|error| format!("{url}: {error}"))?;
        if keys.is_empty() { Err(format!("{url} has no key that signatures can be checked with")) } else { Ok(keys) }
    }

    /// Where the issuer says its keys are (OpenID Connect Discovery).
    async fn discover(&self) -> Result<String, String> {
        #[derive(Deserialize)]
        struct Configuration {
            issuer: String,
            jwks_uri: String,
        }
        let url = format!("{}/.well-known/openid-configuration", self.url.trim_end_matches('/'));
        let document = self.fetch(&url).await.map_err(|error| error.to_string())?;
        let Configuration { issuer, jwks_uri } = serde_json::from_slice(&document).map_err(|error| format!("{url}: {error}"))?;
        if issuer != self.url {
            return Err(format!("{url} is of the issuer {issuer:?}"));
        }
        // What is not on this machine has no word on what this machine asks of itself.
        if !is_secure(&jwks_uri) || (is_on_loopback(&jwks_uri) && !is_on_loopback(&self.url)) {
            return Err(format!("{url} has its keys at {jwks_uri:?}, which is not https elsewhere"));
        }
        Ok(jwks_uri)
    }

    async fn fetch(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        fetch(url, self.authorities.as_deref(), MOST_BYTES).await
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use jiff::Timestamp;
    use longshore_service::signing::{KeySet, SigningKey};
    use serde_json::json;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;
    use crate::state::{IssuerVersions, StoredIssuer};

    /// An issuer's server: what it publishes can be changed, and taken away.
    struct Server {
        url: String,
        published: Arc<Mutex<Option<String>>>,
        asked: Arc<AtomicUsize>,
    }

    impl Server {
        async fn start() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let (published, asked) = (Arc::new(Mutex::new(None::<String>)), Arc::new(AtomicUsize::new(0)));
            let (content, count) = (published.clone(), asked.clone());
            tokio::spawn(async move {
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let mut head = [0; 2048];
                    assert_ne!(stream.read(&mut head).await.unwrap(), 0);
                    count.fetch_add(1, Ordering::Relaxed);
                    let body = content.lock().unwrap().clone();
                    let (status, body) = body.map_or(("503 Busy", String::new()), |body| ("200 OK", body));
                    let answer =
                        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
            Self { url, published, asked }
        }

        fn publish(&self, keys: &[&SigningKey]) {
            let set: KeySet = keys.iter().map(|key| key.public()).collect();
            *self.published.lock().unwrap() = Some(serde_json::to_string(&set).unwrap());
        }

        fn fall_silent(&self) {
            *self.published.lock().unwrap() = None;
        }

        fn issuer(&self) -> Issuer {
            let trust = json!({ "url": self.url, "audiences": ["here"], "jwksUrl": format!("{}/keys", self.url) });
            Issuer::compile(StoredIssuer {
                name: "i".into(),
                trust: serde_json::from_value(trust).unwrap(),
                versions: IssuerVersions { issuer: 1, rules: BTreeMap::new() },
                revision: 1,
                created_at: Timestamp::UNIX_EPOCH,
                changed_at: Timestamp::UNIX_EPOCH,
            })
        }

        fn token(&self, key: &SigningKey) -> String {
            let end = Timestamp::now().as_second() + 300;
            key.sign("JWT", &json!({ "iss": self.url, "sub": "s", "aud": "here", "exp": end }))
        }
    }

    fn keyring(fresh: u64, stale: u64, pause: u64) -> Keyring {
        let milliseconds = Duration::from_millis;
        let patience = Duration::from_secs(5);
        let ages = Ages { fresh: milliseconds(fresh), stale: milliseconds(stale), pause: milliseconds(pause), patience };
        Keyring { ages, all: Mutex::default() }
    }

    const LONG: u64 = 60_000;

    #[tokio::test]
    async fn a_key_that_was_withdrawn_is_taken_while_it_is_fresh_alone() {
        let (server, old, new) = (Server::start().await, SigningKey::generate().0, SigningKey::generate().0);
        server.publish(&[&old]);
        let (issuer, keyring) = (server.issuer(), keyring(200, LONG, 1));
        assert!(keyring.check(&issuer, &server.token(&old)).await.is_ok());
        server.publish(&[&new]);
        assert!(keyring.check(&issuer, &server.token(&old)).await.is_ok(), "nobody has asked since");
        tokio::time::sleep(Duration::from_millis(250)).await;
        let refused = keyring.check(&issuer, &server.token(&old)).await;
        assert!(matches!(refused, Err(KeyringError::Invalid(InvalidIdentity::UnknownKey(_)))), "{refused:?}");
        assert!(keyring.check(&issuer, &server.token(&new)).await.is_ok());
    }

    #[tokio::test]
    async fn known_keys_do_until_they_are_stale_and_are_asked_for_again_then() {
        let (server, key) = (Server::start().await, SigningKey::generate().0);
        server.publish(&[&key]);
        let (issuer, keyring) = (server.issuer(), keyring(1, 600, 1));
        assert!(keyring.check(&issuer, &server.token(&key)).await.is_ok());
        server.fall_silent();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(keyring.check(&issuer, &server.token(&key)).await.is_ok(), "where newer ones can't be had");
        tokio::time::sleep(Duration::from_millis(650)).await;
        let refused = keyring.check(&issuer, &server.token(&key)).await;
        assert!(matches!(&refused, Err(KeyringError::Unavailable(reason)) if reason.contains("503")), "{refused:?}");
        server.publish(&[&key]);
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(keyring.check(&issuer, &server.token(&key)).await.is_ok(), "it is there again");
    }

    #[tokio::test]
    async fn keys_that_nobody_knows_have_an_issuer_asked_once_in_a_while() {
        let (server, key) = (Server::start().await, SigningKey::generate().0);
        server.publish(&[&key]);
        let (issuer, keyring) = (server.issuer(), keyring(LONG, LONG, LONG));
        for _ in 0..20 {
            let refused = keyring.check(&issuer, &server.token(&SigningKey::generate().0)).await;
            assert!(matches!(refused, Err(KeyringError::Invalid(InvalidIdentity::UnknownKey(_)))), "{refused:?}");
        }
        assert_eq!(server.asked.load(Ordering::Relaxed), 1);
        assert!(keyring.check(&issuer, &server.token(&key)).await.is_ok());
    }
}
