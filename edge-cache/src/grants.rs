//! Who may see what is cached.
//!
//! What is cached lies there once, by its digest, whoever it was fetched for. So before any of it is served, a HEAD included, this asks:
//! has *this* repository of *this* upstream that content, and may *this* client pull it from there? Only the upstream can say so; what it
//! said is remembered for a short time, for the same client, or for all where it was said to nobody in particular. Of registries of our own
//! a client's token says by itself, signed, that it covers a repository.
//!
//! A repository has what its upstream said, asked for that one digest. What a manifest names proves nothing by itself: whoever may push one
//! may write any digest into it. It does where a registry of ours signs that the repository has it all ([`statements`](crate::statements)).
//! Nor does it prove anything that the content is here.
//!
//! What is remembered decides only whether the upstream is asked, never how it is asked or what a refusal says. So a client that is
//! refused can't tell what is cached, by words or by time.
//!
//! What it said holds for `ttl` after it was asked, for one credential in one repository: so long after a revocation the cache still serves,
//! and a token of a registry of ours is no better, though its keys prove what it covers: the registry is asked once in that time whether it
//! still counts. Of a manifest the upstream may have said for how long its verdict holds, as a registry of ours does, and then that counts
//! in place of `ttl`. That is about the image and not about who may pull, so what is longer than `ttl` counts past it only for who was let
//! into the repository within `ttl`.
//!
//! Only where the upstream can't be reached, or fails whoever asks, does a right hold longer, for `stale`, and no longer than the upstream
//! has said for that; that it limits who asks is an answer, which whoever lost a right may bring about.
//! What anybody could have is written down, and so holds as long though the cache starts anew meanwhile; what others could have does not.
//!
//! An upstream is taken at its word about what it has: who configures one trusts it not to claim content that others keep closed.

mod asking;
mod attempt;
mod book;
mod client;
mod credential;
mod denied;
mod granted;
mod inquiring;
mod links;
mod logins;
mod memory;
mod now;
mod peer_tokens;
mod peers;
mod place;
mod public;
mod remembering;
mod resets;
mod sighting;
mod taken_back;
mod token;

use std::{net::IpAddr, sync::Arc, time::Duration};

use jiff::Timestamp;
use longshore_oci::{Digest, ManifestVoucher, RepositoryName};
use moka::sync::Cache;

use crate::{
    first_byte::unless_silent,
    single::Single,
    statements::Statements,
    store::{Store, StoreError},
    turns::Turns,
    upstream::{Identity, Upstream},
};

use asking::Answered;
pub use asking::MANIFESTS;
pub use attempt::Attempt;
pub use book::GrantSettings;
pub use client::{Client, SeveralCredentials, Shown};
use credential::{Credential, CredentialKey};
use denied::Closes;
pub use denied::Denied;
pub use granted::Granted;
use logins::{Login, Logins};
pub use logins::{LoginLimits, Trying, Verdict};
use memory::Memory;
pub use now::Now;
pub use peer_tokens::PeerToken;
use peer_tokens::PeerTokens;
pub use peers::PeerDenied;
use peers::Peers;
pub use place::{Place, What, Who};
pub use resets::Resets;
pub use sighting::{CONTENT_DIGEST, digest, is_manifest, is_page, kind, verdict_lifetime};
pub use taken_back::TakenBack;
use token::{Checked, Worth};

/// How long a token's signature is not checked again, and so how long a key that was withdrawn is believed.
const SIGNED_FOR: Duration = Duration::from_mins(1);
/// How many of them are remembered.
const MOST_SIGNED: u64 = 10_000;
/// The longest of them, in bytes; a longer one is checked each time.
const MOST_SIGNED_BYTES: usize = 4 << 10;

/// Who may see what.
pub struct Grants {
    memory: Arc<Memory>,
    /// What is being asked: of something, or of a repository.
    asking: Single<(Place, Option<What>, Who), Answered>,
    turns: Arc<Turns>,
    key: CredentialKey,
    /// By upstream.
    signed: Cache<(Arc<str>, Credential), Arc<Checked>>,
    logins: Logins,
    peers: Peers,
    peer_tokens: PeerTokens,
}

impl Grants {
    /// Nothing granted yet; what repositories have, and what anybody could have, is as it was written down.
    pub fn new(store: Store, settings: GrantSettings, limits: LoginLimits) -> Result<Self, StoreError> {
        Self::with(Some(store), settings, limits)
    }

    fn with(store: Option<Store>, settings: GrantSettings, limits: LoginLimits) -> Result<Self, StoreError> {
        Ok(Self {
            memory: Arc::new(Memory::new(settings, store)?),
            asking: Single::default(),
            turns: Arc::new(Turns::new(settings.most_asked)),
            key: CredentialKey::generate(),
            signed: Cache::builder().max_capacity(MOST_SIGNED).time_to_live(SIGNED_FOR).build(),
            logins: Logins::new(limits),
            peers: Peers::default(),
            peer_tokens: PeerTokens::default(),
        })
    }

    /// Begins the login of a client which shows a name and a secret from an address, before they are put to an upstream; waits where others
    /// of the same account or address are under way. `None` for whoever shows none.
    pub async fn log_in(&self, upstream: &Upstream, client: &Client, from: IpAddr) -> Result<Option<Trying>, Denied> {
        let Some(shown) = &client.shown else { return Ok(None) };
        let credential = self.key.hash(&shown.header);
        let Some(login) = Login::of(upstream.key().clone(), &shown.header, credential, from) else { return Ok(None) };
        self.logins.begin(login).await.map(Some).map_err(|retry_after| Denied::FailedLogins { retry_after })
    }

    /// Whether a client may have something through a repository. Asks the upstream where that is not known.
    pub async fn allowed(
        &self,
        upstream: &Arc<Upstream>,
        repository: &RepositoryName,
        client: &Client,
        what: &What,
    ) -> Result<Granted, Denied> {
        let place = Place::new(upstream, repository.clone());
        let attempts = self.attempts(upstream, &place, client).await;
        if let Some(granted) = self.remembered(&attempts, &place, what) {
            return Ok(granted);
        }
        let mut refusal = None;
        for attempt in &attempts {
            // Where nobody answered it is not tried again in another's name, if that is not needed.
            let down = refusal.as_ref().filter(|denied| Denied::is_unreached(denied));
            if let Some(granted) = down.and_then(|denied| self.remembered_despite(denied, attempt, &place, what)) {
                return Ok(granted);
            }
            // Not where who asks shows something: whoever lost a right might bring silence about.
            let despite_silence = |patience| {
                let silent = Denied::Upstream(upstream.silent(patience));
                let may = !matches!(attempt.who, Who::Credential(_));
                self.remembered_despite(&silent, attempt, &place, what).filter(|_| may).map(|_| Err(silent))
            };
            match unless_silent(self.ask(upstream, &place, attempt, what), despite_silence).await {
                Ok(lifetime) => return Ok(self.granted(attempt, &place, what, lifetime)),
                Err(denied) => match self.remembered_despite(&denied, attempt, &place, what) {
                    Some(granted) => return Ok(granted),
                    None => refusal = Some(denied),
                },
            }
        }
        Err(refusal.unwrap_or(Denied::Overloaded))
    }

    /// In whose names a client may ask for what a repository has, one after the other.
    pub async fn attempts(&self, upstream: &Arc<Upstream>, place: &Place, client: &Client) -> Vec<Attempt> {
        let attempt = |who, checks, fetches| Attempt { who, checks, fetches, ends_at: None, is_covered: false };
        if client.shares(upstream) {
            return vec![attempt(Who::Shared, Identity::Edge, Identity::Edge)];
        }
        // What anybody may have is the same whoever fetches it, and the cache's own account may do so oftener.
        let anybody = attempt(Who::Anybody, Identity::Anonymous, Identity::Edge);
        let Some(shown) = &client.shown else { return vec![anybody] };
        let (identity, credential) = (Identity::Caller(shown.header.clone()), self.key.hash(&shown.header));
        let own = Attempt { ends_at: shown.ends_at, ..attempt(Who::Credential(credential), identity.clone(), identity) };
        match self.worth(upstream, place, shown, credential).await {
            // Whether anybody may have it is asked all the same: that it is public outlives a token.
            Worth::Covers(ends_at) => vec![anybody, Attempt { ends_at: Some(ends_at), is_covered: true, ..own }],
            // What the upstream tells who shows nothing tells these, too, how to come by a token.
            Worth::Nothing => vec![anybody],
            Worth::Unknown => vec![anybody, own],
        }
    }

    /// What a credential is worth, as far as can be told without asking.
    async fn worth(&self, upstream: &Arc<Upstream>, place: &Place, shown: &Shown, credential: Credential) -> Worth {
        let Some(token) = &shown.token else { return Worth::Unknown };
        let key = (place.upstream.clone(), credential);
        let checked = match self.signed.get(&key) {
            Some(checked) => checked,
            None => self.keep_checked(key, token, token::check(upstream, token).await),
        };
        let service = self.memory.services.get(&place.upstream);
        token::worth(&checked, service.as_deref(), &place.repository, Now::read().time.as_second())
    }

    /// Remembers whose a token is, where that is known.
    fn keep_checked(&self, key: (Arc<str>, Credential), text: &str, checked: Checked) -> Arc<Checked> {
        let checked = Arc::new(checked);
        if *checked != Checked::Unknown && text.len() <= MOST_SIGNED_BYTES {
            self.signed.insert(key, checked.clone());
        }
        checked
    }

    /// What upstreams have signed.
    pub fn statements(&self) -> &Arc<Statements> {
        self.memory.book.statements()
    }

    /// Notes what an upstream's signed word for a manifest says of its repository; the word itself is among [`Self::statements`].
    pub fn note_vouched(&self, place: &Place, said: &ManifestVoucher, blobs: impl Iterator<Item = (Digest, u64)>) {
        self.memory.book.note_vouched(place, said, blobs);
    }

    /// What upstreams have taken back of what they have signed.
    pub fn taken_back(&self) -> &Arc<TakenBack> {
        self.memory.book.taken_back()
    }

    /// Forgets that a repository has something, since its upstream tells that it had it no more at a time, by its clock, and what rights
    /// there were in it.
    pub fn forget(&self, place: &Place, digest: &Digest, at: Timestamp) {
        self.memory.book.forget(place, digest, at);
    }

    /// Forgets all rights in an upstream, by its [`key`](Upstream::key).
    pub fn forget_all(&self, upstream: &Arc<str>) {
        self.memory.book.forget_all(upstream);
    }

    /// The same where nothing is known to have been taken back: an upstream begins to tell of its changes.
    pub fn ask_all_anew(&self, upstream: &Arc<str>) {
        self.memory.book.ask_all_anew(upstream);
    }
}

#[cfg(test)]
mod tests;
