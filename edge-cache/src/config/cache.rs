//! `[cache]`: what is kept, where, and for how long.

use std::path::PathBuf;

use longshore_service::config::{ByteSize, Duration, Problems};

use crate::piece::PIECE_BYTES;

/// The least quota: a few pieces.
const LEAST_QUOTA: ByteSize = ByteSize::mebibytes(16);
/// The least memory for bytes in flight: some pieces of some requests.
const LEAST_IN_FLIGHT: ByteSize = ByteSize::mebibytes(16);
/// The most that is read ahead, and fetched in one request.
const MOST_RUN: ByteSize = ByteSize::mebibytes(256);
/// The longest that what was written may wait for its sync.
const MOST_SYNC_DELAY: Duration = Duration::seconds(60);

/// What is kept, where, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// The folder of the pieces and their index; it is made if need be, and no other process may have it.
    pub folder: PathBuf,
    /// What the pieces may take of the disk, `16MiB` or more.
    pub quota: ByteSize,
    /// What pieces that are asked for often may take of memory; 0 for none.
    pub memory: ByteSize,
    /// What bytes on their way to clients may take of memory beside that, `16MiB` or more.
    pub in_flight: ByteSize,
    /// What manifests that are asked for often may take of memory beside both; 0 for none.
    pub manifest_memory: ByteSize,
    /// How long a request may wait for a share of `in_flight` before it is answered with 503.
    pub budget_wait: Duration,
    /// How long what nobody asks for is kept, at the longest; `"0s"` for as long as there is room.
    pub max_idle: Duration,
    /// How many blobs are kept at most.
    pub max_entries: usize,
    /// How long what was written may wait to be synced together with more.
    pub sync_delay: Duration,
    /// How many bytes in a second the scrubber reads again in the background; 0 for none.
    pub scrub_rate: ByteSize,
    /// How far ahead of a client that reads in order is fetched: a multiple of `1MiB`, up to `256MiB`.
    pub read_ahead: ByteSize,
    /// Whether the layers of a manifest that is pulled are fetched before they are asked for.
    pub prefetch: bool,
    /// How much is asked of an upstream in one request at most, where pieces can be checked one by one: likewise.
    pub run_size: ByteSize,
    /// How long a tag is served without asking its upstream whether it is still there; an upstream that is a Longshore registry says so by
    /// itself.
    pub tag_ttl: Duration,
    /// How many tags are remembered.
    pub max_tags: u64,
    /// How long it is remembered who may see what: so long after a right was revoked upstream what is here may still be had by it, a
    /// token of a Longshore registry among them. Of a manifest an upstream may say itself how long, as Longshore registries do.
    pub grant_ttl: Duration,
    /// How long that holds where the upstream can't be reached, or fails; a limit of its is neither. Of a manifest no longer than the
    /// upstream said.
    pub grant_stale: Duration,
    /// The same of what anybody could have.
    pub public_stale: Duration,
    /// How many such verdicts are remembered, and how many things that repositories have.
    pub max_grants: u64,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("./edge"),
            quota: ByteSize::gibibytes(50),
            memory: ByteSize::mebibytes(256),
            in_flight: ByteSize::mebibytes(256),
            manifest_memory: ByteSize::mebibytes(64),
            budget_wait: Duration::seconds(30),
            max_idle: Duration::days(30),
            max_entries: 1_000_000,
            sync_delay: Duration::milliseconds(500),
            scrub_rate: ByteSize::mebibytes(8),
            read_ahead: ByteSize::mebibytes(8),
            prefetch: true,
            run_size: ByteSize::mebibytes(16),
            tag_ttl: Duration::seconds(30),
            max_tags: 100_000,
            grant_ttl: Duration::seconds(60),
            grant_stale: Duration::seconds(600),
            public_stale: Duration::hours(1),
            max_grants: 200_000,
        }
    }
}

longshore_service::settings!(Cache {
    folder,
    quota,
    memory,
    in_flight,
    manifest_memory,
    budget_wait,
    max_idle,
    max_entries,
    sync_delay,
    scrub_rate,
    read_ahead,
    prefetch,
    run_size,
    tag_ttl,
    max_tags,
    grant_ttl,
    grant_stale,
    public_stale,
    max_grants,
});

impl Cache {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        for (key, size, least) in [("cache.quota", self.quota, LEAST_QUOTA), ("cache.in_flight", self.in_flight, LEAST_IN_FLIGHT)]
        {
            if size < least {
                problems.add(&[key], format!("must be {least} or more"));
            }
        }
        for (key, count) in [
            ("cache.max_entries", u64::try_from(self.max_entries).unwrap_or(u64::MAX)),
            ("cache.max_tags", self.max_tags),
            ("cache.max_grants", self.max_grants),
        ] {
            if !(1..=100_000_000).contains(&count) {
                problems.add(&[key], "must be from 1 to 100000000");
            }
        }
        problems.check_not_zero("cache.budget_wait", self.budget_wait);
        problems.check_not_zero("cache.grant_ttl", self.grant_ttl);
        for (key, stale) in [("cache.grant_stale", self.grant_stale), ("cache.public_stale", self.public_stale)] {
            if stale < self.grant_ttl {
                let reason = format!("{stale} is shorter than grant_ttl, {}", self.grant_ttl);
                problems.add(&[key, "cache.grant_ttl"], reason);
            }
        }
        if self.sync_delay > MOST_SYNC_DELAY {
            problems.add(
                &["cache.sync_delay"],
                format!("must be {MOST_SYNC_DELAY} or less: a crash loses what was written meanwhile"),
            );
        }
        for (key, size, least) in [("cache.read_ahead", self.read_ahead, 0), ("cache.run_size", self.run_size, PIECE_BYTES)] {
            let bytes = size.as_bytes();
            if !bytes.is_multiple_of(PIECE_BYTES) || !(least..=MOST_RUN.as_bytes()).contains(&bytes) {
                let least = ByteSize::bytes(least);
                problems.add(&[key], format!("{size} is not a multiple of 1MiB from {least} to {MOST_RUN}"));
            }
        }
    }
}
