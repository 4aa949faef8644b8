//! Who calls, and what they may do.
//!
//! Accounts and roles lie in the database. Each process has all of them compiled ([`Directory`]), and swaps them whole when their number
//! in the database is another: a decision costs no trip there, and a change is everywhere within seconds. A request shows a name and
//! a secret, or a token that was got for them and says itself what it is for; whichever it shows, the roles of its account must allow
//! what it asks as they are now.

mod action;
mod administrator;
mod caller;
mod certificate;
mod credentials;
mod directory;
mod failures;
mod federation;
mod following;
mod issuer;
mod keyring;
mod known;
mod logins;
mod name;
mod namespace_pattern;
mod password;
mod robot;
mod session;
mod token;
mod workload;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use longshore_oci::AccessToken;
use longshore_service::listener::ClientCertificate;
use longshore_service::signing::Claimed;
use moka::sync::Cache;
use uuid::Uuid;

use crate::{
    audit::SharedAudit,
    keys::Keys,
    state::{AccessLimits, RolePlace, SharedState, StateError, StoredRole, Subject},
};

pub use action::{Action, Actions};
pub use caller::{Caller, Judgement, Need};
pub use certificate::check_identity;
pub use credentials::Credentials;
use directory::{Directory, Member};
pub use failures::network;
use issuer::Issuer;
use keyring::{Keyring, KeyringError};
use logins::Logins;
pub use name::{check_name, check_password};
pub use namespace_pattern::NamespacePattern;
pub use password::{new_password, new_secret, robot_hash};
pub use robot::RobotError;
use token::Tokens;
pub use token::{Grant, Minted};
use workload::Workload;

/// How long a caller that shows its secret with each request is logged in once.
const MET_FOR: Duration = Duration::from_mins(5);
/// How many of them are remembered.
const MOST_MET: u64 = 10_000;

/// Why somebody is not let in.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AuthenticationError {
    /// What was shown can't be read, or is not taken here.
    #[error("{0}")]
    Unreadable(&'static str),
    /// There is no such account, or its secret is another.
    #[error("the name or the secret is wrong")]
    Wrong,
    /// The account may not call, whatever it shows.
    #[error("the account {0} may not call: it is disabled, or has expired")]
    Barred(String),
    /// The client certificate says that its holder is several, or is good no more.
    #[error("{0}")]
    Certificate(String),
    /// The token is not one of ours, or no longer good.
    #[error("the token is not valid: {0}")]
    Token(&'static str),
    /// A token of an issuer is not taken.
    #[error("the token is not taken: {0}")]
    Identity(String),
    /// A token of an issuer can't be checked for the time being; why, which is not told to whoever asks.
    #[error("the token can't be checked: the keys of its issuer can't be had for the time being")]
    Unchecked(String),
    /// Too many were wrong lately.
    #[error("too many failed logins; try again in {} s", .0.as_secs())]
    Throttled(Duration),
    /// More passwords are being checked than can be.
    #[error("too many logins at once; try again in a moment")]
    Busy,
}

/// What may be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether tokens are given out and taken.
    pub takes_bearer: bool,
    /// Whether a name and a secret are taken on the API itself.
    pub takes_basic: bool,
    /// Whom tokens are for.
    pub service: String,
    /// How long a token holds.
    pub token_lifetime: Duration,
    /// The same of a token that is a peer's in a swarm.
    pub peer_token_lifetime: Duration,
    /// How many accounts and roles there may be.
    pub limits: AccessLimits,
    /// How many issuers there may be.
    pub max_issuers: u32,
    /// How long a session may be that an issuer's token begins: its key is published for so long.
    pub max_session: Duration,
    /// How many failed logins are borne in a minute: of one account, from one address.
    pub failed_logins: (u32, u32),
}

/// Who may call, and what they may do.
pub struct Access {
    settings: Settings,
    state: SharedState,
    directory: ArcSwap<Directory>,
    logins: Logins,
    keyring: Keyring,
    tokens: Tokens,
    audit: SharedAudit,
    /// Who showed a secret with a request lately, by its credential, and from where: that is one login.
    met: Cache<(String, IpAddr), ()>,
    /// Who called, and when, as far as it is not written down.
    used: Mutex<BTreeMap<String, Timestamp>>,
    /// Held while what the database has is taken over, so that nothing older comes after it.
    refreshing: tokio::sync::Mutex<()>,
}

impl Access {
    /// What the database has of it.
    pub async fn open(settings: Settings, state: SharedState, keys: Arc<Keys>, audit: SharedAudit) -> Result<Self, StateError> {
        let directory = following::read(&state).await?;
        Ok(Self {
            logins: Logins::new(settings.failed_logins, audit.clone()),
            keyring: Keyring::default(),
            met: Cache::builder().max_capacity(MOST_MET).time_to_live(MET_FOR).build(),
            audit,
            tokens: Tokens::new(keys, settings.token_lifetime, settings.peer_token_lifetime),
            used: Mutex::default(),
            refreshing: tokio::sync::Mutex::default(),
            directory: ArcSwap::from_pointee(directory),
            settings,
            state,
        })
    }

    /// What may be set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What a password comes to, to be kept.
    pub async fn hash(&self, password: String) -> String {
        self.logins.hash(password).await
    }

    /// Who shows these credentials, on the API; for want of any, whose certificate the connection shows.
    pub async fn identify(
        &self,
        shown: Option<Credentials<'_>>,
        certificate: Option<&ClientCertificate>,
        address: IpAddr,
    ) -> Result<Caller, AuthenticationError> {
        match shown {
            None => {
                let caller = self.of_certificate(certificate)?;
                self.note_request(&caller, "certificate", address);
                Ok(caller)
            }
            Some(Credentials::Basic { .. }) if !self.settings.takes_basic => {
                Err(AuthenticationError::Unreadable("a name and a secret are taken at the token service alone"))
            }
            Some(Credentials::Basic { name, secret }) => {
                let caller = Box::pin(self.log_in(&name, &secret, address)).await?;
                self.note_request(&caller, "basic", address);
                Ok(caller)
            }
            Some(Credentials::Bearer(_)) if !self.settings.takes_bearer => {
                Err(AuthenticationError::Unreadable("tokens are not taken here"))
            }
            Some(Credentials::Bearer(token)) => {
                let caller = self.bearer(token).inspect_err(|error| self.note_token_refused(error, address))?;
                let unknown = certificate.filter(|certificate| caller.name().is_none() && self.is_unknown(certificate));
                Ok(match unknown {
                    Some(certificate) => caller.with_certificate(certificate.clone()),
                    None => caller,
                })
            }
        }
    }

    /// Who has this name and secret; or, where the secret is an issuer's token, whom that one speaks of, whatever the name.
    pub async fn log_in(&self, name: &str, secret: &str, address: IpAddr) -> Result<Caller, AuthenticationError> {
        if let Some(claimed) = Claimed::of(secret) {
            return self.log_in_by_token(&claimed, secret, address).await;
        }
        let member = self.directory.load().member(name);
        let checked = self.logins.check(member.as_deref().map(Member::account), name, secret, address).await;
        // Where nothing is right the check itself notes it: that goes on without a client.
        if let (Some(audit), Err(error @ AuthenticationError::Throttled(_))) = (&self.audit, &checked) {
            audit.refused_login(member.as_deref().map(|member| member.account().name.as_str()), error);
        }
        checked?;
        self.caller(member.ok_or(AuthenticationError::Wrong)?, None)
    }

    /// Notes that a caller got itself a token for its secret.
    pub fn note_token(&self, caller: &Caller) {
        if let (Some(audit), Some(name)) = (&self.audit, caller.name()) {
            audit.login(name, "token");
        }
    }

    /// Notes that a caller shows who it is with its requests, where it has not done so from there lately.
    fn note_request(&self, caller: &Caller, by: &'static str, address: IpAddr) {
        let (Some(audit), Some(name)) = (&self.audit, caller.name()) else { return };
        let known_by = caller.account().map_or(name, |member| &member.account().credential);
        if self.met.entry((format!("{by} {known_by}"), network(address))).or_insert(()).is_fresh() {
            audit.login(name, by);
        }
    }

    /// Notes that a token was not taken, where that is more than its time: who shows one again and again is noted once in a while.
    fn note_token_refused(&self, error: &AuthenticationError, address: IpAddr) {
        let (Some(audit), AuthenticationError::Token(reason)) = (&self.audit, error) else { return };
        if *reason != token::EXPIRED && self.met.entry((format!("refused {reason}"), network(address))).or_insert(()).is_fresh() {
            audit.refused_login(None, error);
        }
    }

    /// Notes that a certificate was not taken.
    pub fn note_certificate(&self, error: &AuthenticationError) {
        if let Some(audit) = &self.audit {
            audit.refused_login(None, error);
        }
    }

    fn bearer(&self, text: &str) -> Result<Caller, AuthenticationError> {
        let token = self.tokens.check(text, &self.settings.service)?;
        if token.peer_id.is_some() {
            return Err(AuthenticationError::Token("it is a peer's, to be shown to its neighbours in a swarm alone"));
        }
        self.of_token(token)
    }

    /// Whom a token speaks of that the peer of this id shows to a tracker; one that is another peer's, or no peer's, is not taken.
    pub fn peer(&self, text: &str, peer_id: &str) -> Result<Caller, AuthenticationError> {
        let token = self.tokens.check(text, &self.settings.service)?;
        if token.peer_id.as_deref() != Some(peer_id) {
            return Err(AuthenticationError::Token("it is not this peer's"));
        }
        self.of_token(token)
    }

    /// Whom a token speaks of that was found good.
    fn of_token(&self, token: Arc<AccessToken>) -> Result<Caller, AuthenticationError> {
        let directory = self.directory.load();
        if token.subject.is_empty() {
            return Ok(Caller::anonymous(directory.clone(), Some(token)));
        }
        if let Some(federated) = &token.federated {
            let workload = self.workload(token.subject.clone(), federated.clone(), token.expires_at)?;
            return Ok(Caller::workload(workload, Some(token)));
        }
        let member = directory.member(&token.subject);
        let is_current = |member: &Arc<Member>| token.credential.as_deref() == Some(member.account().credential.as_str());
        let member =
            member.filter(is_current).ok_or(AuthenticationError::Token("its account is gone, or has another secret now"))?;
        self.caller(member, Some(token))
    }

    /// The caller that an account is, where it may call.
    fn caller(&self, member: Arc<Member>, token: Option<Arc<AccessToken>>) -> Result<Caller, AuthenticationError> {
        let now = Timestamp::now();
        if !member.may_call(now) {
            let barred = AuthenticationError::Barred(member.account().name.clone());
            if let Some(audit) = &self.audit {
                audit.refused_login(Some(&member.account().name), &barred);
            }
            return Err(barred);
        }
        member.note_use(now);
        Ok(Caller::member(member, token))
    }

    /// Whoever shows nothing.
    pub fn anonymous(&self) -> Caller {
        Caller::anonymous(self.directory.load_full(), None)
    }

    /// The caller that a role's subject would be.
    pub fn as_caller(&self, subject: &str) -> Option<Caller> {
        let directory = self.directory.load();
        let federated = match Subject::of(subject) {
            Subject::Anonymous => return Some(self.anonymous()),
            Subject::Account(name) => return directory.member(name).map(|member| Caller::member(member, None)),
            Subject::Rule { issuer, rule } => directory.issuer(issuer)?.by_rule(rule)?,
            Subject::Group { issuer, group } => directory.issuer(issuer)?.by_group(group),
        };
        let workload = directory.workload(subject.to_owned(), federated, i64::MAX)?;
        Some(Caller::workload(workload, None))
    }

    /// A token for a caller. `None` while there is no key to sign it with.
    pub fn mint(&self, caller: &Caller, wish: Grant<'_>) -> Option<Minted> {
        self.tokens.mint(caller, wish)
    }
}

/// A role as it is kept.
pub fn new_role(subject: &str, actions: String, place: RolePlace) -> StoredRole {
    StoredRole { id: format!("role_{}", Uuid::now_v7()), subject: subject.to_owned(), actions, place, created_at: now() }
}

/// A role to do something with every repository.
fn on_all_repositories(subject: &str, action: Action) -> StoredRole {
    new_role(subject, action.to_string(), RolePlace::Repositories("**".to_owned()))
}

/// The time, as the database keeps it.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}
