//! Trackers that upstreams name and that can't be reached from here.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use longshore_client::{SwarmRecord, SwarmTracker};

/// By the upstream's name, what each says of its tracker, which is of no use here: for `status`.
#[derive(Clone, Debug, Default)]
pub struct Unreached(Arc<Mutex<BTreeMap<Arc<str>, SwarmRecord>>>);

impl Unreached {
    /// An upstream names a tracker at no address that can be used from here; whether that is news.
    pub fn add(&self, upstream: &Arc<str>, record: SwarmRecord) -> bool {
        let mut all = self.lock();
        let is_news = all.get(upstream) != Some(&record);
        all.insert(upstream.clone(), record);
        is_news
    }

    /// The same is not so any more.
    pub fn remove(&self, upstream: &str) {
        self.lock().remove(upstream);
    }

    /// As the node's own API tells of them.
    pub fn told(&self) -> Vec<SwarmTracker> {
        let tracker = |(upstream, record): (&Arc<str>, &SwarmRecord)| SwarmTracker {
            address: addresses_of(record),
            peer: Some(record.peer.clone()),
            registry: Some(upstream.to_string()),
            answers: None,
            is_unreachable: true,
        };
        self.lock().iter().map(tracker).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, SwarmRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where it says that it listens: `0.0.0.0:5003`.
pub fn addresses_of(record: &SwarmRecord) -> String {
    record.control.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_upstream_says_is_news_once_and_told_until_it_says_otherwise() {
        let (unreached, upstream) = (Unreached::default(), Arc::from("registry.test"));
        let at = |text: &str| SwarmRecord {
            peer: "12D3".to_owned(),
            control: vec![text.parse().unwrap(), "[::1]:7".parse().unwrap()],
            ..SwarmRecord::default()
        };
        let news: Vec<_> = ["0.0.0.0:7", "0.0.0.0:7", "0.0.0.0:8"].map(|text| unreached.add(&upstream, at(text))).into();
        assert_eq!(news, [true, false, true]);
        let told = unreached.told();
        assert_eq!(told.len(), 1);
        let SwarmTracker { address, registry, answers, is_unreachable, .. } = &told[0];
        assert_eq!((address.as_str(), registry.as_deref()), ("0.0.0.0:8, [::1]:7", Some("registry.test")));
        assert!(*is_unreachable && answers.is_none());
        unreached.remove(&upstream);
        assert!(unreached.told().is_empty());
        assert!(unreached.add(&upstream, at("0.0.0.0:8")), "it is said again when it happens again");
    }
}
