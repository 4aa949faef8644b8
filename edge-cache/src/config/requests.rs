//! `[requests]`: how many run at once, and how many logins may fail.

use longshore_service::config::{Duration, Problems};

use crate::grants::LoginLimits;

/// How many requests run at once, and how many logins may fail.
///
/// To a registry all clients come from the edge's one address, and it shuts out an account or an address for which too many logins fail: a
/// Longshore registry for 10 and 100 in a minute. Up to twice what is set here may fail in any minute, which stays below that; more where a
/// password was right within the last hour and has been changed, as all who try it at that moment fail.
#[derive(Clone, Debug, PartialEq)]
pub struct Requests {
    /// Over it a request is answered at once with 503 and `Retry-After`.
    pub max_in_flight: usize,
    /// How long a manifest, or the first byte of a blob, may take; then it is 503, so that a client that has somewhere else to go does. What
    /// was begun goes on. 0 for as long as it takes.
    pub first_byte_timeout: Duration,
    /// How many questions of who may see what are put to one upstream at once, those on one thing as one; over it likewise.
    pub max_checks: usize,
    /// How many tags one upstream is asked about at once; over it likewise.
    pub max_tag_checks: usize,
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
        Self {
            max_in_flight: 4096,
            first_byte_timeout: Duration::seconds(0),
            max_checks: 4096,
            max_tag_checks: 1024,
            failed_logins_per_account: 4,
            failed_logins_per_address: 20,
            failed_logins_per_upstream: 45,
        }
    }
}

longshore_service::settings!(Requests {
    max_in_flight,
    first_byte_timeout,
    max_checks,
    max_tag_checks,
    failed_logins_per_account,
    failed_logins_per_address,
    failed_logins_per_upstream,
});

impl Requests {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        for (key, value) in [
            ("requests.max_in_flight", self.max_in_flight),
            ("requests.max_checks", self.max_checks),
            ("requests.max_tag_checks", self.max_tag_checks),
        ] {
            if !(1..=1_000_000).contains(&value) {
                problems.add(&[key], "must be from 1 to 1000000");
            }
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

    /// How long a manifest, or the first byte of a blob, may take.
    pub fn first_byte_limit(&self) -> Option<std::time::Duration> {
        (self.first_byte_timeout.as_milliseconds() > 0).then(|| self.first_byte_timeout.get())
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
