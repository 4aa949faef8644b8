//! Who is shunned, and until when.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use libp2p_identity::PeerId;

use super::AcquaintanceSettings;
use crate::moment::Moment;

/// Why a peer is banned.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Why {
    /// It sent a piece that was not what it must be.
    WrongPiece,
    /// It broke the protocol.
    Protocol,
}

/// One ban.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ban {
    /// Until when.
    pub until: Moment,
    /// Why, the last time.
    pub why: Why,
    /// How often it was banned in all that is remembered.
    pub times: u32,
}

/// What there is to say of bans.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BanReport {
    /// Those that hold, by peer.
    pub banned: Vec<(PeerId, Ban)>,
    /// How many there ever were for wrong pieces.
    pub wrong_pieces: u64,
    /// The same for broken protocol.
    pub protocol: u64,
}

/// The bans of a node. They are of a peer and not of a connection, so coming again doesn't end one.
#[derive(Debug, Default)]
pub struct Bans {
    by_peer: BTreeMap<PeerId, Ban>,
    by_end: BTreeSet<(Moment, PeerId)>,
    wrong_pieces: u64,
    protocol: u64,
}

impl Bans {
    /// Bans a peer; until when. The time is twice the last as long as that is remembered; whatever else comes of a peer that is banned
    /// was on its way when the ban began, and makes it no longer. Of more bans than there may be, the one that ends first is forgotten.
    pub fn ban(&mut self, peer: PeerId, why: Why, settings: &AcquaintanceSettings, now: Moment) -> Moment {
        if let Some(ban) = self.by_peer.get(&peer).filter(|ban| now < ban.until) {
            return ban.until;
        }
        match why {
            Why::WrongPiece => self.wrong_pieces += 1,
            Why::Protocol => self.protocol += 1,
        }
        self.forget_old(settings.most_ban, now);
        let before = self.by_peer.remove(&peer);
        if let Some(before) = before {
            self.by_end.remove(&(before.until, peer));
        }
        let times = before.map_or(0, |ban| ban.times);
        let doubled = settings.least_ban.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX));
        let until = now + doubled.min(settings.most_ban);
        while self.by_peer.len() >= settings.bans.max(1) {
            let Some((_, first)) = self.by_end.pop_first() else { break };
            self.by_peer.remove(&first);
        }
        self.by_peer.insert(peer, Ban { until, why, times: times.saturating_add(1) });
        self.by_end.insert((until, peer));
        until
    }

    /// Whether a ban holds.
    pub fn is_banned(&self, peer: &PeerId, now: Moment) -> bool {
        self.by_peer.get(peer).is_some_and(|ban| now < ban.until)
    }

    /// What there is to say.
    pub fn report(&self, now: Moment) -> BanReport {
        let banned = self.by_peer.iter().filter(|(_, ban)| now < ban.until).map(|(peer, ban)| (*peer, *ban)).collect();
        BanReport { banned, wrong_pieces: self.wrong_pieces, protocol: self.protocol }
    }

    /// How many are remembered.
    pub fn count(&self) -> usize {
        self.by_peer.len()
    }

    fn forget_old(&mut self, remembered: Duration, now: Moment) {
        while let Some((until, peer)) = self.by_end.first().copied().filter(|(until, _)| *until + remembered < now) {
            self.by_end.remove(&(until, peer));
            self.by_peer.remove(&peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::peer, *};

    fn s(s: u64) -> Moment {
        Moment(Duration::from_secs(s))
    }

    #[test]
    fn each_ban_is_twice_the_last_up_to_an_hour() {
        let (mut bans, settings, mut now) = (Bans::default(), AcquaintanceSettings::default(), s(0));
        for expected in [60, 120, 240, 480, 960, 1920, 3600, 3600] {
            assert!(!bans.is_banned(&peer(1), now));
            let until = bans.ban(peer(1), Why::WrongPiece, &settings, now);
            assert_eq!(until, now + Duration::from_secs(expected));
            assert!(bans.is_banned(&peer(1), now + Duration::from_secs(expected - 1)) && !bans.is_banned(&peer(1), until));
            now = until + Duration::from_secs(1);
        }
        // Who behaves for long begins anew.
        now += settings.most_ban;
        assert_eq!(bans.ban(peer(1), Why::Protocol, &settings, now), now + settings.least_ban);
        let report = bans.report(now);
        assert_eq!((report.wrong_pieces, report.protocol, report.banned.len()), (8, 1, 1));
        assert_eq!(report.banned[0].1, Ban { until: now + settings.least_ban, why: Why::Protocol, times: 1 });
        assert!(bans.report(now + settings.least_ban).banned.is_empty());
    }

    #[test]
    fn the_wrong_pieces_of_one_burst_are_one_ban() {
        let (mut bans, settings) = (Bans::default(), AcquaintanceSettings::default());
        let untils = (0..16).map(|piece| bans.ban(peer(1), Why::WrongPiece, &settings, s(piece)));
        assert!(untils.collect::<Vec<_>>().iter().all(|until| *until == s(60)));
        assert_eq!((bans.report(s(20)).wrong_pieces, bans.report(s(20)).banned[0].1.times), (1, 1));
        assert_eq!(bans.ban(peer(1), Why::WrongPiece, &settings, s(60)), s(180));
    }

    #[test]
    fn they_are_bounded_and_the_longest_stay() {
        let settings = AcquaintanceSettings { bans: 2, ..AcquaintanceSettings::default() };
        let mut bans = Bans::default();
        bans.ban(peer(1), Why::Protocol, &settings, s(0));
        bans.ban(peer(1), Why::Protocol, &settings, s(60));
        for who in 2..5 {
            bans.ban(peer(who), Why::Protocol, &settings, s(61));
        }
        assert_eq!((1..5).map(|who| bans.is_banned(&peer(who), s(62))).collect::<Vec<_>>(), [true, false, false, true]);
        assert_eq!((bans.count(), bans.by_end.len()), (2, 2));
    }
}
