//! The registry's own keys: what it vouches with.
//!
//! They lie in the database, under a seal whose secret does not, so that every replica signs with the same ones. Each that follows
//! another is published before it signs, and for a while after, so that who remembers the set for less than half of that never meets a
//! key that it does not know. A replica that can't open any publishes them all the same, and makes one that signs at once.

mod rotation;
mod seal;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use longshore_service::signing::{KeySet, PublicKey, SigningKey};
use tokio_util::sync::CancellationToken;

use crate::state::{SharedState, StateError, StoredKey};

pub use rotation::Rotation;
pub use seal::Seal;

/// The longest that another replica's new key may be unknown here.
const MOST_REFRESH: Duration = Duration::from_secs(10);

/// The keys as they are at the moment.
#[derive(Debug, Default)]
pub struct Keys(ArcSwap<Ring>);

#[derive(Debug, Default)]
struct Ring {
    current: Option<Arc<SigningKey>>,
    published: Arc<KeySet>,
}

impl Keys {
    /// The key to sign with; none where there is no secret to keep one under.
    pub fn current(&self) -> Option<Arc<SigningKey>> {
        self.0.load().current.clone()
    }

    /// The keys by which others can check what was signed, and will be soon.
    pub fn published(&self) -> Arc<KeySet> {
        self.0.load().published.clone()
    }
}

/// The task that makes keys and lets them go, in turn with those of other replicas.
pub struct KeyKeeper {
    state: SharedState,
    keys: Arc<Keys>,
    seal: Seal,
    rotation: Rotation,
    /// By what they are sealed as, so that each is opened once.
    opened: BTreeMap<Vec<u8>, Option<Arc<SigningKey>>>,
}

impl KeyKeeper {
    /// A keeper of these keys, which are brought up to date before it is handed out.
    pub async fn start(state: SharedState, keys: Arc<Keys>, seal: Seal, rotation: Rotation) -> Result<Self, StateError> {
        let mut keeper = Self { state, keys, seal, rotation, opened: BTreeMap::new() };
        keeper.refresh().await?;
        Ok(keeper)
    }

    /// Keeps them until told to stop.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let pause = (self.rotation.overlap / 4).min(MOST_REFRESH);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            if let Err(error) = self.refresh().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "the signing keys could not be looked at");
            }
        }
    }

    async fn refresh(&mut self) -> Result<(), StateError> {
        let now = Timestamp::now();
        let mut stored = self.open(self.state.signing_keys().await?);
        if let Some(wanted) = self.rotation.wanted(&stored, |key| self.opened_key(key).is_some(), now) {
            let (key, bytes) = SigningKey::generate();
            let public = serde_json::to_string(&key.public()).expect("a key is always JSON");
            let sealed = self.seal.close(key.id(), &bytes);
            // Where another replica was faster its key is the one.
            let made = StoredKey { generation: wanted.generation, public, sealed, signs_from: wanted.signs_from };
            self.state.add_signing_key(made).await?;
            stored = self.open(self.state.signing_keys().await?);
        }
        let published_from = self.rotation.published_from(&stored, now);
        if stored.first().is_some_and(|oldest| oldest.generation < published_from) {
            self.state.drop_signing_keys(published_from).await?;
        }
        let published = stored.iter().filter(|key| key.generation >= published_from);
        let current = Rotation::current(&stored, |key| self.opened_key(key).is_some(), now);
        self.keys.0.store(Arc::new(Ring {
            current: current.and_then(|key| self.opened_key(key)),
            published: Arc::new(published.filter_map(public_key).collect()),
        }));
        Ok(())
    }

    /// Opens the keys that are new.
    fn open(&mut self, stored: Vec<StoredKey>) -> Vec<StoredKey> {
        self.opened.retain(|sealed, _| stored.iter().any(|key| key.sealed == *sealed));
        for key in &stored {
            let Self { opened, seal, .. } = self;
            opened.entry(key.sealed.clone()).or_insert_with(|| {
                let id = public_key(key)?.id().to_owned();
                let opened = seal.open(&id, &key.sealed).and_then(|bytes| SigningKey::from_pkcs8(&bytes).ok());
                if opened.is_none() {
                    tracing::warn!(key = id, "a signing key was sealed with another secret, and is not used here");
                }
                opened.filter(|key| key.id() == id).map(Arc::new)
            });
        }
        stored
    }

    fn opened_key(&self, key: &StoredKey) -> Option<Arc<SigningKey>> {
        self.opened.get(&key.sealed).cloned().flatten()
    }
}

fn public_key(key: &StoredKey) -> Option<PublicKey> {
    serde_json::from_str(&key.public).ok()
}
