//! What a download keeps to.

use std::time::Duration;

/// What a download keeps to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DownloadSettings {
    /// How many pieces from a client's place on are preferred for it.
    pub window: u32,
    /// Of so many choices one goes to the window first while a client reads; the rest go to the rarest.
    pub window_share: u32,
    /// How many pieces one peer is asked for at once at least.
    pub least_pipeline: u32,
    /// And at most: in between, as many as its pace and its delay call for.
    pub most_pipeline: u32,
    /// How many are asked for one piece at once at most, where it is late at the end or at a client's place.
    pub most_copies: u32,
    /// It is the end when so few pieces are missing and each that somebody has is asked for.
    pub endgame: u32,
    /// How long any peer may be silent; longer by [`Self::slack`] where it, or else others, have shown what an answer takes, and of one
    /// that hasn't while others bring something: what keeps it may be the link that they share.
    pub least_patience: Duration,
    /// A peer may be silent, or take for a piece, so many times what a piece takes it by its own pace.
    pub slack: u32,
    /// But never longer than this before it is looked at.
    pub most_patience: Duration,
    /// How long a peer rests at most between being passed by and being asked again.
    pub most_rest: Duration,
    /// How many peers a download knows at most.
    pub most_peers: usize,
    /// How long the zone may get nothing new before its nodes ask other zones for what isn't theirs to fetch; up to twice that, by chance.
    pub border_patience: Duration,
    /// Runs of so many pieces are leased together. One request to the origin has no more, unless its pace and its delay call for it.
    pub origin_run: u32,
    /// How many it then has at most.
    pub longest_run: u32,
    /// How many requests to the origin run at once at most; a next one begins when the last has little left.
    pub origin_runs: usize,
    /// Into how many stripes a blob falls for the origin's leases, until a lease says otherwise; no more than [`super::Stripes::MOST`]
    /// count.
    pub stripes: u8,
    /// How long a tracker that answers has to give a lease to a node that knows no peer: it may be behind the link that all pull over.
    pub lease_patience: Duration,
    /// How long peers that may be found in a moment are waited for where no tracker answers.
    pub peer_patience: Duration,
    /// How long a stripe may get nothing new before others than its holder ask the origin for it: the first of them up to twice that, by
    /// chance, and of many only few at once; longer where the origin was seen to be slow.
    pub takeover: Duration,
    /// How long a client may wait for a piece while nothing comes before the origin is asked for it; where many nodes wait, the first of
    /// them that long, and few at once, as with [`Self::takeover`].
    pub client_patience: Duration,
    /// How long a request to the origin may bring nothing before it is given up; far longer where it trickles.
    pub origin_patience: Duration,
    /// How long an origin that failed is left alone at most, whatever it says.
    pub most_origin_rest: Duration,
    /// Peers are too slow together when they bring less than this part of what the origin brought, and one of them when a piece takes it
    /// so many times what it takes others.
    pub poor_part: u32,
}

impl Default for DownloadSettings {
    fn default() -> Self {
        Self {
            window: 8,
            window_share: 4,
            least_pipeline: 2,
            most_pipeline: 16,
            most_copies: 2,
            endgame: 4,
            least_patience: Duration::from_millis(200),
            slack: 4,
            most_patience: Duration::from_secs(10),
            most_rest: Duration::from_secs(5),
            most_peers: 64,
            border_patience: Duration::from_millis(300),
            origin_run: 1,
            longest_run: 64,
            origin_runs: 4,
            stripes: 4,
            lease_patience: Duration::from_millis(1500),
            peer_patience: Duration::from_millis(200),
            takeover: Duration::from_secs(2),
            client_patience: Duration::from_secs(2),
            origin_patience: Duration::from_secs(10),
            most_origin_rest: Duration::from_mins(1),
            poor_part: 8,
        }
    }
}
