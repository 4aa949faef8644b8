//! `[auth]`: who may call.

use longshore_service::config::{Duration, Problems, Secret};

use crate::access::check_password;

/// The least that a token may hold: clients take any that holds for less as holding for as long.
const LEAST_LIFETIME: Duration = Duration::seconds(60);
/// The most: it can't be told a token that its account may not pull any more, but where the registry itself is asked.
const MOST_LIFETIME: Duration = Duration::days(1);

/// Who may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Auth {
    /// Whether callers are asked who they are.
    pub enabled: bool,
    /// Whether there is a token service, and tokens are taken.
    pub bearer: bool,
    /// Whether a name and a secret are taken on the API itself.
    pub basic: bool,
    /// Whom tokens are for; empty for the host of `listen.public_url`, or without one for `longshore`.
    pub service: String,
    /// How long a token holds, from `1m` to `1d`.
    pub token_lifetime: Duration,
    /// How long a token holds that a node shows to its neighbours in a swarm, from `1m` to `1d`. They take it without asking the registry: so
    /// long after a right was revoked they may still give what they hold, and so long they do while the registry is away. The registry
    /// itself takes none of these.
    pub peer_token_lifetime: Duration,
    /// The password of the account `admin`, which the first start makes. Where none is given one is made, and told once.
    pub admin_password: Secret,
    /// The most accounts.
    pub max_accounts: u32,
    /// The most roles.
    pub max_roles: u32,
    /// The most issuers of identities.
    pub max_issuers: u32,
    /// So many failed logins of an account in a minute, and nobody may try it for the rest of that.
    pub failed_logins_per_account: u32,
    /// So many failed logins from an address in a minute, and it may not try again for the rest of that.
    pub failed_logins_per_address: u32,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            enabled: false,
            bearer: true,
            basic: true,
            service: String::new(),
            token_lifetime: Duration::seconds(300),
            peer_token_lifetime: Duration::hours(1),
            admin_password: Secret::default(),
            max_accounts: 10_000,
            max_roles: 50_000,
            max_issuers: 100,
            failed_logins_per_account: 10,
            failed_logins_per_address: 100,
        }
    }
}

longshore_service::settings!(Auth {
    enabled,
    bearer,
    basic,
    service,
    token_lifetime,
    peer_token_lifetime,
    admin_password,
    max_accounts,
    max_roles,
    max_issuers,
    failed_logins_per_account,
    failed_logins_per_address,
});

impl Auth {
    /// How long tokens of each kind hold, by the setting that says so.
    pub(super) fn lifetimes(&self) -> [(&'static str, Duration); 2] {
        [("auth.token_lifetime", self.token_lifetime), ("auth.peer_token_lifetime", self.peer_token_lifetime)]
    }

    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        for (key, lifetime) in self.lifetimes() {
            if !(LEAST_LIFETIME..=MOST_LIFETIME).contains(&lifetime) {
                problems.add(&[key], format!("must be from {LEAST_LIFETIME} to {MOST_LIFETIME}"));
            }
        }
        if self.enabled && !self.bearer && !self.basic {
            problems.add(&["auth.bearer", "auth.basic"], "nobody could say who they are: one of both is needed");
        }
        if !self.service.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte)) {
            problems.add(&["auth.service"], "must be made of letters, digits and .-_: alone");
        }
        let password = self.admin_password.reveal();
        if let (false, Err(reason)) = (password.is_empty(), check_password(password)) {
            problems.add(&["auth.admin_password"], reason);
        }
        for (key, value, most) in [
            ("auth.max_accounts", self.max_accounts, 100_000),
            ("auth.max_roles", self.max_roles, 1_000_000),
            ("auth.max_issuers", self.max_issuers, 10_000),
            ("auth.failed_logins_per_account", self.failed_logins_per_account, 1_000_000),
            ("auth.failed_logins_per_address", self.failed_logins_per_address, 1_000_000),
        ] {
            if !(1..=most).contains(&value) {
                problems.add(&[key], format!("must be from 1 to {most}"));
            }
        }
    }
}
