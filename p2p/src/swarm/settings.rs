//! What a node of the swarm keeps to.

use std::{net::SocketAddr, time::Duration};

use crate::{
    acquaintance::AcquaintanceSettings,
    control::{ControlAddress, ControlSettings},
    download::DownloadSettings,
    locality::Locality,
    plane::Limits,
    tracker::TrackerSettings,
    upload::UploadSettings,
};

/// What a node of the swarm keeps to.
#[derive(Clone, Debug)]
pub struct SwarmSettings {
    /// Where it takes connections for pieces; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where others are told that it does, where that is elsewhere; port 0 stands for the one that it listens on.
    pub advertise: Vec<SocketAddr>,
    /// Where it is.
    pub locality: Locality,
    /// The trackers that it announces to.
    pub trackers: Vec<ControlAddress>,
    /// How many of them are told of one blob.
    pub trackers_per_topic: usize,
    /// Nodes that it knows from the start; they are asked who they are.
    pub joins: Vec<ControlAddress>,
    /// How often one that could not be asked, or is not connected, is asked again.
    pub join_every: Duration,
    /// Whether others may announce to this node as to a tracker.
    pub is_tracker: bool,
    /// As one.
    pub tracker: TrackerSettings,
    /// The most blobs that are announced; of more, those that were last asked for.
    pub most_shared: usize,
    /// How many pieces are asked for at once at most, in all.
    pub in_flight: u32,
    /// How many of them one download has in any case, if there is memory.
    pub least_in_flight: u32,
    /// How long a download waits for peers, while the origin fails and nothing comes, before it fails as well.
    pub give_up_after: Duration,
    /// The same where the origin fails for good: others who want the blob, and whom it may not refuse, wait for that.
    pub give_up_refused_after: Duration,
    /// How long a peer that refused a topic is not asked for it again.
    pub refused_for: Duration,
    /// How long a peer may take to answer whether it has a topic, before another is asked in its place.
    pub open_timeout: Duration,
    /// How many questions whether a peer may have something are being answered at once.
    pub most_judged: usize,
    /// Those of them that come from one IP address, or from one /64 of IPv6. Those from this machine's loopback are not counted.
    pub most_judged_per_ip: usize,
    /// How long whoever has the blobs may take to say who may have what, what this node shows, or what is in a piece.
    pub callback_timeout: Duration,
    /// See [`Limits`].
    pub plane: Limits,
    /// See [`ControlSettings`].
    pub control: ControlSettings,
    /// See [`DownloadSettings`].
    pub download: DownloadSettings,
    /// See [`UploadSettings`].
    pub upload: UploadSettings,
    /// See [`AcquaintanceSettings`].
    pub acquaintance: AcquaintanceSettings,
}

impl SwarmSettings {
    /// With everything else as it is by default.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            advertise: Vec::new(),
            locality: Locality::default(),
            trackers: Vec::new(),
            trackers_per_topic: 2,
            joins: Vec::new(),
            join_every: Duration::from_secs(5),
            is_tracker: true,
            tracker: TrackerSettings::default(),
            most_shared: 4096,
            in_flight: 64,
            least_in_flight: 4,
            give_up_after: Duration::from_secs(10),
            give_up_refused_after: Duration::from_secs(1),
            refused_for: Duration::from_secs(2),
            open_timeout: Duration::from_secs(2),
            most_judged: 256,
            most_judged_per_ip: 64,
            callback_timeout: Duration::from_secs(10),
            plane: Limits::default(),
            control: ControlSettings::default(),
            download: DownloadSettings::default(),
            upload: UploadSettings::default(),
            acquaintance: AcquaintanceSettings::default(),
        }
    }

    /// Where others are told that it takes connections, as it listens there.
    pub(super) fn advertised(&self, bound: SocketAddr) -> Vec<SocketAddr> {
        let own = |address: &SocketAddr| {
            let port = if address.port() == 0 { bound.port() } else { address.port() };
            SocketAddr::new(address.ip(), port)
        };
        if self.advertise.is_empty() { vec![bound] } else { self.advertise.iter().map(own).collect() }
    }
}
