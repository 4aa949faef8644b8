use std::sync::Arc;

use longshore_oci::Federated;

use super::directory::Rights;

/// A caller without an account, for whom an issuer has spoken.
#[derive(Debug)]
pub struct Workload {
    /// The issuer's name, and its own there.
    pub name: String,
    /// What it was let in by.
    pub federated: Federated,
    /// What it may do, by each of these; and what everybody may.
    pub rights: Vec<Arc<Rights>>,
    /// Until when it is known, in seconds since 1970.
    pub ends_at: i64,
}
