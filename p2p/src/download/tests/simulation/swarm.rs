//! The swarm and its links: a fluid model in small ticks.

use std::collections::{BTreeMap, BTreeSet};

use super::super::*;

const TICK: Duration = Duration::from_micros(2_500);
/// What a link carries a tick: 210 Mbit/s. Pieces that share it end with a tick, so none of it is lost.
pub(super) const LINK: u64 = PIECE_BYTES / 16;
const SLOTS: usize = 8;
const MEMORY: u32 = 64;

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Source {
    Node(usize),
    Origin(RunId),
}

#[derive(Debug)]
struct Sending {
    from: Source,
    to: usize,
    piece: u32,
    left: u64,
    is_sent: bool,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Link {
    Up(usize),
    Origin,
    Border,
    Down(usize),
}

impl Sending {
    fn links(&self, nodes: &[Node]) -> Vec<Link> {
        let mut links = vec![Link::Down(self.to)];
        match self.from {
            Source::Node(from) => {
                links.push(Link::Up(from));
                if nodes[from].zone != nodes[self.to].zone {
                    links.push(Link::Border);
                }
            }
            Source::Origin(_) => links.push(Link::Origin),
        }
        links
    }
}

pub(super) struct Node {
    zone: usize,
    pub(super) download: Download,
    is_gone: bool,
    pub(super) done_at: Option<Moment>,
    asked: u32,
    reads: bool,
    sent: BTreeMap<u32, u32>,
}

pub(super) struct Swarm {
    now: Moment,
    pub(super) nodes: Vec<Node>,
    sendings: Vec<Sending>,
    /// What a border between zones carries a tick.
    border: u64,
    /// And the origin.
    origin: u64,
    pieces: u32,
    from_origin: u64,
    across: u64,
    received: u64,
    /// Nodes whose requests to the origin fail.
    pub(super) no_origin_for: BTreeSet<usize>,
}

pub(super) struct Shape {
    pub(super) zones: Vec<usize>,
    pub(super) pieces: u32,
    pub(super) border: u64,
    pub(super) origin: u64,
    pub(super) reads: bool,
    pub(super) holders: usize,
    pub(super) seed: u64,
}

impl Shape {
    pub(super) fn of(nodes: usize) -> Self {
        Self { zones: vec![nodes], pieces: 128, border: u64::MAX, origin: LINK, reads: false, holders: 4, seed: 1 }
    }
}

impl Swarm {
    pub(super) fn new(shape: &Shape) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(shape.seed);
        let mut nodes = Vec::new();
        for (zone, size) in shape.zones.iter().enumerate() {
            for number in 0..*size {
                let mut download = download(shape.pieces, DownloadSettings::default(), rng.random());
                let holders = shape.holders.min(*size);
                let stripes = (0..4).filter(|stripe| holders > 0 && usize::from(*stripe) % holders == number).collect();
                if holders > 0 {
                    download.set_lease(Lease { stripes, of: 4, until: ms(3_600_000) }, ms(0));
                }
                let node =
                    Node { zone, download, is_gone: false, done_at: None, asked: 0, reads: shape.reads, sent: BTreeMap::new() };
                nodes.push(node);
            }
        }
        let all = nodes.len();
        for one in 0..all {
            // A few of the others, as a tracker would tell of them.
            let mut others: Vec<_> = (0..all).filter(|other| *other != one).collect();
            rand::seq::SliceRandom::shuffle(&mut others[..], &mut rng);
            for other in others.into_iter().take(24) {
                for (at, to) in [(one, other), (other, one)] {
                    let nearness = if nodes[at].zone == nodes[to].zone { Nearness::Zone } else { Nearness::Region };
                    nodes[at].download.add_peer(
                        peer(u32::try_from(to).unwrap()),
                        nearness,
                        &PieceSet::none_of(shape.pieces),
                        ms(0),
                    );
                }
            }
        }
        let (border, origin, pieces) = (shape.border, shape.origin, shape.pieces);
        let (now, sendings) = (ms(0), Vec::new());
        Self {
            now,
            nodes,
            sendings,
            border,
            origin,
            pieces,
            from_origin: 0,
            across: 0,
            received: 0,
            no_origin_for: BTreeSet::new(),
        }
    }

    pub(super) fn run(&mut self, until: Duration) {
        while self.now < Moment(until) && self.nodes.iter().any(|node| !node.is_gone && node.done_at.is_none()) {
            self.step();
        }
    }

    fn step(&mut self) {
        for node in 0..self.nodes.len() {
            self.decide(node);
        }
        self.now += TICK;
        self.start();
        self.carry();
        self.hand_over();
    }

    fn decide(&mut self, number: usize) {
        let (now, sendings) = (self.now, &mut self.sendings);
        let node = &mut self.nodes[number];
        if node.is_gone || node.done_at.is_some() {
            return;
        }
        if node.reads {
            let place = (0..self.pieces).map(PieceIndex).find(|piece| !node.download.here().contains(*piece));
            node.download.read_at(place, now);
        }
        let mine = |sending: &Sending| sending.to == number;
        node.asked = u32::try_from(sendings.iter().filter(|sending| mine(sending)).count()).unwrap();
        for order in node.download.decide(now, MEMORY.saturating_sub(node.asked)) {
            match order {
                Order::Ask { peer, piece } => {
                    let from = Source::Node(number_of(peer));
                    assert!(!sendings.iter().any(|sending| mine(sending) && sending.from == from && sending.piece == piece.0));
                    sendings.push(Sending { from, to: number, piece: piece.0, left: PIECE_BYTES, is_sent: false });
                }
                Order::Cancel { peer, piece } => {
                    let from = Source::Node(number_of(peer));
                    sendings.retain(|sending| !(mine(sending) && sending.from == from && sending.piece == piece.0));
                }
                Order::AskOrigin { id, .. } if self.no_origin_for.contains(&number) => {
                    node.download.origin_ended(id, RunEnd::Failed { retry_after: Duration::from_secs(1) }, now);
                }
                Order::AskOrigin { id, pieces, .. } => {
                    let sending =
                        |piece| Sending { from: Source::Origin(id), to: number, piece, left: PIECE_BYTES, is_sent: false };
                    sendings.extend(pieces.map(sending));
                }
                Order::CancelOrigin { id, .. } => {
                    sendings.retain(|sending| !(mine(sending) && sending.from == Source::Origin(id)));
                }
                Order::PassBy { .. } | Order::NeedLease => {}
            }
        }
    }

    /// Fills the senders' slots: of what was sent least often first. The origin answers all, each request piece by piece.
    fn start(&mut self) {
        let mut busy = BTreeMap::<usize, Vec<usize>>::new();
        let mut runs = BTreeSet::new();
        for sending in self.sendings.iter().filter(|sending| sending.is_sent) {
            match sending.from {
                Source::Node(from) => busy.entry(from).or_default().push(sending.to),
                Source::Origin(run) => _ = runs.insert((sending.to, run)),
            }
        }
        for sending in self.sendings.iter_mut().filter(|sending| !sending.is_sent) {
            if let Source::Origin(run) = sending.from {
                sending.is_sent = runs.insert((sending.to, run));
            }
        }
        let mut waiting: Vec<_> = (0..self.sendings.len()).filter(|at| !self.sendings[*at].is_sent).collect();
        loop {
            waiting.sort_by_key(|at| match self.sendings[*at].from {
                Source::Node(from) => {
                    let to = self.sendings[*at].to;
                    let served = busy.get(&from).map_or(0, |busy| busy.iter().filter(|other| **other == to).count());
                    (served, self.nodes[from].sent.get(&self.sendings[*at].piece).copied().unwrap_or(0), *at)
                }
                Source::Origin(_) => (usize::MAX, 0, *at),
            });
            let next = waiting.iter().position(|at| match self.sendings[*at].from {
                Source::Node(from) => busy
                    .get(&from)
                    .is_none_or(|busy| busy.len() < SLOTS && busy.iter().filter(|to| **to == self.sendings[*at].to).count() < 2),
                Source::Origin(_) => false,
            });
            let Some(next) = next else { break };
            let sending = &mut self.sendings[waiting.remove(next)];
            sending.is_sent = true;
            if let Source::Node(from) = sending.from {
                busy.entry(from).or_default().push(sending.to);
                *self.nodes[from].sent.entry(sending.piece).or_default() += 1;
            }
        }
    }

    /// Shares the links fairly, as TCP would: the scarcest first, and what its streams leave of others goes to the others' streams.
    fn carry(&mut self) {
        let nodes = &self.nodes;
        let mut streams: Vec<_> =
            self.sendings.iter_mut().filter(|sending| sending.is_sent).map(|sending| (0, sending)).collect();
        let mut links = BTreeMap::<Link, (u64, Vec<usize>)>::new();
        for (at, (_, sending)) in streams.iter().enumerate() {
            for link in sending.links(nodes) {
                let carries = match link {
                    Link::Border => self.border,
                    Link::Origin => self.origin,
                    Link::Up(_) | Link::Down(_) => LINK,
                };
                links.entry(link).or_insert((carries, Vec::new())).1.push(at);
            }
        }
        let share = |link: &(u64, Vec<usize>)| link.0 / u64::try_from(link.1.len()).unwrap();
        while let Some((_, scarcest)) = links.iter().filter(|(_, link)| !link.1.is_empty()).min_by_key(|(_, link)| share(link)) {
            let (bytes, fixed) = (share(scarcest), scarcest.1.clone());
            for at in fixed {
                streams[at].0 = bytes;
                for link in streams[at].1.links(nodes) {
                    let link = links.get_mut(&link).unwrap();
                    link.0 -= bytes;
                    link.1.retain(|other| *other != at);
                }
            }
        }
        let mut progress = Vec::new();
        for (share, sending) in streams {
            let bytes = share.min(sending.left);
            sending.left -= bytes;
            self.received += bytes;
            self.across += if sending.links(nodes).contains(&Link::Border) { bytes } else { 0 };
            match sending.from {
                Source::Node(from) => progress.push((sending.to, from, sending.piece, bytes)),
                Source::Origin(_) => self.from_origin += bytes,
            }
        }
        for (to, from, piece, bytes) in progress {
            self.nodes[to].download.progress(peer(u32::try_from(from).unwrap()), PieceIndex(piece), bytes, self.now);
        }
    }

    fn hand_over(&mut self) {
        let (came, rest): (Vec<_>, Vec<_>) = self.sendings.drain(..).partition(|sending| sending.left == 0);
        self.sendings = rest;
        for sending in came {
            let download = &mut self.nodes[sending.to].download;
            match sending.from {
                Source::Node(from) => download.came(peer(u32::try_from(from).unwrap()), PieceIndex(sending.piece), self.now),
                Source::Origin(id) => download.origin_came(id, PieceIndex(sending.piece), self.now),
            }
            if download.is_done() {
                self.nodes[sending.to].done_at.get_or_insert(self.now);
            }
            for other in (0..self.nodes.len()).filter(|other| *other != sending.to) {
                let from = peer(u32::try_from(sending.to).unwrap());
                self.nodes[other].download.has(from, PieceIndex(sending.piece), self.now);
            }
        }
        // A node that is done takes no more.
        let nodes = &self.nodes;
        self.sendings.retain(|sending| nodes[sending.to].done_at.is_none());
    }

    pub(super) fn kill(&mut self, number: usize) {
        self.nodes[number].is_gone = true;
        self.sendings.retain(|sending| sending.to != number && sending.from != Source::Node(number));
        for node in &mut self.nodes {
            node.download.drop_peer(peer(u32::try_from(number).unwrap()));
        }
    }

    pub(super) fn figures(&self) -> Figures {
        let alive: Vec<_> = self.nodes.iter().filter(|node| !node.is_gone).collect();
        let last = alive.iter().map(|node| node.done_at.expect("all are done").0).max().unwrap();
        let blob = u64::from(self.pieces) * PIECE_BYTES;
        // F / B (1 + ⌈log2 N⌉ / k), in hundredths of a tick.
        let rounds = u64::from(usize::BITS - (self.nodes.len() - 1).leading_zeros());
        let bound = blob * 100 / LINK * (u64::from(self.pieces) + rounds) / u64::from(self.pieces);
        let time = u64::try_from(last.as_nanos() * 10_000 / TICK.as_nanos()).unwrap() / bound;
        let useful = blob * u64::try_from(alive.len()).unwrap();
        let [origin, across] = [self.from_origin, self.across].map(|bytes| bytes * 100 / blob);
        Figures { time, origin, across, wasted: self.received.saturating_sub(useful) * 100 / useful }
    }
}

/// What a run came to, in hundredths.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Figures {
    /// The last node's time, of the bound.
    pub(super) time: u64,
    /// What the origin sent, of the blob.
    pub(super) origin: u64,
    /// What crossed the border, of the blob.
    pub(super) across: u64,
    /// What was received for nothing, of what was needed.
    pub(super) wasted: u64,
}

fn number_of(peer: PeerId) -> usize {
    let bytes = peer.to_bytes();
    usize::try_from(u32::from_be_bytes(bytes[2..].try_into().unwrap())).unwrap()
}
