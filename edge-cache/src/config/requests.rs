//! `[requests]`: how many run at once, and how many logins may fail.

use longshore_service::config::Problems;

use crate::grants::LoginLimits;

/// How many requests run at once, and how many logins may fail.
///
/// To a registry all clients come from the edge's one address, and it shuts out an account or an address for which too many logins fail: a
/// Longshore registry for 10 and 100 in a minute. Twice what is set here may come in any minute, and stays below that.
#[derive(Clone, Debug, PartialEq)]
pub struct Requests {
    /// Over it a request is answered at once with 503 and `Retry-After`.
    pub max_in_flight: usize,
    /// So many failed logins of an account of an upstream in a minute, and nobody may try it through the edge for the rest of that, but from
    /// where it was right lately; from there as many again. 0 for any number.
    pub failed_logins_per_account: u32,
    /// So many failed logins at an upstream from an address in a minute, and it may not try again for the rest of that. 0 for any number.
    pub failed_logins_per_address: u32,
    /// So many failed logins at an upstream in a minute, and only who was right lately, from there, may try for the rest of that. 0 for any
    /// number.
    pub failed_logins_per_upstream: u32,
}

impl Default for Requests {
    fn default() -> Self {
        Self { max_in_flight: 4096, failed_logins_per_account: 4, failed_logins_per_address: 20, failed_logins_per_upstream: 45 }
    }
}

longshore_service::settings!(Requests {
    max_in_flight,
    failed_logins_per_account,
    failed_logins_per_address,
    failed_logins_per_upstream,
});

impl Requests {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        if !(1..=1_000_000).contains(&self.max_in_flight) {
            problems.add(&["requests.max_in_flight"], "must be from 1 to 1000000");
        }
        for (key, value) in [
            ("requests.failed_logins_per_account", self.failed_logins_per_account),
            ("requests.failed_logins_per_address", self.failed_logins_per_address),
            ("requests.failed_logins_per_upstream", self.failed_logins_per_upstream),
        ] {
            if value > 1_000_000 {
                problems.add(&[key], "must be from 0 to 1000000");
            }
        }
    }

    /// How many logins may fail.
    pub fn login_limits(&self) -> LoginLimits {
        LoginLimits {
            per_account: self.failed_logins_per_account,
            per_address: self.failed_logins_per_address,
            per_upstream: self.failed_logins_per_upstream,
        }
    }
}
