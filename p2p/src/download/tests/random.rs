//! What always holds, whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const PIECES: u32 = 40;
const MEMORY: u32 = 24;

#[derive(Clone, Debug)]
enum Event {
    Join { peer: u32, nearness: usize, has: u64 },
    Leave { peer: u32 },
    Has { peer: u32, piece: u32 },
    Comes { which: usize },
    Begins { which: usize, bytes: u64 },
    Refused { which: usize, retry_ms: u64 },
    Wrong { which: usize },
    Origin { comes: bool, retry_ms: u64 },
    Here { piece: u32 },
    Lease { stripes: u8, of: u8, for_ms: u64 },
    Reads { at: Option<u32> },
    Passes { time_ms: u64 },
}

fn events() -> impl Strategy<Value = Event> {
    let (peer, piece) = (0_u32..8, 0..PIECES);
    prop_oneof![
        1 => (peer.clone(), 0_usize..5, any::<u64>()).prop_map(|(peer, nearness, has)| Event::Join { peer, nearness, has }),
        1 => peer.clone().prop_map(|peer| Event::Leave { peer }),
        1 => (peer, piece.clone()).prop_map(|(peer, piece)| Event::Has { peer, piece }),
        4 => any::<usize>().prop_map(|which| Event::Comes { which }),
        2 => (any::<usize>(), 0..PIECE_BYTES).prop_map(|(which, bytes)| Event::Begins { which, bytes }),
        1 => (any::<usize>(), 0_u64..3_000).prop_map(|(which, retry_ms)| Event::Refused { which, retry_ms }),
        1 => any::<usize>().prop_map(|which| Event::Wrong { which }),
        2 => (any::<bool>(), 0_u64..3_000).prop_map(|(comes, retry_ms)| Event::Origin { comes, retry_ms }),
        1 => piece.clone().prop_map(|piece| Event::Here { piece }),
        1 => (0_u8..16, 0_u8..9, 0_u64..4_000).prop_map(|(stripes, of, for_ms)| Event::Lease { stripes, of, for_ms }),
        1 => prop::option::of(piece).prop_map(|at| Event::Reads { at }),
        4 => (0_u64..400).prop_map(|time_ms| Event::Passes { time_ms }),
    ]
}

/// What the outside knows: who has what, what is asked for, and what was said to come.
struct World {
    download: Download,
    settings: DownloadSettings,
    now: Moment,
    has: BTreeMap<u32, BTreeSet<u32>>,
    asked: Vec<(u32, u32)>,
    /// What is still to come of each request, and its last piece.
    runs: BTreeMap<RunId, (BTreeSet<u32>, u32)>,
    reads: Option<u32>,
}

impl World {
    fn new(seed: u64) -> Self {
        let settings = DownloadSettings { most_peers: 6, endgame: 8, ..DownloadSettings::default() };
        let download = download(PIECES, settings, seed);
        let (has, asked, runs) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        Self { download, settings, now: ms(0), has, asked, runs, reads: None }
    }

    fn happens(&mut self, event: &Event) {
        let now = self.now;
        let asked = |which: usize| (!self.asked.is_empty()).then(|| which % self.asked.len());
        match *event {
            Event::Join { peer: number, nearness, has } => {
                use Nearness::{Elsewhere, Host, Rack, Region, Zone};
                let has: BTreeSet<_> = (0..PIECES).filter(|piece| has & (1 << piece) != 0).collect();
                let near = [Host, Rack, Zone, Region, Elsewhere][nearness];
                let is_in = self.download.add_peer(peer(number), near, &pieces_of(has.iter().copied()), now);
                assert_eq!(is_in, self.has.len() < 6 && !self.has.contains_key(&number));
                if is_in {
                    self.has.insert(number, has);
                }
            }
            Event::Leave { peer } => self.leaves(peer),
            Event::Has { peer: number, piece } => {
                self.download.has(peer(number), PieceIndex(piece), now);
                if let Some(has) = self.has.get_mut(&number) {
                    has.insert(piece);
                }
            }
            Event::Comes { which } => {
                if let Some(at) = asked(which) {
                    let (number, piece) = self.asked.remove(at);
                    self.download.came(peer(number), PieceIndex(piece), now);
                    self.is_here(piece);
                }
            }
            Event::Begins { which, bytes } => {
                if let Some(at) = asked(which) {
                    let (number, piece) = self.asked[at];
                    self.download.progress(peer(number), PieceIndex(piece), bytes, now);
                }
            }
            Event::Refused { which, retry_ms } => {
                if let Some(at) = asked(which) {
                    let (number, piece) = self.asked.remove(at);
                    self.download.refused(peer(number), PieceIndex(piece), Duration::from_millis(retry_ms), now);
                }
            }
            Event::Wrong { which } => {
                if let Some(at) = asked(which) {
                    self.leaves(self.asked[at].0);
                }
            }
            Event::Origin { comes, retry_ms } => {
                if let Some((id, (pieces, last))) = self.runs.first_key_value() {
                    let (id, piece, last) = (*id, *pieces.first().unwrap(), *last);
                    if comes {
                        self.download.origin_came(id, PieceIndex(piece), now);
                        if piece == last {
                            self.runs.remove(&id);
                        }
                        self.is_here(piece);
                    } else {
                        self.runs.remove(&id);
                        let end = RunEnd::Failed { retry_after: Duration::from_millis(retry_ms) };
                        self.download.origin_ended(id, end, now);
                    }
                }
            }
            Event::Here { piece } => {
                self.download.here_already(PieceIndex(piece));
                self.is_here(piece);
            }
            Event::Lease { stripes, of, for_ms } => {
                let stripes = (0..4).filter(|stripe| stripes & (1 << stripe) != 0).collect();
                self.download.set_lease(Lease { stripes, of, until: now + Duration::from_millis(for_ms) }, now);
            }
            Event::Reads { at } => {
                self.reads = at;
                self.download.read_at(at.map(PieceIndex), now);
            }
            Event::Passes { time_ms } => self.now += Duration::from_millis(time_ms),
        }
    }

    fn leaves(&mut self, number: u32) {
        self.download.drop_peer(peer(number));
        self.has.remove(&number);
        self.asked.retain(|(asked, _)| *asked != number);
    }

    /// Requests to the origin end with their last piece; others are called off by an order.
    fn is_here(&mut self, piece: u32) {
        assert!(self.download.here().contains(PieceIndex(piece)));
        for (pieces, _) in self.runs.values_mut() {
            pieces.remove(&piece);
        }
    }

    fn out(&self) -> u32 {
        u32::try_from(self.asked.len() + self.runs.values().map(|(pieces, _)| pieces.len()).sum::<usize>()).unwrap()
    }

    fn decide(&mut self) {
        let free = MEMORY - self.out();
        let orders = self.download.decide(self.now, free);
        assert!(self.download.wake_at().is_none_or(|at| at > self.now));
        for order in orders {
            match order {
                Order::Ask { peer, piece } => {
                    let (number, piece) = (number_of(peer), piece.0);
                    assert!(self.has[&number].contains(&piece) && !self.download.here().contains(PieceIndex(piece)));
                    assert!(!self.asked.contains(&(number, piece)), "asked of the same twice");
                    self.check_copies(piece);
                    self.asked.push((number, piece));
                    let pipeline = self.asked.iter().filter(|(asked, _)| *asked == number).count();
                    assert!(pipeline <= 16, "{pipeline} asked of one");
                }
                Order::Cancel { peer, piece } => {
                    let asked = (number_of(peer), piece.0);
                    let at = self.asked.iter().position(|other| *other == asked).expect("it was asked");
                    self.asked.remove(at);
                }
                Order::AskOrigin { id, pieces, .. } => {
                    assert!(
                        !pieces.is_empty()
                            && pieces.end <= PIECES
                            && self.runs.values().all(|(run, _)| pieces.clone().all(|piece| !run.contains(&piece)))
                    );
                    for piece in pieces.clone() {
                        assert!(!self.download.here().contains(PieceIndex(piece)));
                        self.check_copies(piece);
                    }
                    let last = pieces.end - 1;
                    assert!(self.runs.insert(id, (pieces.collect(), last)).is_none());
                }
                Order::CancelOrigin { id, .. } => {
                    self.runs.remove(&id).expect("it was asked");
                }
                Order::PassBy { .. } | Order::NeedLease => {}
            }
        }
        assert!(self.runs.values().all(|(pieces, _)| !pieces.is_empty()), "it goes on for nothing");
        assert!(self.runs.len() <= self.settings.origin_runs);
        assert!(self.out() <= MEMORY, "{} are out", self.out());
    }

    /// A second copy only at the end, or where a client waits; and a third only of the origin.
    fn check_copies(&self, piece: u32) {
        let of_peers = self.asked.iter().filter(|(_, asked)| *asked == piece).count();
        let of_origin = self.runs.values().filter(|(run, _)| run.contains(&piece)).count();
        let of_late: usize = self.download.peers.iter().filter(|(_, peer)| peer.is_late).map(|(_, peer)| peer.asked.len()).sum();
        let missing = PIECES - self.download.here().count() - u32::try_from(of_late).unwrap();
        assert!(of_peers + of_origin < 2 || (of_peers == 2 && of_origin == 0));
        assert!(
            of_peers + of_origin == 0 || missing <= self.settings.endgame || self.reads == Some(piece),
            "{piece} is asked twice"
        );
    }
}

fn number_of(peer: PeerId) -> u32 {
    u32::from_be_bytes(peer.to_bytes()[2..].try_into().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn rules_hold_and_nothing_starves(events in prop::collection::vec(events(), 0..250), seed: u64, has_origin: bool) {
        let mut world = World::new(seed);
        for event in &events {
            world.happens(event);
            world.decide();
        }
        // From now on who is there answers, and no event wakes the download but answers and its own clock.
        let end = world.now + Duration::from_mins(2);
        let held: BTreeSet<_> = world.has.values().flatten().copied().collect();
        while world.now < end && !world.download.is_done() {
            let wake = world.download.wake_at().map_or(end, |at| at.min(end));
            let is_any = !world.asked.is_empty() || !world.runs.is_empty();
            world.now = if is_any { wake.min(world.now + Duration::from_millis(50)) } else { wake };
            if is_any {
                world.decide();
                world.happens(&Event::Comes { which: usize::try_from(world.now.0.as_nanos() % 7).unwrap() });
                world.decide();
                world.happens(&Event::Origin { comes: has_origin, retry_ms: 1_000 });
            }
            world.decide();
        }
        let here = world.download.here();
        let starved: Vec<_> = held.iter().filter(|piece| !here.contains(PieceIndex(**piece))).collect();
        prop_assert!(starved.is_empty(), "{:?} of {:?}", starved, world.has);
        prop_assert!(!has_origin || world.download.is_done());
    }
}
