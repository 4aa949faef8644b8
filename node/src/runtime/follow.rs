//! Asks containerd now and then what its store holds and what runs, and acts by it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use longshore_edge_cache::{
    grants::{Denied, What},
    upstream::{Identity, Upstream},
};
use longshore_oci::{Digest, RepositoryName};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Runtime,
    client::RuntimeError,
    pins::Pinning,
    places::places,
    stock::{Listed, MOST_BLOBS, Telling, Untold},
};

/// How long what its store held counts on while it does not answer.
const AWAY_FOR: Duration = Duration::from_mins(1);
/// Of how many blobs registries are asked in one round.
const MOST_ASKED: usize = 64;
/// How long the first look may keep the node from starting.
const FIRST_LOOK: Duration = Duration::from_secs(5);

impl Runtime {
    /// Looks once, so that what was shared before a restart is found to be there.
    pub async fn look_first(&self) {
        match tokio::time::timeout(FIRST_LOOK, self.look()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(error = &error as &dyn std::error::Error, "containerd is not there yet"),
            Err(_) => tracing::debug!("containerd takes long to say what it holds"),
        }
    }

    /// Looks again and again.
    pub async fn follow(self: Arc<Self>, stopping: CancellationToken) {
        let (mut away_since, mut pinning) = (None, Pinning::default());
        let mut telling: Option<AbortOnDropHandle<()>> = None;
        loop {
            let Some(round) = stopping.run_until_cancelled(self.round(&mut pinning)).await else { return };
            away_since = self.note(round, away_since);
            if away_since.is_none() && telling.as_ref().is_none_or(AbortOnDropHandle::is_finished) {
                // By itself: a registry that does not answer is not to keep what runs from being pinned.
                let runtime = self.clone();
                telling = Some(AbortOnDropHandle::new(tokio::spawn(async move { runtime.tell_neighbours().await })));
            }
            let waiting = tokio::time::timeout(self.settings.poll_interval.get(), self.soon.notified());
            if stopping.run_until_cancelled(waiting).await.is_none() {
                return;
            }
        }
    }

    async fn round(&self, pinning: &mut Pinning) -> Result<(), RuntimeError> {
        self.look().await?;
        self.pin_running(pinning).await?;
        self.metrics.up.set(1);
        self.drop_copies().await;
        Ok(())
    }

    /// Says once that it is away, and once that it is back. Since when it is away.
    fn note(&self, round: Result<(), RuntimeError>, away_since: Option<Instant>) -> Option<Instant> {
        match (round, away_since) {
            (Ok(()), None) => None,
            (Ok(()), Some(_)) => {
                tracing::info!(address = self.settings.address, "containerd answers again");
                None
            }
            (Err(error), since) => {
                self.metrics.up.set(0);
                if since.is_none() {
                    let (error, pins_stay) = (&error as &dyn std::error::Error, self.settings.pins_stay.to_string());
                    tracing::warn!(
                        error,
                        pins_stay,
                        "containerd does not say what it holds and runs; the last pins stay for a while"
                    );
                }
                let since = since.unwrap_or_else(Instant::now);
                if since.elapsed() >= AWAY_FOR {
                    self.stock.clear();
                    self.edge.store.set_elsewhere(Arc::default());
                }
                Some(since)
            }
        }
    }

    /// Finds out what its store holds.
    async fn look(&self) -> Result<(), RuntimeError> {
        let (mut all, mut is_all) = (Vec::new(), true);
        for namespace in &self.settings.namespaces {
            let name: Arc<str> = namespace.as_str().into();
            self.client
                .list(namespace, |info| {
                    is_all = all.len() < MOST_BLOBS;
                    all.extend(Listed::of(&info).filter(|_| is_all).map(|listed| (name.clone(), listed)));
                    is_all
                })
                .await?;
        }
        if !is_all {
            tracing::debug!(most = MOST_BLOBS, "containerd's store holds more than is known of it here");
        }
        self.stock.set(all);
        self.learn_from_cache();
        self.edge.store.set_elsewhere(Arc::new(self.stock.elsewhere()));
        self.metrics.content.set(i64::try_from(self.stock.count()).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Takes up what the cache knows of the pieces of what containerd holds, by the word of each registry that has shown to have it.
    fn learn_from_cache(&self) {
        for (digest, size_bytes) in self.stock.all() {
            // Not held over anything else: what is held is not dropped to make room.
            if self.edge.store.peek(&digest).is_none() {
                continue;
            }
            for upstream in self.edge.upstreams.iter().map(|upstream| upstream.key()) {
                if self.stock.vouched(&digest, upstream).is_some() {
                    continue;
                }
                let kept = self.edge.blobs.kept(&digest, upstream);
                if let Some(kept) = kept.filter(|kept| kept.geometry().size_bytes() == size_bytes && kept.is_complete()) {
                    self.stock.set_shown(&digest, upstream, size_bytes, kept.hashes().clone());
                }
            }
        }
    }

    /// Drops from the cache what containerd holds, where that is wanted.
    async fn drop_copies(&self) {
        if !self.settings.drop_copies {
            return;
        }
        for digest in self.stock.elsewhere() {
            if self.edge.store.peek(&digest).is_some_and(|kept| kept.is_complete()) && self.edge.blobs.let_go(&digest).await {
                self.metrics.dropped.inc();
                tracing::debug!(%digest, "a blob left the cache, as containerd's store holds it");
            }
        }
    }

    /// Has peers know of what its store holds, as far as registries confirm that they may.
    async fn tell_neighbours(self: &Arc<Self>) {
        for untold in self.stock.untold(MOST_ASKED, Instant::now()) {
            let telling = self.tell(&untold).await;
            self.stock.note_told(&untold.digest, telling, Instant::now());
        }
    }

    /// Tells peers of a blob by each of its places by which they may know of it.
    async fn tell(self: &Arc<Self>, untold: &Untold) -> Telling {
        let registries = untold.places.iter();
        let may_be: Vec<_> = registries.flat_map(|(registry, name)| places(&self.edge.upstreams, registry, name)).collect();
        let mut all = Telling::Denied;
        for (upstream, repository) in may_be {
            match self.confirm(&upstream, &repository, &untold.digest).await {
                Telling::Told => {
                    self.edge.sources.shares(&upstream, &repository, &untold.digest);
                    if all == Telling::Denied {
                        all = Telling::Told;
                    }
                }
                Telling::Denied => {}
                Telling::Unknown => all = Telling::Unknown,
            }
        }
        all
    }

    /// Whether peers may be told of a blob by a place: by what its registry says, and shows.
    async fn confirm(self: &Arc<Self>, upstream: &Arc<Upstream>, repository: &RepositoryName, digest: &Digest) -> Telling {
        // That containerd says it came from there is no proof.
        if let Err(denied) = self.edge.grants.has(upstream, repository, &What::Blob(digest.clone())).await {
            let is_unknown = denied.says_nothing() || matches!(denied, Denied::Overloaded);
            let denied = &denied as &dyn std::error::Error;
            tracing::debug!(upstream = upstream.name(), %digest, denied, "what containerd holds is not shared");
            return if is_unknown { Telling::Unknown } else { Telling::Denied };
        }
        // That a registry has the blob is one thing, and that it knows what it is made of another: only who has had it does.
        if self.stock.vouched(digest, upstream.key()).is_none() {
            match upstream.metainfo(&Identity::Edge, repository, digest).await {
                Ok(Some((size_bytes, hashes))) => self.hear(upstream.key(), digest, size_bytes, hashes).await,
                Ok(None) => {}
                Err(error) => {
                    let (is_unknown, error) = (error.is_down(), &error as &dyn std::error::Error);
                    tracing::debug!(upstream = upstream.name(), %digest, error, "what containerd holds is not shared");
                    return if is_unknown { Telling::Unknown } else { Telling::Denied };
                }
            }
        }
        match (self.stock.vouched(digest, upstream.key()), self.stock.said(digest, upstream.key())) {
            (Some(_), _) => Telling::Told,
            // Its word could not be compared with what is held, for now.
            (None, Some(_)) => Telling::Unknown,
            (None, None) => Telling::Denied,
        }
    }
}
