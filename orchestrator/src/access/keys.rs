//! The keys by which the registry signs its tokens, so that they are checked without asking it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderMap, Method};
use longshore_client::{PullClient, PullRequest, Shown};
use longshore_oci::Route;
use longshore_service::signing::{InvalidSignature, KeySet};
use serde::de::DeserializeOwned;

/// How long keys hold before they are asked for again.
const KEPT: Duration = Duration::from_mins(10);
/// How often they are asked for at most: again since one was not known, or since they could not be had.
const PAUSE: Duration = Duration::from_secs(5);
/// How long the registry may take to send them.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest set of keys, in bytes.
const MOST_BYTES: usize = 1 << 20;

/// The registry's keys. While it can't be asked, those that were known hold.
#[derive(Debug)]
pub(super) struct RegistryKeys {
    client: PullClient,
    known: Mutex<Known>,
    /// One asks for all.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    keys: Option<Arc<KeySet>>,
    fresh_until: Option<Instant>,
    asked_at: Option<Instant>,
}

impl Known {
    fn is_fresh(&self, now: Instant) -> bool {
        self.fresh_until.is_some_and(|until| now < until)
    }

    fn may_ask(&self, now: Instant) -> bool {
        self.asked_at.is_none_or(|at| now.saturating_duration_since(at) >= PAUSE)
    }
}

impl RegistryKeys {
    /// Those of a registry, which this one asks.
    pub(super) fn new(client: PullClient) -> Self {
        Self { client, known: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// What was signed by one of them as a statement of this kind; one that is not known is asked for. `None` where none could ever be had.
    pub(super) async fn check<S: DeserializeOwned>(
        &self,
        kind: &'static str,
        signed: &str,
    ) -> Option<Result<S, InvalidSignature>> {
        let now = Instant::now();
        let known = self.lock().clone();
        let keys = if known.is_fresh(now) { known.keys } else { self.renew(now).await };
        let checked = keys?.check(kind, signed);
        if !matches!(checked, Err(InvalidSignature::UnknownKey(_))) {
            return Some(checked);
        }
        Some(self.renew(now).await?.check(kind, signed))
    }

    /// Asks for them, unless somebody has a moment ago; what is known afterwards.
    async fn renew(&self, since: Instant) -> Option<Arc<KeySet>> {
        let _turn = self.turn.lock().await;
        let known = self.lock().clone();
        let now = Instant::now();
        if known.asked_at.is_some_and(|at| at >= since) || !known.may_ask(now) {
            return known.keys;
        }
        self.lock().asked_at = Some(now);
        match tokio::time::timeout(TIMEOUT, self.fetch()).await {
            Ok(Ok(keys)) => {
                let mut known = self.lock();
                known.keys = Some(Arc::new(keys));
                known.fresh_until = Some(now + KEPT);
            }
            Ok(Err(reason)) => tracing::warn!(reason, "the registry's keys could not be had"),
            Err(_) => tracing::warn!(reason = "it did not answer in time", "the registry's keys could not be had"),
        }
        self.lock().keys.clone()
    }

    async fn fetch(&self) -> Result<KeySet, String> {
        let request = PullRequest {
            method: Method::GET,
            route: Route::Keys,
            query: None,
            headers: HeaderMap::new(),
            shown: Shown::Nothing,
        };
        let mut answer = self.client.ask(&request).await.map_err(|error| error.to_string())?;
        let mut content = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
            if content.len() + chunk.len() > MOST_BYTES {
                return Err(format!("they are longer than {MOST_BYTES} bytes"));
            }
            content.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&content).map_err(|error| error.to_string())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
