//! What a node that has a book of peers, serves them and runs a tracker owes these three, played with peers that come, go, ask, lie and
//! fall silent: nothing grows past its bound, and once all are gone nothing of them is left.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use longshore_oci::piece::{PIECE_BYTES, PieceIndex};
use rand::{RngExt as _, seq::IteratorRandom as _};

use super::*;
use crate::{
    locality::Nearness,
    tracker::{self, Announcement, Tracker, TrackerSettings},
    upload::{Asked, Cancelled, Serve, ServeId, UploadSettings, UploadUsage, Uploads, limits},
};

const PEERS: u16 = 40;
const TOPICS: u8 = 4;
const PIECES: u32 = 12;

fn topic(number: u8) -> TopicKey {
    TopicKey([number; 32])
}

fn record_of(peer: PeerId) -> PeerRecord {
    PeerRecord { peer, ..record(1) }
}

fn upload_settings() -> UploadSettings {
    let rate = limits::Rate { bytes_per_s: (20 * PIECE_BYTES).try_into().unwrap(), burst_bytes: 4 * PIECE_BYTES };
    let limits = limits::LimitSettings { up: Some(rate), ..Default::default() };
    UploadSettings {
        slots: 4,
        queued: 30,
        queued_for: Duration::MAX,
        queued_per_peer: 5,
        peers: 6,
        counted_pieces: 20,
        limits,
        ..UploadSettings::default()
    }
}

fn book_settings() -> AcquaintanceSettings {
    AcquaintanceSettings {
        connections: 8,
        dials: 3,
        records: 20,
        records_per_teller: 6,
        sayings: 24,
        sayings_per_topic: 10,
        sayings_per_peer: 3,
        bans: 5,
        ..AcquaintanceSettings::default()
    }
}

fn tracker_settings() -> TrackerSettings {
    TrackerSettings {
        most_topics: 3,
        most_peers: 12,
        most_peers_of_topic: 5,
        most_announcements: 20,
        ..TrackerSettings::default()
    }
}

struct Driver {
    book: Acquaintances,
    uploads: Uploads,
    tracker: Tracker,
    rng: StdRng,
    now: Moment,
    connections: BTreeSet<PeerId>,
    dials: BTreeMap<PeerId, Moment>,
    /// What is being sent, by tasks of their own.
    sends: BTreeMap<ServeId, Serve>,
    /// Those of them that were told to stop, and have not said yet that they did.
    stopped: BTreeSet<ServeId>,
}

impl Driver {
    fn new(seed: u64) -> Self {
        Self {
            book: book(book_settings()),
            uploads: Uploads::new(upload_settings()),
            tracker: Tracker::new(tracker_settings()),
            rng: rng(seed),
            now: s(0),
            connections: BTreeSet::new(),
            dials: BTreeMap::new(),
            sends: BTreeMap::new(),
            stopped: BTreeSet::new(),
        }
    }

    /// There is a connection, whoever dialed; whether it stays. Who comes on a second one is known already.
    fn connected(&mut self, peer: PeerId) -> bool {
        self.dials.remove(&peer);
        let may_stay = self.book.connected(peer, self.now);
        if may_stay && self.connections.insert(peer) {
            assert!(self.book.learn(record_of(peer), Source::Itself, self.now));
        }
        may_stay
    }

    fn failed(&mut self, peer: PeerId) {
        self.dials.remove(&peer);
        self.book.failed(peer, self.now, &mut self.rng);
    }

    /// The connection is gone, or is closed here.
    fn lost(&mut self, peer: PeerId) {
        if self.connections.remove(&peer) {
            self.stopped.extend(self.uploads.forget_peer(peer));
            self.book.lost(peer, self.now, &mut self.rng);
        }
    }

    fn ask(&mut self, peer: PeerId) {
        // Where no record of it is known any more, it may be anywhere.
        let nearness = self.book.nearness(&peer).unwrap_or(Nearness::Elsewhere);
        let (of, piece) = (topic(self.rng.random_range(0..TOPICS)), PieceIndex(self.rng.random_range(0..PIECES)));
        let asked = Asked { topic: of, piece, bytes: PIECE_BYTES, nearness, is_newcomer: self.rng.random() };
        self.uploads.ask(peer, asked, self.now);
        self.book.used(&peer, self.now);
    }

    fn cancel(&mut self, peer: PeerId) {
        let (of, piece) = (topic(self.rng.random_range(0..TOPICS)), PieceIndex(self.rng.random_range(0..PIECES)));
        if let Cancelled::Serving(id) = self.uploads.cancel(peer, &of, piece) {
            self.stopped.insert(id);
        }
    }

    /// A task that sends has ended: it says so once, whatever it came to.
    fn sent(&mut self, id: ServeId) {
        let serve = self.sends.remove(&id).unwrap();
        let bytes = if self.stopped.remove(&id) { self.rng.random_range(0..=serve.bytes) } else { serve.bytes };
        self.uploads.served(id, bytes, Duration::from_millis(20), self.now);
    }

    /// A peer announces to the tracker beside this node; or this node to itself, as it would to another, and hears of peers.
    fn announce(&mut self, peer: PeerId) {
        let of = topic(self.rng.random_range(0..TOPICS));
        let holds = tracker::Holds { pieces: self.rng.random_range(0..=PIECES), of: PIECES };
        let announcement = Announcement { topic: of, holds, wants_peers: 8, wants_origin: 4 };
        let answers =
            self.tracker.announce(&record_of(peer), Ipv4Addr::LOCALHOST.into(), &[announcement], self.now, &mut self.rng);
        if let (Ok(answer), true) = (&answers[0], peer == super::peer(OWN)) {
            for told in &answer.peers {
                let holds = if told.has_all { Holds::All } else { Holds::Some };
                let other = told.record.peer;
                if self.book.learn((*told.record).clone(), Source::Tracker, self.now) {
                    self.book.says(of, other, holds, self.now);
                }
            }
        }
    }

    /// What follows from whatever happened.
    fn settle(&mut self) {
        while let Some(serve) = self.uploads.next(self.now) {
            assert!(self.connections.contains(&serve.peer), "nobody who is gone is served");
            assert!(self.sends.insert(serve.id, serve).is_none());
        }
        for peer in self.book.whom_to_drop(self.now) {
            self.lost(peer);
        }
        let timeout = book_settings().dial_timeout;
        let late: Vec<_> =
            self.dials.iter().filter(|(_, began)| self.now.since(**began) >= timeout).map(|(peer, _)| *peer).collect();
        for peer in late {
            self.failed(peer);
        }
        let needs = [0, 1].map(|of| Need { peers: self.connections.len(), beyond: 0, topic: topic(of) });
        for peer in self.book.whom_to_dial(&needs, self.now, &mut self.rng) {
            assert!(self.book.dialing(peer, self.now) && self.dials.insert(peer, self.now).is_none());
        }
        self.tracker.expire(self.now);
        self.check();
    }

    fn check(&self) {
        let (usage, settings) = (self.uploads.usage(), upload_settings());
        assert_eq!(usage.serving, self.sends.len());
        assert!(usage.serving <= settings.slots && usage.queued <= settings.queued, "{usage:?}");
        assert!(usage.peers <= settings.peers.min(self.connections.len()), "{usage:?}");
        assert!(usage.queued_bytes == usage.queued as u64 * PIECE_BYTES && usage.counted_pieces <= settings.counted_pieces);

        let (usage, settings) = (self.book.usage(), book_settings());
        assert_eq!((usage.connected, usage.dialing), (self.connections.len(), self.dials.len()));
        assert!(usage.connected <= settings.connections && usage.dialing <= settings.dials, "{usage:?}");
        assert!(usage.records <= settings.records && usage.sayings <= settings.sayings, "{usage:?}");
        assert!(usage.bans <= settings.bans && usage.failures <= settings.records, "{usage:?}");

        let (usage, settings) = (self.tracker.usage(), tracker_settings());
        assert!(usage.topics <= settings.most_topics && usage.peers <= settings.most_peers, "{usage:?}");
        assert!(usage.announcements <= settings.most_announcements, "{usage:?}");
        assert!(self.tracker.wake_at().is_none_or(|at| at > self.now), "what is over has gone");
    }

    fn step(&mut self) {
        let somebody = peer(self.rng.random_range(1..=PEERS));
        let connected = self.connections.iter().copied().choose(&mut self.rng);
        match (self.rng.random_range(0..40), connected) {
            (0..3, _) => {
                self.connected(somebody);
            }
            (3..5, _) => {
                if let Some(dialed) = self.dials.keys().copied().choose(&mut self.rng) {
                    self.connected(dialed);
                }
            }
            (5, _) => {
                if let Some(dialed) = self.dials.keys().copied().choose(&mut self.rng) {
                    self.failed(dialed);
                }
            }
            (6..16, Some(peer)) => self.ask(peer),
            (16..18, Some(peer)) => self.cancel(peer),
            (18, Some(peer)) => self.lost(peer),
            (19, Some(peer)) => {
                let why = if self.rng.random() { Why::WrongPiece } else { Why::Protocol };
                self.book.ban(peer, why, self.now);
            }
            (20..23, Some(teller)) => {
                let of = topic(self.rng.random_range(0..TOPICS));
                if self.book.learn(record_of(somebody), Source::Exchange(teller), self.now) {
                    self.book.says(of, somebody, Holds::Some, self.now);
                }
                let told = self.book.introduce(&of, &record_of(teller), self.now, &mut self.rng);
                assert!(told.len() <= book_settings().introduced);
            }
            (23..28, _) => self.announce(somebody),
            (28, _) => self.announce(peer(OWN)),
            (29, _) => self.tracker.withdraw(&somebody, &topic(0), self.now),
            (30, _) => self.tracker.gone(&somebody, self.now),
            (31..38, _) => {
                if let Some(ended) = self.sends.keys().copied().choose(&mut self.rng) {
                    self.sent(ended);
                }
            }
            (38, _) => self.now = self.now.max(self.uploads.wake_at().unwrap_or_default()),
            _ => self.now += Duration::from_millis(self.rng.random_range(0..8_000)),
        }
        self.settle();
    }

    /// All go at once: their connections, those on their way, and what was being sent.
    fn all_go(&mut self) {
        self.connections.clone().into_iter().for_each(|peer| self.lost(peer));
        self.dials.clone().into_keys().for_each(|peer| self.failed(peer));
        for id in self.sends.keys().copied().collect::<Vec<_>>() {
            assert!(self.stopped.contains(&id), "who sends to one that is gone is told to stop");
            self.sent(id);
        }
        (0..=PEERS).for_each(|number| self.tracker.gone(&peer(number), self.now));
    }
}

#[test]
fn nothing_grows_past_its_bound_and_nothing_is_left_of_who_is_gone() {
    let (mut served, mut stopped, mut remembered) = (0, 0, 0);
    for seed in 0..20 {
        let mut driver = Driver::new(seed);
        (0..600).for_each(|_| driver.step());
        served += driver.uploads.usage().counted_pieces;
        remembered += driver.book.usage().sayings.min(driver.book.usage().bans);
        driver.connections.clone().into_iter().for_each(|peer| driver.lost(peer));
        stopped += driver.stopped.len();
        driver.all_go();
        driver.check();
        assert!(driver.stopped.is_empty());
        assert_eq!(driver.uploads.next(driver.now), None);
        let usage = UploadUsage { counted_pieces: 0, ..driver.uploads.usage() };
        assert_eq!((usage, driver.uploads.wake_at()), (UploadUsage::default(), None));
        assert_eq!((driver.tracker.usage(), driver.tracker.wake_at()), (tracker::Usage::default(), None));

        // Of the book's memory nothing is acted on any more, and all there is room for is free.
        driver.now += Duration::from_hours(3);
        let need = Need { peers: 0, beyond: 0, topic: topic(0) };
        assert_eq!(driver.book.whom_to_dial(&[need], driver.now, &mut driver.rng), []);
        assert!((0..TOPICS).all(|of| driver.book.introduce(&topic(of), &record(0), driver.now, &mut driver.rng).is_empty()));
        assert_eq!(driver.book.report(driver.now).banned, []);
        let (connections, slots) = (book_settings().connections, upload_settings().slots);
        assert_eq!((1..=PEERS).filter(|number| driver.connected(peer(*number))).count(), connections);
        for peer in driver.connections.clone() {
            (0..5).for_each(|_| driver.ask(peer));
        }
        driver.settle();
        assert_eq!(driver.sends.len(), slots);
        driver.all_go();
    }
    assert!(served > 0 && stopped > 0 && remembered > 0, "what should be tried has happened");
}
