//! What the task hears.

use std::{sync::Arc, time::Duration};

use libp2p_identity::PeerId;
use longshore_oci::piece::PieceIndex;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{
    Arrival, FetchError, OriginError, Status, Told, Wanted,
    announcing::{Answers, TrackerIndex},
    arrival::FetchId,
    inquiring::InquiryId,
    link::LinkId,
};
use crate::{
    acquaintance::Source,
    control::{ControlAddress, ControlError},
    download::RunId,
    locality::Nearness,
    moment::Moment,
    plane::{Connection, ConnectionError, DialError, Event},
    record::PeerRecord,
    topic::{Topic, TopicKey},
    upload::ServeId,
    wire::{Token, TopicId},
};

/// What is wanted of the task.
#[derive(Debug)]
pub(super) enum Order {
    Fetch { id: FetchId, wanted: Box<Wanted>, out: mpsc::Sender<Result<Arrival, FetchError>> },
    Landed { topic: TopicKey, piece: PieceIndex },
    Drop(FetchId),
    AskAbout { id: InquiryId, topic: Topic, patience: Duration, out: mpsc::Sender<Told> },
    StopAsking(InquiryId),
    Share(Topic),
    Join(Vec<ControlAddress>),
    Found { registry: Arc<str>, trackers: Vec<Vec<ControlAddress>> },
    Status(oneshot::Sender<Status>),
    Leave(oneshot::Sender<()>),
}

/// What has happened.
#[derive(Debug)]
pub(super) enum Input {
    /// A peer has connected.
    Accepted(Box<Connection>),
    /// A peer was dialed.
    Dialed { peer: PeerId, outcome: Result<Box<Connection>, DialError> },
    /// A peer has said something.
    Said { link: LinkId, event: Event },
    /// A connection has ended.
    Ended { link: LinkId, error: ConnectionError },
    /// A peer's piece was looked at; its bytes, if they are right.
    Checked { fetch: FetchId, from: (PeerId, Nearness), piece: PieceIndex, right: Option<(Vec<u8>, OwnedSemaphorePermit)> },
    /// A request to the origin goes on.
    Run { fetch: FetchId, run: RunId, step: RunStep },
    /// Where a client reads.
    Reading { fetch: FetchId, place: Option<PieceIndex> },
    /// What this node shows for a blob that is wanted.
    Shown { fetch: FetchId, token: Option<Token> },
    /// The same for what is asked about.
    ShownFor { inquiry: InquiryId, token: Option<Token> },
    /// Whether a peer may have what it has opened, and for how long.
    Judged { link: LinkId, id: TopicId, holds_for: Option<Duration>, want_metainfo: bool },
    /// What there is to answer to who may.
    Metainfo { link: LinkId, id: TopicId, metainfo: Option<bytes::Bytes> },
    /// A piece was sent, so many bytes of it.
    Served { id: ServeId, bytes: u64, took: Duration },
    /// A tracker has answered, or not.
    Told { tracker: TrackerIndex, asked_at: Moment, topics: Vec<TopicKey>, outcome: Result<Answers, ControlError> },
    /// A tracker has forgotten what it was told.
    Forgotten(TrackerIndex),
    /// Somebody was asked who they are.
    Met { address: ControlAddress, source: Source, outcome: Result<PeerRecord, ControlError> },
}

/// How a request to the origin goes on.
#[derive(Debug)]
pub(super) enum RunStep {
    Progress(u64),
    Came { piece: PieceIndex, bytes: Vec<u8>, memory: OwnedSemaphorePermit },
    Ended(Option<OriginError>),
}
