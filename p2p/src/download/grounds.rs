//! On what grounds a node may ask the origin: a pure function of what it sees.
//!
//! A zone is to cost the origin about one copy, so who asks is who holds the lease. Besides it, a node asks by itself where nobody else
//! would: when it knows no peer and no tracker answers; for a stripe that gets nothing new, as when its holder is gone; for the piece that
//! a client waits for in vain; and where its peers are far slower than the origin was, so that no node is worse off for its neighbours.

use super::{DownloadSettings, Lease, Stripes};
use crate::moment::Moment;

/// What a node sees when it asks itself whether it may ask the origin.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    /// The time.
    pub now: Moment,
    /// The last lease that it was given.
    pub lease: Option<Lease>,
    /// When it last asked for one in vain.
    pub lease_asked: Option<Moment>,
    /// Whether it knows a peer that counts.
    pub has_peers: bool,
    /// The stripes of pieces to be asked for that nobody of the zone has.
    pub bare: Stripes,
    /// And of those that no peer at all has.
    pub nobodys: Stripes,
    /// When each stripe counts as forsaken, unless something new of it comes before.
    pub forsaken_at: &'a [Moment],
    /// The stripes that it has begun to fetch on its own.
    pub taken: Stripes,
    /// Until when a client waits for others to bring the piece that it needs next and that isn't here.
    pub waits_until: Option<Moment>,
    /// Whether the peers bring far less than the origin did, or take too long for anything where it hasn't shown its pace, while no
    /// request to the origin runs.
    pub is_underfed: bool,
}

/// What the origin may be asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Grounds {
    /// What nobody of the zone has, of these stripes: the lease says so.
    pub leased: Stripes,
    /// What no peer has, of these: nobody else does it.
    pub taken: Stripes,
    /// The piece that a client waits for.
    pub place: bool,
    /// Anything, one request at a time.
    pub anything: bool,
    /// Whether to ask for a lease.
    pub needs_lease: bool,
    /// When to look again, were nothing to happen.
    pub again: Option<Moment>,
}

/// What the origin may be asked for.
pub fn grounds(seen: &Snapshot, settings: &DownloadSettings) -> Grounds {
    let now = seen.now;
    let mut grounds = Grounds { taken: seen.taken.and(seen.nobodys), anything: seen.is_underfed, ..Grounds::default() };
    let mut again = |at: Moment| grounds.again = Some(grounds.again.map_or(at, |known| known.min(at)));

    if let Some(lease) = seen.lease.filter(|lease| now < lease.until) {
        grounds.leased = lease.stripes.and(seen.bare);
        if !seen.bare.is_empty() {
            again(lease.until);
        }
    } else if !seen.bare.is_empty() {
        grounds.needs_lease = seen.lease_asked.is_none_or(|asked| now >= asked + settings.takeover);
        let asked = if grounds.needs_lease { now } else { seen.lease_asked.unwrap_or(now) };
        again(asked + settings.takeover);
        let is_silent = now >= seen.lease_asked.unwrap_or(now) + settings.lease_patience;
        if !seen.has_peers {
            if is_silent {
                grounds.taken = seen.nobodys;
            } else {
                again(asked + settings.lease_patience);
            }
        }
    }

    for stripe in seen.nobodys.without(grounds.leased).without(grounds.taken).iter() {
        match seen.forsaken_at.get(usize::from(stripe)) {
            Some(at) if now < *at => again(*at),
            Some(_) => grounds.taken.insert(stripe),
            None => {}
        }
    }

    match seen.waits_until {
        Some(until) if now < until => again(until),
        Some(_) => grounds.place = true,
        None => {}
    }
    grounds
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const STILL: [Moment; 4] = [Moment(Duration::from_mins(1)); 4];

    fn ms(ms: u64) -> Moment {
        Moment(Duration::from_millis(ms))
    }

    fn seen(now: u64) -> Snapshot<'static> {
        Snapshot {
            now: ms(now),
            lease: None,
            lease_asked: None,
            has_peers: true,
            bare: Stripes::all(4),
            nobodys: Stripes::all(4),
            forsaken_at: &STILL,
            taken: Stripes::default(),
            waits_until: None,
            is_underfed: false,
        }
    }

    fn judged(seen: Snapshot) -> Grounds {
        grounds(&seen, &DownloadSettings::default())
    }

    #[test]
    fn a_lease_opens_its_stripes_for_its_time() {
        let lease = Lease { stripes: [1, 2].into_iter().collect(), of: 4, until: ms(5_000) };
        let held = Snapshot { lease: Some(lease), bare: [0, 1].into_iter().collect(), ..seen(4_999) };
        let expected = Grounds { leased: [1].into_iter().collect(), again: Some(ms(5_000)), ..Grounds::default() };
        assert_eq!(judged(held), expected);
        let over = judged(Snapshot { now: ms(5_000), ..held });
        assert!(over.leased.is_empty() && over.needs_lease && over.again == Some(ms(7_000)), "{over:?}");
        // It was asked for, and isn't asked for again at once.
        assert!(!judged(Snapshot { lease_asked: Some(ms(5_000)), ..seen(5_100) }).needs_lease);
        assert!(judged(Snapshot { lease_asked: Some(ms(5_000)), ..seen(7_000) }).needs_lease);
    }

    #[test]
    fn alone_and_unanswered_a_node_asks_by_itself() {
        let alone = Snapshot { has_peers: false, ..seen(1_000) };
        assert_eq!(
            (judged(alone).needs_lease, judged(alone).taken, judged(alone).again),
            (true, Stripes::default(), Some(ms(2_500)))
        );
        let unanswered = Snapshot { now: ms(2_300), lease_asked: Some(ms(800)), ..alone };
        assert_eq!(judged(unanswered).taken, Stripes::all(4));
        // With peers it is not alone, and a tracker that says "others do" has answered.
        assert!(judged(Snapshot { has_peers: true, ..unanswered }).taken.is_empty());
        let others = Lease { stripes: Stripes::default(), of: 4, until: ms(5_000) };
        assert!(judged(Snapshot { lease: Some(others), ..unanswered }).taken.is_empty());
    }

    #[test]
    fn a_forsaken_stripe_is_taken_over_and_kept() {
        let mut forsaken_at = STILL;
        (forsaken_at[1], forsaken_at[2]) = (ms(1_000), ms(900));
        let asked = Some(ms(0));
        let forsaken =
            Snapshot { lease_asked: asked, forsaken_at: &forsaken_at, nobodys: [0, 1].into_iter().collect(), ..seen(999) };
        assert_eq!((judged(forsaken).taken, judged(forsaken).again), (Stripes::default(), Some(ms(1_000))));
        assert_eq!(judged(Snapshot { now: ms(1_000), ..forsaken }).taken, [1].into_iter().collect());
        let kept = Snapshot { taken: [0, 3].into_iter().collect(), ..forsaken };
        assert_eq!(judged(kept).taken, [0].into_iter().collect());
    }

    #[test]
    fn a_client_does_not_wait_in_vain() {
        let waits = |now| judged(Snapshot { waits_until: Some(ms(1_500)), ..seen(now) });
        assert_eq!((waits(1_400).place, waits(1_400).again), (false, Some(ms(1_500))));
        assert!(waits(1_500).place && !judged(seen(9_000)).place);
    }

    #[test]
    fn what_nobody_needs_is_asked_on_no_grounds() {
        let done = Snapshot { bare: Stripes::default(), nobodys: Stripes::default(), has_peers: false, ..seen(100_000) };
        assert_eq!(judged(done), Grounds::default());
        assert!(judged(Snapshot { is_underfed: true, ..done }).anything);
    }
}
