//! What registries of ours have signed of what is here, and the keys that prove it: written down, so that it counts, and can be handed on to
//! neighbours, while they are away, and after a restart.
//!
//! A blob's metainfo is kept as the signature alone; the rest of it is what the store knows of the blob. A manifest's voucher is kept under
//! the manifest's digest, and where it names a tag under [`tag_topic`] of that as well.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use longshore_oci::{Algorithm, Digest, ManifestVoucher, Tag, VerdictLifetime};
use longshore_service::signing::KeySet;
use moka::{notification::RemovalCause, policy::EvictionPolicy, sync::Cache};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    grants::Place,
    store::{Store, StoreError},
};

/// How many signatures of metainfo are kept, and how many vouchers: each is under a kilobyte.
pub const MOST: u64 = 50_000;
/// The kinds of their records.
const METAINFO: &str = "edge-metainfo";
const VOUCHER: &str = "edge-manifest-voucher";
const KEYS: &str = "edge-registry-keys";
/// How long keys are taken up after a restart: nothing else that a registry says holds for longer. One that was withdrawn meanwhile counts
/// for as long, where the registry can't be asked.
const KEYS_KEPT: Duration = VerdictLifetime::LONGEST;

/// A registry's word for a manifest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Vouched {
    /// As it was signed.
    pub text: Arc<str>,
    /// What it says.
    pub said: ManifestVoucher,
}

impl Vouched {
    /// Whether it counts now.
    pub fn counts(&self, now: Timestamp) -> bool {
        self.said.counts_at(now.as_second())
    }

    /// When it ends.
    pub fn ends_at(&self) -> Timestamp {
        Timestamp::from_second(self.said.ends_at()).unwrap_or(Timestamp::MAX)
    }
}

/// By what a tag is asked for in a swarm, where all else is by digest.
pub fn tag_topic(tag: &Tag) -> Digest {
    Digest::of(Algorithm::Sha256, format!("longshore tag v1\n{tag}").as_bytes())
}

/// All that are kept.
#[derive(Debug)]
pub struct Statements {
    metainfo: Cache<(Arc<str>, Digest), Arc<str>>,
    vouchers: Cache<(Place, Digest), Arc<Vouched>>,
    /// Where they are written down; nowhere in a test.
    store: Option<Store>,
}

/// As a signature is written down.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenMetainfo {
    upstream: String,
    digest: Digest,
    signature: String,
}

/// As a voucher is.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenVoucher {
    upstream: String,
    about: Digest,
    text: String,
    said: ManifestVoucher,
}

/// As keys are.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenKeys {
    keys: KeySet,
    fetched_at: Timestamp,
}

impl Statements {
    /// Those that are written down.
    pub fn new(store: Option<Store>) -> Result<Self, StoreError> {
        let (metainfo, vouchers) =
            (bounded(store.clone(), METAINFO, metainfo_name), bounded(store.clone(), VOUCHER, voucher_name));
        for written in read_all::<WrittenMetainfo>(store.as_ref(), METAINFO)? {
            metainfo.insert((written.upstream.into(), written.digest), written.signature.into());
        }
        for WrittenVoucher { upstream, about, text, said } in read_all(store.as_ref(), VOUCHER)? {
            let place = Place { upstream: upstream.into(), repository: said.repository.clone() };
            vouchers.insert((place, about), Arc::new(Vouched { text: text.into(), said }));
        }
        Ok(Self { metainfo, vouchers, store })
    }

    /// Keeps an upstream's word for a manifest, unless a later one is here.
    pub fn add_manifest(&self, upstream: &Arc<str>, vouched: Vouched) {
        let place = Place { upstream: upstream.clone(), repository: vouched.said.repository.clone() };
        let vouched = Arc::new(vouched);
        let of_tag = vouched.said.tag.as_ref().map(tag_topic);
        for about in [Some(vouched.said.digest.clone()), of_tag].into_iter().flatten() {
            let key = (place.clone(), about);
            if self.vouchers.get(&key).is_some_and(|known| known.said.issued_at > vouched.said.issued_at) {
                continue;
            }
            let Vouched { text, said } = &*vouched;
            let written = WrittenVoucher {
                upstream: upstream.to_string(),
                about: key.1.clone(),
                text: text.to_string(),
                said: said.clone(),
            };
            self.write(VOUCHER, voucher_name(&key), &written);
            self.vouchers.insert(key, vouched.clone());
        }
    }

    /// An upstream's word for a manifest, or for what a tag names, whether it still counts or not.
    pub fn manifest(&self, place: &Place, about: &Digest) -> Option<Arc<Vouched>> {
        self.vouchers.get(&(place.clone(), about.clone()))
    }

    /// The same where it counts. What was said of a tag does no longer than what was said of the manifest, which may be taken back.
    pub fn counting(&self, place: &Place, about: &Digest, now: Timestamp) -> Option<Arc<Vouched>> {
        let vouched = self.manifest(place, about).filter(|vouched| vouched.counts(now))?;
        let of_manifest = || self.manifest(place, &vouched.said.digest).is_some_and(|vouched| vouched.counts(now));
        (vouched.said.digest == *about || of_manifest()).then_some(vouched)
    }

    /// Forgets an upstream's word, which has said otherwise.
    pub fn forget(&self, place: &Place, about: &Digest) {
        self.vouchers.invalidate(&(place.clone(), about.clone()));
    }

    /// Keeps the signature of a blob's metainfo.
    pub fn add_metainfo(&self, upstream: &Arc<str>, digest: &Digest, signature: &str) {
        let key = (upstream.clone(), digest.clone());
        let written = WrittenMetainfo { upstream: upstream.to_string(), digest: digest.clone(), signature: signature.to_owned() };
        self.write(METAINFO, metainfo_name(&key), &written);
        self.metainfo.insert(key, signature.into());
    }

    /// The signature of a blob's metainfo.
    pub fn metainfo(&self, upstream: &Arc<str>, digest: &Digest) -> Option<Arc<str>> {
        self.metainfo.get(&(upstream.clone(), digest.clone()))
    }

    /// Keeps the keys of an upstream, or that it has none.
    pub fn put_keys(&self, upstream: &Arc<str>, keys: Option<&KeySet>) {
        match keys {
            Some(keys) => {
                self.write(KEYS, upstream.to_string(), &WrittenKeys { keys: keys.clone(), fetched_at: Timestamp::now() });
            }
            None => self.store.iter().for_each(|store| store.remove_record(KEYS, upstream)),
        }
    }

    /// The keys that an upstream had when it was last asked, if that was lately. Reads the disk: for the start.
    pub fn keys(&self, upstream: &Arc<str>) -> Option<KeySet> {
        let records = self.store.as_ref()?.records(KEYS).ok()?;
        let (_, value) = records.into_iter().find(|(name, _)| **name == **upstream)?;
        let WrittenKeys { keys, fetched_at } = serde_json::from_slice(&value).ok()?;
        let age = Duration::try_from(Timestamp::now().duration_since(fetched_at)).ok()?;
        (age < KEYS_KEPT).then_some(keys)
    }

    fn write(&self, kind: &'static str, name: String, written: &impl Serialize) {
        if let Some(store) = &self.store {
            store.put_record(kind, name, serde_json::to_vec(written).expect("texts, numbers and times are always JSON"));
        }
    }
}

/// The last ones, whose records go with them.
fn bounded<K, V>(store: Option<Store>, kind: &'static str, name: fn(&K) -> String) -> Cache<K, V>
where
    K: Eq + std::hash::Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let forgotten = move |key: Arc<K>, _, cause| {
        if let Some(store) = store.as_ref().filter(|_| cause != RemovalCause::Replaced) {
            store.remove_record(kind, &name(&key));
        }
    };
    Cache::builder().max_capacity(MOST).eviction_policy(EvictionPolicy::lru()).eviction_listener(forgotten).build()
}

/// All records of a kind; those that can't be read are removed.
fn read_all<W: DeserializeOwned>(store: Option<&Store>, kind: &'static str) -> Result<Vec<W>, StoreError> {
    let Some(store) = store else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for (name, value) in store.records(kind)? {
        match serde_json::from_slice(&value) {
            Ok(written) => all.push(written),
            Err(_) => store.remove_record(kind, &name),
        }
    }
    Ok(all)
}

fn metainfo_name((upstream, digest): &(Arc<str>, Digest)) -> String {
    format!("{upstream} {digest}")
}

fn voucher_name((place, about): &(Place, Digest)) -> String {
    format!("{} {} {about}", place.upstream, place.repository)
}

#[cfg(test)]
mod tests;
