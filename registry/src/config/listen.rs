//! `[listen]`: what every daemon's has, and what is the registry's own.

use std::ops::{Deref, DerefMut};

use longshore_service::config::{self, HttpUrl};

/// Where and how the registry listens.
///
/// An account has the client certificate that its `certificate` names. Where `auth.enabled` is off, a certificate that is required is all
/// that is asked of a client, which may then do everything.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// What every daemon's has.
    pub common: config::Listen,
    /// Whether nobody need say who they are on an address that other machines can reach.
    pub allow_unauthenticated: bool,
    /// The URL under which clients reach the registry, where a proxy in front of it changes that.
    pub public_url: Option<HttpUrl>,
}

impl Default for Listen {
    fn default() -> Self {
        Self { common: config::Listen::on(5000), allow_unauthenticated: false, public_url: None }
    }
}

longshore_service::settings!(Listen { ..common, allow_unauthenticated, public_url });

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
