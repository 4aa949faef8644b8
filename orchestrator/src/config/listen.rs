//! `[listen]`: what every daemon's has, and what is the orchestrator's own.

use std::ops::{Deref, DerefMut};

use longshore_service::config::{self, HttpUrl};

/// Connections open at once: each node has two, and people and their tools some.
const CONNECTIONS: usize = 40_000;

/// Where and how the orchestrator listens.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// What every daemon's has.
    pub common: config::Listen,
    /// Whether nobody need say who they are on an address that other machines can reach.
    pub allow_anonymous: bool,
    /// The URL at which nodes and other replicas reach this one; that of `address` where there is none.
    pub advertise_url: Option<HttpUrl>,
}

impl Default for Listen {
    fn default() -> Self {
        let common = config::Listen { max_connections: CONNECTIONS, ..config::Listen::on(5300) };
        Self { common, allow_anonymous: false, advertise_url: None }
    }
}

longshore_service::settings!(Listen { ..common, allow_anonymous, advertise_url });

impl Deref for Listen {
    type Target = config::Listen;

    fn deref(&self) -> &config::Listen {
        &self.common
    }
}

impl DerefMut for Listen {
    fn deref_mut(&mut self) -> &mut config::Listen {
        &mut self.common
    }
}
