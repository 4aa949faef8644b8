//! What neighbours in a swarm may have of what is cached.
//!
//! A neighbour shows a token that the registry has given to it and to nobody else: it is for the pull from the repository, and names the
//! peer, whose id its connection proves. So one that was stolen is of no use. It is checked by the registry's keys, which are known here,
//! and the registry is not asked. Without a token a neighbour has what anybody may have, by what was found out here; where that is no
//! longer fresh the upstream is asked, as nobody in particular, and about one repository once in half a minute at most, whoever wants to
//! know. It is asked about nothing but what the repository is known to have.
//!
//! Either way the upstream must have said that the repository has the blob. That holds until it says otherwise: a swarm goes on with what it
//! holds while the registry is away. An answer is waited for a moment only; then it counts what is known. Who has no right as far as is
//! known is refused at once: whether the blob is here can't be told by the time.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use http::HeaderValue;
use jiff::Timestamp;
use longshore_oci::{Digest, RepositoryName, Route};
use moka::sync::Cache;

use super::{
    Attempt, Denied, Grants, Now, Place, What, Who,
    book::Question,
    token::{self, Checked},
};
use crate::{
    single::Single,
    upstream::{Ask, Identity, Upstream},
};

/// How long an upstream is waited for before what is known counts.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// How long nobody asks about the same for a neighbour.
const ASKED_FOR: Duration = Duration::from_secs(30);
/// How much that was asked is remembered.
const MOST_ASKED: u64 = 10_000;

/// Why a neighbour may not have something.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PeerDenied {
    /// Its token does not grant it.
    #[error("the token {0}")]
    Token(&'static str),
    /// Its token may be good.
    #[error("the token can't be checked here for now: its key, or the registry's service, is not known")]
    Unchecked,
    /// It has no token, and needs one.
    #[error(
        "it is not known here that anybody may pull from the repository: show a token that its registry has given to this peer"
    )]
    Private,
    /// The repository may have no such blob.
    #[error("it is not known here that the repository has this blob")]
    Absent,
}

/// What was asked for neighbours.
pub(super) struct Peers {
    /// What was asked lately, of a repository or of one of its blobs, and whether that left standing what is remembered.
    asked: Cache<(Place, Option<Digest>), bool>,
    /// The upstreams whose keys are being looked for.
    looking: Single<Arc<str>, ()>,
    /// What upstreams were found to be lately: open to all, or not.
    open: Cache<Arc<str>, bool>,
    /// The last that was found of each, however long ago.
    was_open: Cache<Arc<str>, bool>,
    /// Those that are being asked.
    opening: Single<Arc<str>, Option<bool>>,
}

impl Default for Peers {
    fn default() -> Self {
        let asked = Cache::builder().max_capacity(MOST_ASKED).time_to_live(ASKED_FOR).build();
        let open = Cache::builder().max_capacity(MOST_ASKED).time_to_live(ASKED_FOR).build();
        Self { asked, looking: Single::default(), open, was_open: Cache::new(MOST_ASKED), opening: Single::default() }
    }
}

#[cfg(test)]
impl Peers {
    /// Makes it time to ask again.
    pub(super) fn forget_asked(&self) {
        self.asked.invalidate_all();
    }
}

impl Grants {
    /// Whether a neighbour may have a blob, a manifest or what a tag names through a repository, by the token that it shows, or as anybody.
    /// `peer_id` is the one that its connection proves. Until when that is so, as far as is known now; then it is asked again.
    pub async fn may_peer_pull(
        &self,
        upstream: &Arc<Upstream>,
        repository: &RepositoryName,
        digest: &Digest,
        peer_id: &str,
        token: Option<&str>,
    ) -> Result<Timestamp, PeerDenied> {
        let place = Place::new(upstream, repository.clone());
        let (what, closes_at) = match self.memory.book.statements().manifest(&place, digest) {
            // Beside the right to pull, which is for the upstream's policies to give: by its word, and no longer than that counts.
            Some(vouched) => (What::Manifest(vouched.said.digest.clone()), self.closes_at(&place, digest)),
            None => (What::Blob(digest.clone()), Timestamp::MAX),
        };
        let end = match token {
            Some(token) => self.covers(upstream, &place, &what, peer_id, token).await?,
            None if self.is_public(upstream, &place, &what, false).await => Timestamp::MAX,
            None => return Err(PeerDenied::Private),
        };
        if closes_at <= Timestamp::now() || !self.is_linked(upstream, &place, &what).await {
            return Err(PeerDenied::Absent);
        }
        let again = Timestamp::now().checked_add(self.memory.book.ttl()).unwrap_or(Timestamp::MAX);
        Ok(again.min(end).min(closes_at))
    }

    /// When an upstream's word for a manifest, or for what a tag names, ends.
    fn closes_at(&self, place: &Place, about: &Digest) -> Timestamp {
        let counting = self.memory.book.statements().counting(place, about, Timestamp::now());
        counting.map_or(Timestamp::MIN, |vouched| vouched.ends_at())
    }

    /// Whether a neighbour's token is for the pull from a repository, whatever that has: who holds what there may be told to it. Until when.
    pub async fn may_peer_look(
        &self,
        upstream: &Arc<Upstream>,
        repository: &RepositoryName,
        peer_id: &str,
        token: &str,
    ) -> Result<Timestamp, PeerDenied> {
        let checked = self.checked_for_peer(upstream, token).await;
        let service = self.memory.services.get(upstream.key());
        let end = token::peer_worth(&checked, service.as_deref(), repository, peer_id, Now::read().time.as_second())?;
        Ok(Timestamp::from_second(end).unwrap_or(Timestamp::MAX))
    }

    /// Whether an upstream is a registry of ours that asks nobody who they are. It is asked once in half a minute at most, whoever wants to
    /// know; while it is away that is so which was so last.
    pub async fn is_open(&self, upstream: &Arc<Upstream>) -> bool {
        let key = upstream.key();
        // One that has ever wanted tokens is not, whatever a cache in between says while it is away.
        if self.memory.services.contains_key(key) {
            return false;
        }
        if let Some(known) = self.peers.open.get(key) {
            return known;
        }
        let ask = || {
            let upstream = upstream.clone();
            async move {
                let found = async {
                    let is_ours = upstream.find_kind().await?;
                    upstream.ask(&Identity::Anonymous, Ask::get(Route::Base)).await.map(|_| is_ours)
                };
                found.await.map_or_else(|error| if error.is_away() { None } else { Some(false) }, Some)
            }
        };
        let found = tokio::time::timeout(PATIENCE, self.peers.opening.run(key.clone(), ask)).await.ok().flatten().flatten();
        if let Some(found) = found {
            self.peers.was_open.insert(key.clone(), found);
        }
        let is_open = found.or_else(|| self.peers.was_open.get(key)).unwrap_or(false);
        self.peers.open.insert(key.clone(), is_open);
        is_open
    }

    /// That the upstream says, to the cache's own account, that a repository has something; it is asked where that is not known, and once
    /// more where all was forgotten meanwhile that it had said: as when its changes begin to be followed.
    pub async fn has(&self, upstream: &Arc<Upstream>, repository: &RepositoryName, what: &What) -> Result<(), Denied> {
        let place = Place::new(upstream, repository.clone());
        let own = Identity::Edge;
        let attempt = Attempt { who: Who::Shared, checks: own.clone(), fetches: own, ends_at: None, is_covered: false };
        for _ in 0..2 {
            if self.memory.book.is_linked_now(&place, what) {
                break;
            }
            self.ask(upstream, &place, &attempt, what).await?;
        }
        Ok(())
    }

    /// Until when a peer's token covers the pull.
    async fn covers(
        &self,
        upstream: &Arc<Upstream>,
        place: &Place,
        what: &What,
        peer_id: &str,
        text: &str,
    ) -> Result<Timestamp, PeerDenied> {
        let checked = self.checked_for_peer(upstream, text).await;
        let worth = |service: Option<&str>| {
            let end = token::peer_worth(&checked, service, &place.repository, peer_id, Now::read().time.as_second());
            end.map(|end| Timestamp::from_second(end).unwrap_or(Timestamp::MAX))
        };
        let service = || self.memory.services.get(&place.upstream);
        let known = service();
        let end = worth(known.as_deref())?;
        if known.is_some() {
            return Ok(end);
        }
        // What the upstream wants tokens for it says to who shows none; or it wants none.
        let is_public = self.is_public(upstream, place, what, true).await;
        match service() {
            Some(service) => worth(Some(&service)),
            None if is_public => Ok(end),
            None => Err(PeerDenied::Unchecked),
        }
    }

    /// Whose a token is by the keys that are known, after those that are missing were looked for a moment.
    async fn checked_for_peer(&self, upstream: &Arc<Upstream>, text: &str) -> Arc<Checked> {
        let Ok(header) = HeaderValue::try_from(format!("Bearer {text}")) else { return Arc::new(Checked::Forged) };
        let key = (upstream.key().clone(), self.key.hash(&header));
        if let Some(checked) = self.signed.get(&key) {
            return checked;
        }
        let look = || {
            let (upstream, text) = (upstream.clone(), text.to_owned());
            async move {
                token::check(&upstream, &text).await;
            }
        };
        tokio::time::timeout(PATIENCE, self.peers.looking.run(upstream.key().clone(), look)).await.ok();
        self.keep_checked(key, text, token::check_known(upstream, text))
    }

    /// Whether anybody may pull from a repository that is known to have something. For what the upstream says to that now is waited where
    /// that `may_wait`, or where anybody could lately.
    async fn is_public(&self, upstream: &Arc<Upstream>, place: &Place, what: &What, may_wait: bool) -> bool {
        let (book, who) = (&self.memory.book, Who::Anybody);
        let question = Question { place: place.clone(), what: what.clone(), who, ends_at: None, is_covered: false };
        if book.is_let_in(&question, Now::read()) {
            return true;
        }
        if book.link(place, what).is_none() {
            return false;
        }
        // What a cache without an account was let into, as its clients share that, anybody is.
        let shared = Question { who: Who::Shared, ..question.clone() };
        if !upstream.has_account() && book.is_let_in(&shared, Now::read()) {
            return true;
        }
        let entry = self.peers.asked.entry((place.clone(), None)).or_insert(true);
        let could_lately = || book.may_pull(place, &Who::Anybody, Now::read());
        let stands = if !entry.is_fresh() {
            entry.into_value()
        } else if may_wait || could_lately() {
            self.leaves_standing(upstream, &question).await
        } else {
            // The question is put, and its answer is known to who asks again.
            self.leaves_standing(upstream, &question).now_or_never().unwrap_or_default()
        };
        stands && could_lately()
    }

    /// Asks the upstream, as nobody in particular, and notes whether what is remembered of the repository stands.
    async fn leaves_standing(&self, upstream: &Arc<Upstream>, question: &Question) -> bool {
        let asking = self.join(upstream, Some(&question.what), question, &Identity::Anonymous);
        let stands = match tokio::time::timeout(PATIENCE, asking).await {
            Ok(Ok((Ok(_), _))) | Err(_) => true,
            Ok(Ok((Err(denied), _)) | Err(denied)) => denied.is_down(),
        };
        self.peers.asked.insert((question.place.clone(), None), stands);
        stands
    }

    /// Whether the repository has something, by the upstream's word. One from before all was forgotten of it is asked for anew.
    async fn is_linked(&self, upstream: &Arc<Upstream>, place: &Place, what: &What) -> bool {
        let book = &self.memory.book;
        if book.is_linked_now(place, what) || book.link(place, what).is_none() {
            return book.is_linked_now(place, what);
        }
        if self.peers.asked.entry((place.clone(), Some(what.digest().clone()))).or_insert(false).is_fresh() {
            tokio::time::timeout(PATIENCE, self.has(upstream, &place.repository, what)).await.ok();
        }
        book.is_linked_now(place, what)
    }
}
