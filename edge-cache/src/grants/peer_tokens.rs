//! Tokens by which this node shows its neighbours in a swarm what it may pull: of the cache's own account at an upstream, bound to its peer
//! id. One is asked for before half of its time is over, so that it still holds for the other half where the upstream is away.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::StatusCode;
use jiff::Timestamp;
use longshore_client::{Refusal, Secret};
use longshore_oci::RepositoryName;
use moka::sync::Cache;
use serde_json::Value;

use super::{
    Grants, Place,
    peers::PATIENCE,
    token::{self, Checked},
};
use crate::{
    single::Single,
    upstream::{Pause, Upstream, UpstreamError},
};

/// How long it is remembered that none is given.
const NONE_FOR: Duration = Duration::from_secs(30);
/// How long nobody asks for one after that has failed.
const AGAIN: Duration = Duration::from_secs(10);
/// How many are remembered.
const MOST: u64 = 10_000;
/// How long each is, at most: no registry of ours gives one that holds for longer.
const LONGEST: Duration = Duration::from_hours(24);

/// What a neighbour is shown.
#[derive(Clone, Debug)]
pub struct PeerToken {
    /// The token.
    pub text: Secret,
    /// When it ends.
    pub until: Timestamp,
}

/// What comes of asking for one.
type Outcome = Result<Option<PeerToken>, UpstreamError>;
/// A repository, and the peer.
type Key = (Place, Arc<str>);

#[derive(Clone)]
struct Held {
    outcome: Outcome,
    /// When it is asked for again.
    renew_at: Instant,
}

/// All that are held.
pub(super) struct PeerTokens {
    held: Cache<Key, Held>,
    asking: Single<Key, Outcome>,
}

impl Default for PeerTokens {
    fn default() -> Self {
        let held = Cache::builder().max_capacity(MOST).time_to_live(LONGEST).build();
        Self { held, asking: Single::default() }
    }
}

impl Held {
    fn new(outcome: Outcome) -> Self {
        let kept = match &outcome {
            Ok(Some(token)) => Duration::try_from(token.until.duration_since(Timestamp::now())).unwrap_or_default() / 2,
            Err(error) if is_of_the_moment(error) => AGAIN,
            Ok(None) | Err(_) => NONE_FOR,
        };
        Self { outcome, renew_at: Instant::now() + kept.min(LONGEST) }
    }

    /// One that was held already, and no other came.
    fn still(token: PeerToken) -> Self {
        Self { outcome: Ok(Some(token)), renew_at: Instant::now() + AGAIN }
    }

    /// The token that still holds.
    fn token(&self) -> Option<&PeerToken> {
        self.outcome.as_ref().ok()?.as_ref().filter(|token| token.until > Timestamp::now())
    }
}

impl Grants {
    /// The token by which the peer of this id, which is this node, shows others that it may pull from a repository. `None` where the
    /// upstream gives no tokens; it is refused where the cache's own account may not pull. Either way, and where this fails, neighbours have
    /// for it what anybody may have.
    pub async fn peer_token(
        &self,
        upstream: &Arc<Upstream>,
        repository: &RepositoryName,
        peer_id: &str,
    ) -> Result<Option<PeerToken>, UpstreamError> {
        let key: Key = (Place::new(upstream, repository.clone()), peer_id.into());
        let held = self.peer_tokens.held.get(&key);
        if let Some(held) = held.as_ref().filter(|held| Instant::now() < held.renew_at) {
            return held.outcome.clone();
        }
        let good = held.and_then(|held| held.token().cloned());
        let renew = || {
            let (upstream, known, key, good) = (upstream.clone(), self.peer_tokens.held.clone(), key.clone(), good.clone());
            async move {
                let outcome = fetch(&upstream, &key.0.repository, &key.1).await;
                let held = match (&outcome, good) {
                    // What it gave before still counts with others. A cache in between may let everybody in while it is away.
                    (Err(error), Some(good)) if is_of_the_moment(error) => Held::still(good),
                    (Ok(None), Some(good)) => Held::still(good),
                    _ => Held::new(outcome),
                };
                known.insert(key, held.clone());
                held.outcome
            }
        };
        let renewing = self.peer_tokens.asking.run(key.clone(), renew);
        let Some(good) = good.clone() else { return renewing.await.unwrap_or_else(|| Err(gave_up(upstream))) };
        match tokio::time::timeout(PATIENCE, renewing).await {
            Ok(Some(outcome)) => outcome,
            Ok(None) | Err(_) => Ok(Some(good)),
        }
    }
}

/// Whether an upstream that fails so has said nothing of who asks.
fn is_of_the_moment(error: &UpstreamError) -> bool {
    error.is_away() || error.is_limit() || matches!(error, UpstreamError::Paused { .. } | UpstreamError::Malformed { .. })
}

/// What asks ended without an answer.
fn gave_up(upstream: &Upstream) -> UpstreamError {
    UpstreamError::Paused { upstream: upstream.name().into(), reason: Pause::Busy, retry_after: AGAIN }
}

async fn fetch(upstream: &Upstream, repository: &RepositoryName, peer_id: &str) -> Outcome {
    let Some(text) = upstream.peer_token(repository, peer_id).await? else { return Ok(None) };
    let wrong = |reason: &str| UpstreamError::Malformed { upstream: upstream.name().into(), reason: reason.to_owned() };
    let checked = token::check(upstream, text.reveal()).await;
    match &checked {
        Checked::Unknown => Err(wrong("its token can't be checked by the keys that it publishes")),
        Checked::Forged => Err(wrong("its token is not signed by the keys that it publishes")),
        Checked::Signed(_) => Err(wrong("its token names no peer")),
        Checked::Peer(_) => {
            // What is not granted is left out of it.
            let until = token::peer_worth(&checked, None, repository, peer_id, Timestamp::now().as_second());
            let until = until.map_err(|denied| {
                let message = denied.to_string();
                let said = Refusal { code: "DENIED".to_owned(), message, detail: Value::Null };
                let (status, errors) = (StatusCode::FORBIDDEN, vec![said]);
                UpstreamError::Refused { upstream: upstream.name().into(), status, errors, retry_after: None, challenge: None }
            })?;
            Ok(Some(PeerToken { text, until: Timestamp::from_second(until).unwrap_or(Timestamp::MAX) }))
        }
    }
}

#[cfg(test)]
mod tests;
