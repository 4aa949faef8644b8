//! The swarm, and its run from event to event.

use std::time::Duration;

use libp2p_identity::PeerId;
use longshore_oci::piece::{PIECE_BYTES, PieceIndex, PieceSet};
use longshore_p2p::{
    download::Download,
    locality::Locality,
    moment::Moment,
    record::PeerRecord,
    topic::TopicKey,
    tracker::{Tracker, trackers_of},
};
use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus, seq::SliceRandom as _};

use super::{
    agenda::{Event, MS, Nanos, SECOND},
    announcing::Call,
    measure::Counts,
    network::{Block, By, Network, Parcel, Rates},
    node::Node,
    post::{Post, Records, Said},
    shape::{Kind, Scenario, Shape},
};

/// All that begin at once begin within this.
const AT_ONCE: Nanos = 10 * MS;
/// A connection over which something is sent ends so soon when the other end is silent, any other so much later.
const STALLED_AFTER: Nanos = 10 * SECOND;
const DEAD_AFTER: Nanos = 30 * SECOND;

/// A swarm.
#[derive(Debug)]
pub struct World {
    pub(super) shape: Shape,
    pub(super) now: Nanos,
    pub(super) nodes: Vec<Node>,
    pub(super) post: Post,
    pub(super) records: Records,
    pub(super) rates: Vec<Rates>,
    /// The layers' names.
    pub(super) keys: Vec<TopicKey>,
    /// The trackers, on the first two nodes, while they are there.
    pub(super) trackers: Vec<Option<Tracker>>,
    /// Which of them lead, for each layer.
    pub(super) ranked: Vec<Vec<usize>>,
    pub(super) calls: Vec<Option<Call>>,
    pub(super) rng: Xoshiro256PlusPlus,
    pub(super) counts: Counts,
    /// Nodes that are there and have not all yet.
    pub(super) unfinished: u32,
}

impl World {
    /// One in which nothing has happened yet.
    pub fn new(shape: Shape) -> Self {
        let mut rng = shape.rng();
        let rates = shape.rates(&mut rng);
        let kinds = shape.kinds(&mut rng);
        let keys: Vec<_> = (0..shape.layers).map(|layer| TopicKey(name_of(layer, shape.seed))).collect();
        let records: Records = (0..shape.nodes).map(|number| record(number, shape.zones)).collect();
        let of = |(number, kind): (usize, &Kind)| {
            Node::new(&shape, &records[number], *kind, &keys, Xoshiro256PlusPlus::seed_from_u64(rng.random()))
        };
        let nodes: Vec<_> = kinds.iter().enumerate().map(of).collect();
        let names = ["one".to_owned(), "other".to_owned()];
        let place = |name: &String| usize::from(*name != names[0]);
        let ranked = keys.iter().map(|key| trackers_of(&names, key, 2).into_iter().map(place).collect()).collect();
        let network = Network::new(&rates, shape.transport);
        let trackers = (0..2.min(shape.nodes)).map(|_| Some(Tracker::new(shape.settings.tracker.clone()))).collect();
        let mut world = Self {
            post: Post::new(&shape, network),
            now: 0,
            nodes,
            records,
            rates,
            keys,
            trackers,
            ranked,
            calls: Vec::new(),
            rng,
            counts: Counts::default(),
            unfinished: shape.nodes,
            shape,
        };
        world.put_down();
        world
    }

    /// Runs until all have all, or for so long.
    pub fn run(&mut self) {
        let most = self.shape.most();
        while self.unfinished > 0
            && let Some((at, event)) = self.post.agenda.next()
            && at <= most
        {
            self.now = at;
            self.counts.events += 1;
            self.happen(event);
        }
    }

    /// When who begins, and what befalls whom.
    fn put_down(&mut self) {
        let (nodes, plain) = (self.shape.nodes, self.shape.plain());
        let within = if self.shape.scenario == Scenario::Rolling { plain * 4 } else { AT_ONCE };
        for node in 0..nodes {
            // The trackers are there before the others.
            let at = if node < 2 { 0 } else { self.rng.random_range(0..within) };
            self.post.agenda.add(at, Event::Begins(node));
        }
        match self.shape.scenario {
            Scenario::Churn => {
                let mut others: Vec<_> = (2..nodes.max(2)).collect();
                others.shuffle(&mut self.rng);
                for node in others.into_iter().take(place(nodes) / 20) {
                    let at = self.rng.random_range(plain / 4..plain);
                    self.post.agenda.add(at, Event::Leaves(node));
                }
            }
            Scenario::DeadLeader => {
                for zone in 0..self.shape.zones {
                    self.post.agenda.add(plain * 3 / 10, Event::LeaderDies(zone));
                }
            }
            Scenario::NoTrackers => self.post.agenda.add(plain * 3 / 10, Event::TrackersDie),
            _ => {}
        }
    }

    fn happen(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::Crossed(pipe) => {
                let to = self.post.network.receiver(pipe);
                let is_lost = to.is_some_and(|to| !self.nodes[place(to)].is_alive);
                self.post.network.crossed(pipe, is_lost, &mut self.post.agenda, now);
            }
            Event::Delivered(pipe) => {
                let Some((from, to, block, way)) = self.post.network.delivered(pipe) else { return };
                if way > MS / 4 {
                    self.post.agenda.add(now + way, Event::Credited(pipe));
                } else {
                    // So short a way is in the window.
                    self.post.pump(pipe, now);
                }
                self.arrived(from, to, block);
            }
            Event::Credited(pipe) | Event::Answers(pipe) => self.post.pump(pipe, now),
            Event::Attends(node) => self.attends(node),
            Event::Announced(call) => self.announced(call),
            Event::Greets { from, to } => self.greets(from, to),
            Event::Begins(node) => self.begins(node),
            Event::Leaves(node) => self.ends(node, true),
            Event::LeaderDies(zone) => {
                if let Some(leader) = self.leader_of(zone) {
                    self.counts.died += 1;
                    self.ends(leader, false);
                }
            }
            Event::TrackersDie => {
                for (tracker, state) in self.trackers.iter_mut().enumerate() {
                    *state = None;
                    for node in 0..self.shape.nodes {
                        self.post.put(node, node, Said::Forgotten(tracker), now + self.shape.way);
                    }
                }
            }
        }
    }

    fn attends(&mut self, number: u32) {
        let Some(letters) = self.post.take(number, self.now) else { return };
        let node = &self.nodes[place(number)];
        if !node.is_alive || !node.has_begun {
            // Who is not there yet is reached by nobody, since nobody knows it.
            return;
        }
        for letter in letters {
            self.hear(number, letter);
        }
        self.act(number);
    }

    /// More of a piece has arrived.
    fn arrived(&mut self, from: u32, to: u32, block: Block) {
        let Block { parcel, bytes, is_last, is_dropped } = block;
        let now = moment(self.now);
        self.counts.received += u64::from(bytes);
        let is_of_origin = matches!(parcel.by, By::Origin(_));
        if is_of_origin {
            self.counts.of_origin += u64::from(bytes);
        }
        let node = &mut self.nodes[place(to)];
        let fetch = &mut node.fetches[usize::from(parcel.topic)];
        if !node.is_alive || is_dropped || fetch.is_over {
            return;
        }
        match parcel.by {
            By::Peer(_) => fetch.download.progress(self.records[place(from)].peer, PieceIndex(parcel.piece), bytes.into(), now),
            By::Origin(run) => fetch.download.origin_progress(longshore_p2p::download::RunId(run), bytes.into(), now),
        }
        if is_last {
            self.post.put(to, from, Said::Checked(parcel), self.now + self.shape.check);
        }
    }

    fn begins(&mut self, number: u32) {
        let node = &mut self.nodes[place(number)];
        if !node.is_alive {
            return;
        }
        (node.has_begun, node.begun) = (true, self.now);
        let none = PieceSet::none_of(self.shape.pieces);
        for (topic, fetch) in (0_u8..).zip(&mut node.fetches) {
            let geometry = longshore_oci::piece::Geometry::new(u64::from(self.shape.pieces) * PIECE_BYTES);
            let geometry = geometry.expect("a layer of the image is not that long");
            let settings = self.shape.settings.download;
            fetch.download = Download::new(geometry, &none, settings, moment(self.now), &mut node.rng);
            (fetch.begun, fetch.is_stirred) = (self.now, true);
            for tracker in &mut node.trackers[..self.trackers.len()] {
                tracker.due[usize::from(topic)] = 0;
            }
            self.post.put(number, number, Said::Shown(topic), self.now + self.shape.rights);
        }
        self.post.attend(number, self.now);
    }

    /// A node ends: in order, or without a word.
    fn ends(&mut self, number: u32, is_clean: bool) {
        let now = self.now;
        let node = &mut self.nodes[place(number)];
        if !std::mem::replace(&mut node.is_alive, false) {
            return;
        }
        self.unfinished -= u32::from(node.done.is_none());
        let links: Vec<_> = node.links.keys().copied().collect();
        let own: Vec<_> = node.links.values().map(|link| link.pipe).collect();
        let runs: Vec<_> = node.fetches.iter().flat_map(|fetch| fetch.runs.values().map(|(pipe, _)| *pipe)).collect();
        for pipe in own.into_iter().chain(runs) {
            self.post.network.close(pipe);
        }
        for other in links {
            let theirs = self.nodes[place(other)].links.get(&number).map(|link| link.pipe);
            let is_busy = theirs.is_some_and(|pipe| self.post.network.is_busy(pipe));
            let hears_at = match (is_clean, is_busy) {
                (true, _) => now + self.post.way(number, other),
                (false, true) => now + STALLED_AFTER,
                (false, false) => now + DEAD_AFTER,
            };
            self.post.put(other, number, Said::Gone, hears_at);
        }
        self.post.empty(number);
        if is_clean {
            let peer = self.records[place(number)].peer;
            for tracker in self.trackers.iter_mut().flatten() {
                tracker.gone(&peer, moment(now));
            }
        }
    }

    /// Of a zone's nodes the one that gets the most of the origin now.
    fn leader_of(&self, zone: u32) -> Option<u32> {
        let runs = |node: &Node| node.fetches.iter().map(|fetch| fetch.runs.len()).sum::<usize>();
        let of_zone = (2..self.shape.nodes).filter(|number| number % self.shape.zones == zone);
        let alive = of_zone.filter(|number| self.nodes[place(*number)].is_alive);
        alive.max_by_key(|number| (runs(&self.nodes[place(*number)]), std::cmp::Reverse(*number)))
    }

    pub(super) fn number_of(peer: &PeerId) -> u32 {
        let digest = peer.as_ref().digest();
        digest.first_chunk().map_or(u32::MAX, |bytes| u32::from_be_bytes(*bytes))
    }

    /// A piece's bytes, as they are sent.
    pub(super) fn piece_bytes() -> u32 {
        u32::try_from(PIECE_BYTES).expect("a piece is short")
    }

    /// What a peer is sent of a piece.
    pub(super) fn parcel(topic: u8, piece: u32, by: By, is_wrong: bool) -> Parcel {
        Parcel { topic, piece, by, is_wrong }
    }
}

/// The same for all that decide.
pub(super) fn moment(now: Nanos) -> Moment {
    Moment(Duration::from_nanos(now))
}

pub(super) fn nanos(moment: Moment) -> Nanos {
    Nanos::try_from(moment.0.as_nanos()).unwrap_or(Nanos::MAX)
}

pub(super) fn span(time: Duration) -> Nanos {
    Nanos::try_from(time.as_nanos()).unwrap_or(Nanos::MAX)
}

pub(super) fn place(number: u32) -> usize {
    usize::try_from(number).expect("32 bits fit")
}

fn record(number: u32, zones: u32) -> PeerRecord {
    let [a, b, c, d] = number.to_be_bytes();
    let peer = PeerId::from_bytes(&[0, 4, a, b, c, d]).expect("four bytes are an id");
    let locality = Locality { zone: format!("zone-{}", number % zones.max(1)), ..Locality::default() };
    let port = 1024 + u16::try_from(number % 60_000).expect("it is below 60,000");
    PeerRecord { peer, pieces: vec![([10, b, c, d], port).into()], locality }
}

/// A layer's name.
fn name_of(layer: u8, seed: u64) -> [u8; 32] {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed ^ (u64::from(layer) << 56));
    std::array::from_fn(|_| rng.random())
}
