//! A node at work.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::{Blob, Shelf, Shown, address_of, spring::Spring};
use crate::{
    control::ControlAddress,
    swarm::{Arrival, Arrivals, FetchError, Holdings as _, Memory, Supplier, Swarm, SwarmSettings, Wanted},
};

pub(super) struct Room {
    pub(super) pieces: Arc<Semaphore>,
    pub(super) all: u32,
    pub(super) most: AtomicU32,
}

impl Memory for Room {
    fn try_take(&self, _: u64) -> Option<OwnedSemaphorePermit> {
        let taken = self.pieces.clone().try_acquire_owned().ok();
        let held = self.all - u32::try_from(self.pieces.available_permits()).unwrap();
        self.most.fetch_max(held, Ordering::Relaxed);
        taken
    }
}

/// What a node is to be like.
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub struct Spec<'a> {
    pub holds: Option<&'a Blob>,
    pub joins: Vec<ControlAddress>,
    /// Other trackers than the bed's.
    pub trackers: Vec<ControlAddress>,
    /// Where it is a tracker itself; anywhere for want of that.
    pub control: Option<SocketAddr>,
    pub origin_rate: Option<u32>,
    pub has_no_origin: bool,
    pub origin_refuses: bool,
    pub origin_is_wrong: bool,
    pub origin_hangs: bool,
    /// How many requests to the origin break off after a piece.
    pub origin_breaks: u32,
    pub memory_pieces: u32,
    pub shows: Option<Shown>,
    pub zone: &'a str,
    /// What else is to be set otherwise.
    pub tune: fn(&mut SwarmSettings),
}

impl Default for Spec<'_> {
    fn default() -> Self {
        Self {
            holds: None,
            joins: Vec::new(),
            trackers: Vec::new(),
            control: None,
            origin_rate: None,
            has_no_origin: false,
            origin_refuses: false,
            origin_is_wrong: false,
            origin_hangs: false,
            origin_breaks: 0,
            memory_pieces: 64,
            shows: None,
            zone: "a",
            tune: |_| {},
        }
    }
}

/// A node at work.
pub struct Running {
    pub swarm: Swarm,
    pub shelf: Arc<Shelf>,
    pub(super) room: Arc<Room>,
    pub(super) spring: Spec<'static>,
    pub(super) breaks: Arc<AtomicU32>,
    pub(super) sent: Arc<AtomicU64>,
    pub(super) requests: Arc<AtomicU64>,
}

/// What came from where, in pieces.
#[derive(Debug, Default)]
pub struct Outcome {
    pub from_peers: u32,
    pub from_origin: u32,
}

impl Running {
    pub fn control(&self) -> ControlAddress {
        address_of(&self.swarm.control_addresses()[0].to_string())
    }

    pub fn hold(&self, blob: &Blob) {
        let all = blob.content.iter().cloned().map(Some).collect();
        self.shelf.blobs.lock().unwrap().insert(blob.digest.clone(), (blob.geometry, all));
    }

    pub fn has_all(&self, blob: &Blob) -> bool {
        let blobs = self.shelf.blobs.lock().unwrap();
        blobs.get(&blob.digest).is_some_and(|(_, content)| content.iter().flatten().eq(blob.content.iter()))
    }

    pub fn origin_pieces(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub fn origin_requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub fn most_memory(&self) -> u32 {
        self.room.most.load(Ordering::Relaxed)
    }

    /// How many pieces there is memory taken for now.
    pub fn held_memory(&self) -> u32 {
        self.room.all - u32::try_from(self.room.pieces.available_permits()).unwrap()
    }

    /// Begins to get a blob, of which some may be here.
    pub fn begin(&self, blob: &Blob) -> Arrivals {
        let pieces = blob.geometry.pieces();
        let nothing = || (blob.geometry, vec![None; pieces as usize]);
        self.shelf.blobs.lock().unwrap().entry(blob.digest.clone()).or_insert_with(nothing);
        let here = self.shelf.kept(&blob.topic()).unwrap().pieces;
        let origin = Spring {
            content: blob.content.clone(),
            bytes_per_second: self.spring.origin_rate,
            fails: self.spring.has_no_origin || self.spring.origin_refuses,
            refuses: self.spring.origin_refuses,
            wrong: self.spring.origin_is_wrong,
            hangs: self.spring.origin_hangs,
            breaks: self.breaks.clone(),
            sent: self.sent.clone(),
            requests: self.requests.clone(),
        };
        let (geometry, hashes) = (blob.geometry, blob.hashes.clone());
        let (_, reading) = watch::channel(None);
        let (memory, origin) = (self.room.clone(), Arc::new(origin));
        self.swarm.fetch(Wanted { topic: blob.topic(), geometry, hashes, here, reading, memory, origin })
    }

    /// Keeps a piece that came.
    pub fn put(&self, blob: &Blob, arrival: Arrival) {
        let mut blobs = self.shelf.blobs.lock().unwrap();
        let place = &mut blobs.get_mut(&blob.digest).unwrap().1[arrival.piece.0 as usize];
        assert!(place.is_none(), "piece {} came twice", arrival.piece.0);
        *place = Some(arrival.bytes.into());
    }

    /// Gets a blob, to the end.
    pub async fn get(&self, blob: &Blob) -> Result<Outcome, FetchError> {
        let mut arrivals = self.begin(blob);
        let mut outcome = Outcome::default();
        while let Some(arrival) = arrivals.next().await {
            let arrival = arrival?;
            let piece = arrival.piece;
            match arrival.from {
                Supplier::Peer(..) => outcome.from_peers += 1,
                Supplier::Origin => outcome.from_origin += 1,
            }
            self.put(blob, arrival);
            arrivals.landed(piece);
        }
        Ok(outcome)
    }
}
