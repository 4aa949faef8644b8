use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rand::{SeedableRng as _, rngs::StdRng};

use super::*;
use crate::locality::{Locality, MOST_NAME_BYTES};

mod leases;
mod model;
mod sharing;
mod telling;

pub fn topic(number: u64) -> TopicKey {
    TopicKey(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

pub fn peer(number: u64) -> PeerId {
    let digest = blake3::hash(&number.to_le_bytes());
    // The prefix of a SHA-256 multihash.
    PeerId::from_bytes(&[&[0x12, 0x20], digest.as_bytes().as_slice()].concat()).unwrap()
}

/// A peer in a region, zone and rack, as `eu/a/1`; the rack may be left out.
fn record(number: u64, place: &str) -> PeerRecord {
    let mut names = place.split('/').map(str::to_owned);
    let mut name = || names.next().unwrap_or_default();
    let locality = Locality { region: name(), zone: name(), rack: name(), host: format!("host-{number}") };
    PeerRecord { peer: peer(number), pieces: vec![([10, 0, 0, 1], 5300).into()], locality }
}

fn says(topic: TopicKey, pieces: u32) -> Announcement {
    Announcement { topic, holds: Holds { pieces, of: 100 }, wants_peers: 8, wants_origin: 4 }
}

fn network(number: u8) -> IpAddr {
    [10, 0, 0, number].into()
}

/// A tracker at a time.
struct Bed {
    tracker: Tracker,
    rng: StdRng,
    now: Moment,
    /// Where they announce from.
    from: IpAddr,
}

impl Bed {
    fn new(settings: TrackerSettings) -> Self {
        Self { tracker: Tracker::new(settings), rng: StdRng::seed_from_u64(7), now: Moment::default(), from: network(1) }
    }

    fn try_announce(&mut self, record: &PeerRecord, announcement: Announcement) -> Result<Answer, Refusal> {
        let mut answers = self.tracker.announce(record, self.from, &[announcement], self.now, &mut self.rng);
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    fn announce(&mut self, record: &PeerRecord, announcement: Announcement) -> Answer {
        self.try_announce(record, announcement).unwrap()
    }

    fn pass(&mut self, time_ms: u64) {
        self.now += Duration::from_millis(time_ms);
        self.tracker.expire(self.now);
    }

    /// How many topics, peers and announcements there are.
    fn usage(&self) -> [usize; 3] {
        let Usage { topics, peers, announcements } = self.tracker.usage();
        [topics, peers, announcements]
    }
}

#[test]
fn an_announcement_holds_for_a_lease_and_no_longer() {
    let mut bed = Bed::new(TrackerSettings::default());
    let (one, two) = (record(1, "eu/a/1"), record(2, "eu/a/1"));
    assert_eq!(bed.tracker.wake_at(), None);
    bed.announce(&one, says(topic(1), 0));
    bed.announce(&one, says(topic(2), 0));
    bed.pass(10_000);
    let answer = bed.announce(&two, says(topic(1), 0));
    assert_eq!(answer.peers, [Told { record: Arc::new(one.clone()), has_all: false }]);
    assert_eq!(bed.usage(), [2, 2, 3]);
    assert_eq!(bed.tracker.wake_at(), Some(Moment(Duration::from_secs(45))));
    bed.announce(&one, says(topic(1), 0));
    bed.pass(34_999);
    assert_eq!(bed.usage(), [2, 2, 3]);
    bed.pass(1);
    assert_eq!(bed.usage(), [1, 2, 2], "the one that was not renewed is over");
    bed.pass(10_000);
    assert_eq!((bed.usage(), bed.tracker.wake_at()), ([0; 3], None));
    let Totals { announced, renewed, expired, told, .. } = bed.tracker.totals();
    assert_eq!((announced, renewed, expired, told), (3, 1, 3, 2));
}

#[test]
fn who_withdraws_or_breaks_off_is_told_of_no_more() {
    let mut bed = Bed::new(TrackerSettings::default());
    let (one, two) = (record(1, "eu/a/1"), record(2, "eu/a/1"));
    for number in 0..5 {
        bed.announce(&one, says(topic(number), 0));
    }
    bed.tracker.withdraw(&one.peer, &topic(0), bed.now);
    bed.tracker.withdraw(&one.peer, &topic(9), bed.now);
    bed.tracker.withdraw(&two.peer, &topic(0), bed.now);
    assert_eq!(bed.usage(), [4, 1, 4]);
    assert!(bed.announce(&two, says(topic(0), 0)).peers.is_empty());
    assert_eq!(bed.announce(&two, says(topic(1), 0)).peers.len(), 1);
    bed.tracker.gone(&one.peer, bed.now);
    bed.tracker.gone(&one.peer, bed.now);
    assert_eq!(bed.usage(), [2, 1, 2]);
    assert!(bed.announce(&two, says(topic(1), 0)).peers.is_empty());
    let Totals { withdrawn, broken_off, expired, .. } = bed.tracker.totals();
    assert_eq!((withdrawn, broken_off, expired), (1, 4, 0));
}

#[test]
fn what_would_pass_a_bound_is_refused_and_leaves_nothing() {
    let bounds =
        TrackerSettings { most_topics: 3, most_peers: 3, most_topics_of_peer: 2, most_announcements: 4, ..Default::default() };
    let mut bed = Bed::new(bounds);
    let [one, two, three, four] = [1, 2, 3, 4].map(|number| record(number, "eu/a"));
    let both =
        bed.tracker.announce(&one, bed.from, &[says(topic(1), 0), says(topic(2), 0), says(topic(3), 0)], bed.now, &mut bed.rng);
    assert!(both[0].is_ok() && both[1].is_ok());
    assert_eq!(both[2], Err(Refusal::ManyOfPeer(2)));
    bed.announce(&one, says(topic(1), 1));
    bed.announce(&two, says(topic(3), 0));
    assert_eq!(bed.try_announce(&three, says(topic(4), 0)), Err(Refusal::ManyTopics(3)));
    assert_eq!(bed.usage(), [3, 2, 3], "the refused is not known");
    bed.announce(&three, says(topic(3), 0));
    assert_eq!(bed.try_announce(&four, says(topic(3), 0)), Err(Refusal::ManyPeers(3)));
    assert_eq!(bed.try_announce(&two, says(topic(1), 0)), Err(Refusal::ManyAnnouncements(4)));
    let mut large = record(5, "eu/a");
    large.pieces = vec![large.pieces[0]; MOST_ADDRESSES + 1];
    assert_eq!(bed.try_announce(&large, says(topic(1), 0)), Err(Refusal::LargeRecord));
    assert_eq!(bed.try_announce(&record(5, &"x".repeat(MOST_NAME_BYTES + 1)), says(topic(1), 0)), Err(Refusal::LargeRecord));
    assert_eq!((bed.usage(), bed.tracker.totals().refused), ([3, 3, 4], 6));
    bed.pass(45_000);
    assert_eq!(bed.usage(), [0; 3]);
    bed.announce(&four, says(topic(4), 0));
}

#[test]
fn in_a_full_topic_one_of_those_heard_of_longest_ago_makes_room_but_no_leaseholder() {
    let bounds = TrackerSettings { most_peers_of_topic: 6, origin_term: Duration::from_secs(30), ..Default::default() };
    let mut bed = Bed::new(bounds);
    for number in 0..6 {
        bed.announce(&record(number, "eu/a"), says(topic(1), 0));
        bed.pass(100);
    }
    let newcomer = record(9, "eu/b");
    let answer = bed.announce(&newcomer, Announcement { wants_peers: 32, wants_origin: 0, ..says(topic(1), 0) });
    let told: BTreeSet<_> = answer.peers.iter().map(|told| told.record.peer).collect();
    assert_eq!(told, [0, 2, 3, 4, 5].map(peer).into(), "0 holds the stripes, so 1 went");
    assert_eq!((bed.usage(), bed.tracker.totals().evicted), ([1, 6, 6], 1));

    // Where each holds a stripe nobody goes.
    let mut bed = Bed::new(TrackerSettings { most_peers_of_topic: 2, ..Default::default() });
    bed.announce(&record(1, "eu/a"), says(topic(1), 0));
    bed.announce(&record(2, "eu/b"), says(topic(1), 0));
    assert_eq!(bed.try_announce(&newcomer, says(topic(1), 0)), Err(Refusal::FullTopic(2)));
    assert_eq!(bed.usage(), [1, 2, 2]);

    // And one that was its topic's last makes room in it all the same.
    let mut bed = Bed::new(TrackerSettings { most_peers_of_topic: 1, ..Default::default() });
    bed.announce(&record(1, "eu/a"), says(topic(1), 100));
    bed.announce(&newcomer, says(topic(1), 0));
    assert_eq!(bed.usage(), [1, 1, 1]);
}

#[test]
fn a_peer_that_moves_is_told_of_where_it_is_now() {
    let mut bed = Bed::new(TrackerSettings::default());
    let watcher = record(1, "eu/a");
    bed.announce(&record(2, "eu/a/1"), says(topic(1), 0));
    bed.announce(&record(2, "eu/a/1"), says(topic(2), 100));
    bed.announce(&record(2, "us/b/7"), says(topic(1), 3));
    for (number, has_all) in [(1, false), (2, true)] {
        let answer = bed.announce(&watcher, says(topic(number), 0));
        assert_eq!(answer.peers, [Told { record: Arc::new(record(2, "us/b/7")), has_all }]);
        assert_eq!(answer.origin.stripes.len(), 4);
    }
    bed.tracker.gone(&peer(2), bed.now);
    bed.tracker.gone(&peer(1), bed.now);
    assert_eq!(bed.usage(), [0; 3]);
}

#[test]
fn a_tracker_that_restarts_is_filled_by_the_renewals() {
    let mut bed = Bed::new(TrackerSettings::default());
    let all: Vec<_> = (0..50).map(|number| record(number, "eu/a/1")).collect();
    let slowest = all.iter().map(|one| bed.announce(one, says(topic(1), 1)).again_in).max().unwrap();
    assert!(slowest <= Duration::from_secs(15), "{slowest:?}");
    bed.tracker = Tracker::new(TrackerSettings::default());
    for one in &all {
        bed.announce(one, says(topic(1), 5));
    }
    assert_eq!(bed.usage(), [1, 50, 50]);
    assert_eq!(bed.announce(&all[0], says(topic(1), 6)).peers.len(), 8);
}
