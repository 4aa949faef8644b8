//! One piece of work at a time for each key: whoever comes while it is done waits for its result.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

use crate::via::Way;

/// Work that runs, by how many caches of ours it came through and by key, and what it comes to.
type Running<K, V> = Arc<Mutex<HashMap<(usize, K), watch::Receiver<Option<V>>>>>;

/// Work of which each key has one at a time. It is a task of its own: that who asked first goes away ends nothing.
pub struct Single<K, V> {
    running: Running<K, V>,
}

impl<K, V> Default for Single<K, V> {
    fn default() -> Self {
        Self { running: Arc::default() }
    }
}

impl<K, V> Single<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// What the work of a key comes to: that which runs, or else this. `None` where it ended without a result, as by a panic.
    ///
    /// What came through other caches of ours is apart from what came through more or fewer of them: two that ask each other for the same
    /// would wait for themselves.
    pub async fn run<W>(&self, key: K, work: impl FnOnce() -> W) -> Option<V>
    where
        W: Future<Output = V> + Send + 'static,
    {
        ended(self.join(Way::now().hops(), key, work)).await
    }

    /// The same, once for all, by way of however many caches they came: for what is to be fetched once, whoever wants it.
    pub async fn run_once<W>(&self, key: K, work: impl FnOnce() -> W) -> Option<V>
    where
        W: Future<Output = V> + Send + 'static,
    {
        ended(self.join(0, key, work)).await
    }

    fn join<W>(&self, hops: usize, key: K, work: impl FnOnce() -> W) -> watch::Receiver<Option<V>>
    where
        W: Future<Output = V> + Send + 'static,
    {
        let way = Way::now();
        let key = (hops, key);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(result) = running.get(&key) {
            return result.clone();
        }
        let (sender, result) = watch::channel(None);
        running.insert(key.clone(), result.clone());
        let (work, end) = (work(), End { running: self.running.clone(), key });
        tokio::spawn(way.lead(async move {
            let value = work.await;
            // First, so that who is told and asks again is not told the same again: the work has put down where newcomers find it.
            drop(end);
            sender.send_replace(Some(value));
        }));
        result
    }
}

async fn ended<V: Clone>(mut result: watch::Receiver<Option<V>>) -> Option<V> {
    result.wait_for(Option::is_some).await.ok()?.clone()
}

/// Takes the key away when the work ends, however it does.
struct End<K: Eq + Hash, V> {
    running: Running<K, V>,
    key: (usize, K),
}

impl<K: Eq + Hash, V> Drop for End<K, V> {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::atomic::{AtomicUsize, Ordering},
        task::{Context, Wake, Waker},
        time::Duration,
    };

    use http::{HeaderMap, HeaderValue, header::VIA};
    use tokio::sync::Notify;

    use super::*;

    /// Notes how much runs when it is woken.
    struct Woken {
        running: Running<u8, u8>,
        found: Mutex<Option<usize>>,
    }

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            *self.found.lock().unwrap() = Some(self.running.lock().unwrap().len());
        }
    }

    #[tokio::test]
    async fn who_is_told_finds_nothing_running() {
        let single: Single<u8, u8> = Single::default();
        let woken = Arc::new(Woken { running: single.running.clone(), found: Mutex::default() });
        let mut told = pin!(single.run(1, || async { 2 }));
        let waker = Waker::from(woken.clone());
        assert!(told.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        while woken.found.lock().unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(*woken.found.lock().unwrap(), Some(0));
        assert_eq!(told.await, Some(2));
    }

    #[tokio::test]
    async fn many_wait_for_one() {
        let single: Arc<Single<&str, usize>> = Arc::default();
        let (runs, go): (Arc<AtomicUsize>, Arc<Notify>) = Default::default();
        let ask = |key: &'static str| {
            let (single, runs, go) = (single.clone(), runs.clone(), go.clone());
            let work = async move {
                go.notified().await;
                runs.fetch_add(1, Ordering::SeqCst)
            };
            async move { single.run(key, || work).await }
        };
        let first = tokio::spawn(ask("a"));
        tokio::task::yield_now().await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        let others: Vec<_> = (0..50).map(|_| tokio::spawn(ask("a"))).collect();
        tokio::task::yield_now().await;
        go.notify_one();
        for other in others {
            assert_eq!(other.await.unwrap(), Some(0), "the work outlived who began it");
        }
        go.notify_one();
        assert_eq!(ask("a").await, Some(1), "and it can be done again");
    }

    #[tokio::test]
    async fn who_comes_through_a_cache_waits_for_nobody_who_did_not() {
        let single: Arc<Single<u8, usize>> = Arc::default();
        let came = HeaderMap::from_iter([(VIA, HeaderValue::from_static("1.1 longshore-0123456789abcdef"))]);
        let (way, around) = (Way::of(&came).unwrap(), single.clone());
        // What it asks of another comes back here.
        let work = async move { way.lead(around.run(1, || async { Way::now().hops() })).await.unwrap() };
        let hops = tokio::time::timeout(Duration::from_secs(20), single.run(1, || work)).await;
        assert_eq!(hops.expect("it does not wait for itself"), Some(1));
    }

    #[tokio::test]
    async fn what_is_done_once_is_so_for_all() {
        let (single, go): (Arc<Single<u8, u8>>, Arc<Notify>) = Default::default();
        let (near, waits) = (single.clone(), go.clone());
        let first = tokio::spawn(async move {
            near.run_once(1, || async move {
                waits.notified().await;
                2
            })
            .await
        });
        tokio::task::yield_now().await;
        let came = HeaderMap::from_iter([(VIA, HeaderValue::from_static("1.1 longshore-0123456789abcdef"))]);
        let far = Way::of(&came).unwrap().lead(single.run_once(1, || async { 3 }));
        go.notify_one();
        assert_eq!((far.await, first.await.unwrap()), (Some(2), Some(2)));
    }

    #[tokio::test]
    async fn work_that_panics_holds_nobody_up() {
        let single: Single<u8, u8> = Single::default();
        assert_eq!(single.run(1, || async { panic!("as it is to") }).await, None);
        assert_eq!(single.run(1, || async { 2 }).await, Some(2));
    }
}
