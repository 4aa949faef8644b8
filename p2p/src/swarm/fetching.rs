//! What is wanted here: downloads, from their beginning to their end.
//!
//! Which peers are asked whether they have it is in [`opening`], what is asked of them in [`asking`], of the origin in [`origin`], what
//! comes in [`arriving`], and when nothing more is to be hoped for in [`ending`].

mod arriving;
mod asking;
mod ending;
mod opening;
mod origin;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use libp2p_identity::PeerId;
use longshore_oci::piece::{Geometry, PIECE_BYTES, PieceHashes, PieceIndex};
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

pub(super) use self::opening::Shown;
use self::{ending::Trouble, opening::At, origin::Running};
use super::{
    Arrival, FetchError, Memory, Origin, Supplier, Wanted,
    arrival::{FetchId, MOST_ARRIVALS},
    debts::Debts,
    input::Input,
    link::LinkId,
    status::FetchStatus,
    task::Task,
};
use crate::{
    download::{Download, RunId},
    locality::Nearness,
    moment::Moment,
    topic::{Topic, TopicKey},
    upload::limits::Intake,
};

/// A blob that is wanted.
pub(super) struct Fetch {
    pub(super) topic: Topic,
    pub(super) key: TopicKey,
    geometry: Geometry,
    hashes: PieceHashes,
    pub(super) download: Download,
    out: mpsc::Sender<Result<Arrival, FetchError>>,
    memory: Arc<dyn Memory>,
    origin: Arc<dyn Origin>,
    /// What is shown to peers; `None` before that is known.
    shown: Option<Shown>,
    /// Whether it is being found out what to show.
    is_showing: bool,
    /// Where it is open, or asked whether it is.
    at: BTreeMap<LinkId, At>,
    /// Who has refused it, and till when it is not asked again.
    refused: BTreeMap<PeerId, Moment>,
    /// Who has refused it before, and is to be asked again.
    again: BTreeSet<PeerId>,
    runs: BTreeMap<RunId, Running>,
    trouble: Option<Trouble>,
    begun: Moment,
    /// Whether it is to have a lease as soon as nobody is expected any more.
    pub(super) lacks_lease: bool,
    /// When a piece came last.
    fed: Moment,
    /// When to look again for what held it back: memory, a taker, a limit.
    starved_until: Option<Moment>,
    brought: Brought,
    debts: Debts,
    _reading: AbortOnDropHandle<()>,
}

/// What came from where, in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Brought {
    near: u64,
    far: u64,
    origin: u64,
}

impl Fetch {
    /// The connections over which it is open, or may soon be.
    pub(super) fn links(&self) -> impl Iterator<Item = LinkId> {
        self.at.keys().copied()
    }

    /// When it is to decide again though nothing happens.
    pub(super) fn wake_at(&self) -> Option<Moment> {
        [self.download.wake_at(), self.starved_until].into_iter().flatten().min()
    }

    /// Whether it has not been going on for longer.
    pub(super) fn is_new(&self, time: Duration, now: Moment) -> bool {
        now.since(self.begun) < time
    }

    /// A connection is gone, or the blob is not open there any more.
    pub(super) fn lose(&mut self, link: LinkId, peer: PeerId, intake: &mut Intake) {
        self.debts.forgive_all_of(Some(peer), intake);
        if self.at.remove(&link).is_some_and(|at| at.is_open) {
            self.download.drop_peer(peer);
        }
    }

    pub(super) fn status(&self) -> FetchStatus {
        let peers = self.at.values().filter(|at| at.is_open).count();
        FetchStatus {
            topic: self.topic.clone(),
            size_bytes: self.geometry.size_bytes(),
            pieces: self.geometry.pieces(),
            here: self.download.here().count(),
            peers,
            near_bytes: self.brought.near,
            far_bytes: self.brought.far,
            origin_bytes: self.brought.origin,
        }
    }

    pub(super) fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// How many bytes are set aside for a piece: for the last, which may be shorter, as for the others.
    fn piece_bytes(&self) -> u64 {
        PIECE_BYTES.min(self.geometry.size_bytes())
    }

    /// How many pieces came and were not taken yet.
    fn waiting(&self) -> u32 {
        u32::try_from(MOST_ARRIVALS - self.out.capacity()).unwrap_or(u32::MAX)
    }

    /// Hands a right piece on; whether there was a place for it.
    fn hand_on(&mut self, arrival: Arrival, now: Moment) -> bool {
        let (bytes, from) = (arrival.bytes.len() as u64, arrival.from);
        if self.out.try_send(Ok(arrival)).is_err() {
            return false;
        }
        match from {
            Supplier::Peer(_, nearness) if nearness <= Nearness::Zone => self.brought.near += bytes,
            Supplier::Peer(..) => self.brought.far += bytes,
            Supplier::Origin => self.brought.origin += bytes,
        }
        (self.fed, self.trouble) = (now, None);
        true
    }
}

impl Task {
    /// Begins to get a blob.
    pub(super) fn begin(&mut self, id: FetchId, wanted: Wanted, out: mpsc::Sender<Result<Arrival, FetchError>>, now: Moment) {
        let Wanted { topic, geometry, hashes, here, reading, memory, origin } = wanted;
        let key = topic.key();
        let download = Download::new(geometry, &here, self.settings.download, now, &mut self.rng);
        let following = AbortOnDropHandle::new(tokio::spawn(follow(id, reading, self.inputs.clone())));
        self.share(topic.clone(), now);
        self.announcing.hurry(&key);
        let fetch = Fetch {
            topic,
            key,
            geometry,
            hashes,
            download,
            out,
            memory,
            origin,
            shown: None,
            is_showing: false,
            at: BTreeMap::new(),
            refused: BTreeMap::new(),
            again: BTreeSet::new(),
            runs: BTreeMap::new(),
            trouble: None,
            begun: now,
            lacks_lease: false,
            fed: now,
            starved_until: None,
            brought: Brought::default(),
            debts: Debts::default(),
            _reading: following,
        };
        self.fetches.insert(id, fetch);
        self.show(id);
        self.stirred.insert(id);
        self.metrics.downloads.inc();
    }

    /// A download is over, one way or the other.
    pub(super) fn end(&mut self, id: FetchId) {
        self.stirred.remove(&id);
        let Some(mut fetch) = self.fetches.remove(&id) else { return };
        fetch.debts.forgive_all(&mut self.intake);
        self.metrics.downloads.dec();
        for (link, at) in &fetch.at {
            if let Some(link) = self.links.get_mut(*link) {
                link.ours.remove(&at.id);
                link.received.retain(|(topic, _), _| *topic != at.id);
                // Where that can't be said the connection is about to end.
                let _ = link.sender.close(at.id);
            }
        }
        // Another of the same blob may go on there.
        self.may_dial = true;
    }

    /// Where a client reads.
    pub(super) fn reading(&mut self, id: FetchId, place: Option<PieceIndex>, now: Moment) {
        if let Some(fetch) = self.fetches.get_mut(&id) {
            fetch.download.read_at(place, now);
            self.stirred.insert(id);
        }
    }
}

/// Tells the task where a client reads.
async fn follow(fetch: FetchId, mut reading: watch::Receiver<Option<PieceIndex>>, inputs: mpsc::Sender<Input>) {
    loop {
        let place = *reading.borrow_and_update();
        if inputs.send(Input::Reading { fetch, place }).await.is_err() || reading.changed().await.is_err() {
            return;
        }
    }
}
