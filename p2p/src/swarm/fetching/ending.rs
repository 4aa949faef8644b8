//! When nothing more is to be hoped for.

use tokio::sync::mpsc::error::TrySendError;

use super::Fetch;
use crate::{
    moment::Moment,
    swarm::{FetchError, OriginError, arrival::FetchId, task::Task},
};

/// What the origin failed with last, when no piece has come since.
pub(super) struct Trouble {
    error: OriginError,
    /// When it failed first.
    since: Moment,
    /// When it failed last.
    last: Moment,
    /// Whether it was asked again after it had failed, and failed again.
    is_repeated: bool,
}

impl Trouble {
    /// A request that was begun then has failed.
    pub(super) fn after(before: Option<Self>, begun: Moment, error: OriginError, now: Moment) -> Self {
        let is_repeated = before.as_ref().is_some_and(|before| before.is_repeated || begun > before.last);
        Self { error, since: before.map_or(now, |before| before.since), last: now, is_repeated }
    }
}

impl Task {
    /// Whether nothing more is to be hoped for: the origin fails whenever it is asked and nobody else may bring anything, or nothing has
    /// come for long, which is less long where the origin fails for good.
    pub(super) fn fails(&self, id: FetchId, now: Moment) -> bool {
        let Some(fetch) = self.fetches.get(&id) else { return false };
        let Some(trouble) = fetch.trouble.as_ref().filter(|_| fetch.runs.is_empty()) else { return false };
        // What comes for one of two of the same blob is here for the other.
        let alike = || self.fetches.values().filter(|other| other.key == fetch.key);
        let fed = alike().map(|other| other.fed).max().unwrap_or(fetch.fed);
        let patience = if trouble.error.is_final { self.settings.give_up_refused_after } else { self.settings.give_up_after };
        if now.since(trouble.since.max(fed)) >= patience {
            return true;
        }
        let may_be_fed = alike().any(|other| other.download.has_useful_peers())
            || self.expects_peers(id)
            || self.hopes_for_peers(fetch, now)
            || self.announcing.is_asking(&fetch.key);
        trouble.is_repeated && !may_be_fed
    }

    /// Whether somebody is about to be found who may have it.
    pub(in crate::swarm) fn expects_peers(&self, id: FetchId) -> bool {
        let has_links = self.links.iter().next().is_some();
        let is_opening = |fetch: &Fetch| (fetch.shown.is_none() && has_links) || fetch.at.values().any(|at| !at.is_open);
        let is_dialing = self.may_dial || self.book.usage().dialing > 0 || self.joins.are_asked();
        self.fetches.get(&id).is_some_and(is_opening) || is_dialing
    }

    /// Whether somebody may be had yet who can't be had now: who has refused and is asked again, or is said to have it and let be for a
    /// time.
    fn hopes_for_peers(&self, fetch: &Fetch, now: Moment) -> bool {
        let is_asked_again = !fetch.refused.is_empty() || (fetch.is_showing && !fetch.again.is_empty());
        let is_open = |peer| self.links.of(&peer).and_then(|link| fetch.at.get(&link)).is_some_and(|at| at.is_open);
        let mut holders = self.book.holders(&fetch.key, now).map(|(peer, _)| peer);
        is_asked_again || holders.any(|peer| !is_open(peer) && !self.book.is_banned(&peer, now))
    }

    /// A download fails.
    pub(super) fn fail(&mut self, id: FetchId) {
        if let Some(fetch) = self.fetches.get_mut(&id)
            && let Some(Trouble { error, .. }) = fetch.trouble.take()
            && let Err(TrySendError::Full(error)) = fetch.out.try_send(Err(FetchError::Origin(error)))
        {
            // It is told when there is a place for it, or nobody listens any more.
            let out = fetch.out.clone();
            tokio::spawn(async move { out.send(error).await });
        }
        self.end(id);
    }

    /// Ends what nobody takes any more, sees to peers that don't answer or have refused, and looks whether what is in trouble fails.
    pub(in crate::swarm) fn end_forsaken(&mut self, now: Moment) {
        for id in self.fetches.keys().copied().collect::<Vec<_>>() {
            let Some(fetch) = self.fetches.get(&id) else { continue };
            if fetch.out.is_closed() {
                self.end(id);
                continue;
            }
            if fetch.trouble.is_some() {
                self.stirred.insert(id);
            }
            self.give_up_unanswered(id, now);
            self.ask_refusers_again(id, now);
        }
    }
}
