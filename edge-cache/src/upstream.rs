//! Asking a registry for what is not here.
//!
//! An [`Upstream`] is one registry, at one address or two. It says who asks as it is told to: nobody, the edge, or the caller by its own
//! word. What fails before the first byte of an answer is asked for again, after a pause that is random, or as long as the registry asks
//! for; an address that fails too often is left alone for a while. What comes is looked at before it is handed out: a page for people, a
//! range that nobody asked for, or an answer for another digest is no registry's answer. Whether its bytes are right is for whoever
//! keeps them to find out, by the pieces that the registry vouches for where it is one of ours.
//!
//! Requests go through our own client alone. `oci-client` would bring a second one with a token dance of its own, that shows
//! credentials to whatever token service a registry names, reads manifests into memory without a bound, knows no `If-None-Match`, and
//! hands on neither headers nor `Retry-After` nor the challenge of a refusal, all of which a cache passes on or lives by.

mod answer;
mod ask;
mod asker;
pub(crate) mod backoff;
mod blame;
mod breaker;
mod byte_rate;
mod credentials;
mod effort;
mod endpoint;
mod error;
mod metainfo;
mod metrics;
mod passing;
mod peer_token;
mod published;
mod scrutiny;
mod settings;
mod slots;
mod statement;
mod swarm_record;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::Instant,
};

use longshore_client::RegistryUrl;
use longshore_service::budget::Budget;

pub use answer::Answer;
pub use ask::Ask;
pub use asker::Identity;
pub use endpoint::LeftAlone;
pub use error::{Pause, UpstreamError};
pub use metainfo::metainfo_room;
pub use metrics::UpstreamMetrics;
pub use settings::{CredentialSource, Kind, UpstreamSettings};

use byte_rate::ByteRate;
use credentials::OwnCredentials;
use endpoint::Endpoint;
use metainfo::Ahead;
use metrics::Counts;
use published::Published;
use slots::Slots;

use crate::{names::Called, statements::Statements};

/// A registry that is asked for what is not here.
#[derive(Debug)]
pub struct Upstream {
    name: Arc<str>,
    /// What it is told apart by.
    key: Arc<str>,
    called: Called,
    settings: UpstreamSettings,
    /// One or two, the one that is asked first at the front.
    endpoints: Vec<Arc<Endpoint>>,
    slots: Slots,
    rate: Option<Arc<ByteRate>>,
    credentials: OwnCredentials,
    /// Whether it was said that its token service is shown no credentials.
    has_warned: AtomicBool,
    /// Whether it was said that it refuses the edge's credentials, since it last took them.
    is_refused: AtomicBool,
    published: Published,
    /// Where what it has signed is kept; nowhere in a test.
    statements: OnceLock<Arc<Statements>>,
    /// Metainfo that was asked for before it is needed.
    ahead: Ahead,
    /// For metainfo that is read.
    room: Budget,
    /// For answers that are passed on.
    passing: Budget,
    counts: Counts,
}

impl Upstream {
    /// An upstream; nothing is asked of it yet. Reads the files of certificates, so this blocks.
    pub fn new(settings: UpstreamSettings, metrics: &UpstreamMetrics) -> Result<Self, UpstreamError> {
        let name: Arc<str> = settings.name.as_str().into();
        let counts = metrics.of(name.clone());
        let mut endpoints = Vec::new();
        for address in [Some(&settings.url), settings.fallback_url.as_ref()].into_iter().flatten() {
            let endpoint = Endpoint::new(&address.api(), &settings);
            let endpoint =
                endpoint.map_err(|source| UpstreamError::Setup { upstream: name.clone(), source: Arc::new(source) })?;
            counts.paused(&endpoint.address().to_string(), false);
            endpoints.push(Arc::new(endpoint));
        }
        Ok(Self {
            slots: Slots::new(settings.max_concurrent, slots::most_waiting(settings.max_concurrent), settings.read_timeout),
            rate: ByteRate::new(settings.bytes_per_second).map(Arc::new),
            credentials: OwnCredentials::new(&settings),
            has_warned: AtomicBool::new(false),
            is_refused: AtomicBool::new(false),
            published: Published::default(),
            statements: OnceLock::new(),
            ahead: Ahead::default(),
            room: metainfo_room(),
            passing: passing::room(),
            key: format!("{name} {}", settings.url).into(),
            called: Called::new(&settings),
            name,
            settings,
            endpoints,
            counts,
        })
    }

    /// How many bytes of answers came of it.
    pub fn came_bytes(&self) -> u64 {
        self.counts.came_bytes()
    }

    /// The same, which shares the memory for metainfo with others.
    #[must_use]
    pub fn sharing(self, room: &Budget) -> Self {
        Self { room: room.clone(), ..self }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is told apart by: its name and its address, as one that was pointed elsewhere is another.
    pub fn key(&self) -> &Arc<str> {
        &self.key
    }

    /// What requests may call it.
    pub(crate) fn called(&self) -> &Called {
        &self.called
    }

    /// What it was made of.
    pub fn settings(&self) -> &UpstreamSettings {
        &self.settings
    }

    /// Whether it is asked by an account of the cache's own.
    pub fn has_account(&self) -> bool {
        !matches!(self.settings.credentials, CredentialSource::None)
    }

    /// Whether somebody waits until one of the requests that are under way is over.
    pub fn is_waited_for(&self) -> bool {
        self.slots.are_waited_for()
    }

    /// What it last failed with, at the address that is asked first if there.
    pub fn last_failure(&self) -> Option<Arc<str>> {
        self.endpoints.iter().find_map(|endpoint| endpoint.last_failure())
    }

    /// Its addresses that are left alone, each with the reason in words that leave its name out.
    pub fn left_alone(&self, now: Instant) -> Vec<LeftAlone> {
        let left = self.endpoints.iter().filter_map(|endpoint| endpoint.left_alone(now));
        let nameless = |reason: &str| Some(format!("it {}", reason.strip_prefix(&*self.name)?.strip_prefix(' ')?));
        left.map(|left| LeftAlone { reason: nameless(&left.reason).unwrap_or(left.reason), ..left }).collect()
    }

    /// Where it is asked first.
    pub fn address(&self) -> &RegistryUrl {
        self.endpoints[0].address()
    }
}
