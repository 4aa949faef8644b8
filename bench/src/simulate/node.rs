//! A node: the product's own decisions, and what they need to know of its connections.

use std::collections::{BTreeMap, BTreeSet};

use libp2p_identity::PeerId;
use longshore_oci::piece::Geometry;
use longshore_p2p::{
    acquaintance::Acquaintances,
    download::{Download, RunId},
    locality::Nearness,
    moment::Moment,
    record::PeerRecord,
    topic::TopicKey,
    upload::{ServeId, Uploads},
};
use rand::rngs::Xoshiro256PlusPlus;

use super::{
    agenda::{NEVER, Nanos},
    network::PipeId,
    shape::{Kind, Shape},
};

/// A connection, as one of its ends has it.
#[derive(Debug)]
pub struct Link {
    /// How near the other is.
    pub nearness: Nearness,
    /// Which layers the other has open here: a bit each.
    pub theirs: u64,
    /// Of which of them it was sent something.
    pub served: u64,
    /// What is sent over it.
    pub pipe: PipeId,
}

/// A layer at a peer.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// Whether the peer has said what it has.
    pub is_open: bool,
    /// Since when it is asked.
    pub since: Nanos,
}

/// What a node has of a layer, and how it gets the rest.
#[derive(Debug)]
pub struct Fetch {
    /// Its name.
    pub key: TopicKey,
    /// The product's decisions.
    pub download: Download,
    /// At whom it is open, or was asked for.
    pub at: BTreeMap<u32, At>,
    /// Who has refused it, and till when it is not asked again.
    pub refused: BTreeMap<u32, Nanos>,
    /// Who has, and is to be asked again.
    pub again: BTreeSet<u32>,
    /// The requests to the origin that run: over which pipe, and up to which piece.
    pub runs: BTreeMap<RunId, (PipeId, u32)>,
    /// Since when it is wanted.
    pub begun: Nanos,
    /// Whether it is known what to show for it.
    pub is_shown: bool,
    /// Whether it needs a lease when nobody is expected any more.
    pub lacks_lease: bool,
    /// Whether it is to decide anew.
    pub is_stirred: bool,
    /// Whether all is here.
    pub is_over: bool,
}

/// What a node knows of a tracker.
#[derive(Clone, Debug)]
pub struct TrackerView {
    /// When each layer is to be announced; 0 is before all others.
    pub due: Vec<Nanos>,
    /// Whether it is being told something.
    pub is_told: bool,
    /// How often in a row it did not answer.
    pub failures: u32,
    /// Till when it is let be.
    pub rests_until: Nanos,
    /// Whether there is a connection to it.
    pub is_connected: bool,
}

impl TrackerView {
    /// When it is to be told something next.
    pub fn wakes_at(&self) -> Nanos {
        let first = self.due.iter().min().copied().unwrap_or(NEVER);
        if self.is_told || first == NEVER { NEVER } else { first.max(self.rests_until) }
    }
}

/// A node.
#[derive(Debug)]
pub struct Node {
    /// What it does.
    pub kind: Kind,
    /// Who it is.
    pub id: PeerId,
    /// Whether it is there.
    pub is_alive: bool,
    /// Whether it has begun.
    pub has_begun: bool,
    /// Whom it knows.
    pub book: Acquaintances,
    /// Whom it serves.
    pub uploads: Uploads,
    /// What it is sending: to whom, and what.
    pub serving: BTreeMap<ServeId, (u32, u8, u32)>,
    /// Its connections.
    pub links: BTreeMap<u32, Link>,
    /// The layers.
    pub fetches: Vec<Fetch>,
    /// The trackers.
    pub trackers: Vec<TrackerView>,
    /// Whether there may be somebody to dial, or to open something at.
    pub may_dial: bool,
    /// When it next looks for what ends by itself.
    pub tick_at: Nanos,
    /// Its own chance.
    pub rng: Xoshiro256PlusPlus,
    /// When it began, and had all.
    pub begun: Nanos,
    /// When it had all.
    pub done: Option<Nanos>,
}

impl Node {
    pub(super) fn new(shape: &Shape, record: &PeerRecord, kind: Kind, keys: &[TopicKey], mut rng: Xoshiro256PlusPlus) -> Self {
        let pieces = shape.pieces;
        let size = u64::from(pieces) * longshore_oci::piece::PIECE_BYTES;
        let geometry = Geometry::new(size).expect("a layer of the image is not that long");
        let none = longshore_oci::piece::PieceSet::none_of(pieces);
        let fetch = |key: &TopicKey| Fetch {
            key: *key,
            download: Download::new(geometry, &none, shape.settings.download, Moment::default(), &mut rng),
            at: BTreeMap::new(),
            refused: BTreeMap::new(),
            again: BTreeSet::new(),
            runs: BTreeMap::new(),
            begun: 0,
            is_shown: false,
            lacks_lease: false,
            is_stirred: false,
            is_over: false,
        };
        let fetches: Vec<_> = keys.iter().map(fetch).collect();
        let view = TrackerView { due: vec![NEVER; keys.len()], is_told: false, failures: 0, rests_until: 0, is_connected: false };
        Self {
            kind,
            id: record.peer,
            is_alive: true,
            has_begun: false,
            book: Acquaintances::new(record.clone(), shape.settings.acquaintance.clone()),
            uploads: Uploads::new(shape.settings.upload.clone()),
            serving: BTreeMap::new(),
            links: BTreeMap::new(),
            fetches,
            trackers: vec![view; 2],
            may_dial: false,
            tick_at: 0,
            rng,
            begun: 0,
            done: None,
        }
    }

    /// How many layers it is getting.
    pub fn wanted(&self) -> usize {
        self.fetches.iter().filter(|fetch| !fetch.is_over).count()
    }
}
