//! What a client may have.

use longshore_oci::VerdictLifetime;

use crate::upstream::Identity;

/// That a client may have something.
#[derive(Clone, Debug)]
pub struct Granted {
    /// In whose name it is fetched.
    pub identity: Identity,
    /// How long it is, in bytes, where the upstream has said so.
    pub size_bytes: Option<u64>,
    /// Whether anybody may have it who reaches the cache. Of other things a client is not told whether they were here: that tells what
    /// others have pulled.
    pub is_open: bool,
    /// For how long that still holds, where the upstream has said so of a manifest.
    pub lifetime: Option<VerdictLifetime>,
}
