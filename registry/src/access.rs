//! Who calls, and what they may do.
//!
//! Accounts and roles lie in the database. Each process has all of them compiled ([`Directory`]), and swaps them whole when their number
//! in the database is another: a decision costs no trip there, and a change is everywhere within [`PERIOD`]. A request shows a name and
//! a secret, or a token that was got for them and says itself what it is for; whichever it shows, the roles of its account must allow
//! what it asks as they are now.

mod action;
mod caller;
mod certificate;
mod credentials;
mod directory;
mod failures;
mod issuer;
mod keyring;
mod logins;
mod name;
mod password;
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
use longshore_oci::{AccessToken, Federated};
use longshore_service::listener::ClientCertificate;
use longshore_service::signing::Claimed;
use moka::sync::Cache;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    audit::SharedAudit,
    keys::Keys,
    state::{
        AccessLimits, AccountChange, AccountKind, Expiry, Made, NewAccount, SharedState, StateError, StoredAccount, StoredRole,
        Subject,
    },
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
pub use password::{new_password, new_secret, robot_hash};
use token::Tokens;
pub use token::{Grant, Minted};
use workload::Workload;

/// How often the number of the last change is asked for.
const PERIOD: Duration = Duration::from_secs(1);
/// Every so many periods it is noted who called.
const PERIODS_A_NOTE: u32 = 10;
/// How long the database may take to be asked.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller that shows its secret with each request is logged in once.
const MET_FOR: Duration = Duration::from_mins(5);
/// How many of them are remembered.
const MOST_MET: u64 = 10_000;
/// The account that the first start makes.
const FIRST_ACCOUNT: &str = "admin";
/// The longest token of an issuer that is looked at, in bytes.
const MOST_IDENTITY_BYTES: usize = 16 << 10;
/// The longest name that an issuer may have for a caller, in bytes.
const MOST_NAME_BYTES: usize = 1024;
/// How often all is read at once, while it changes.
const READ_ATTEMPTS: u32 = 5;

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

/// Whom an issuer's token speaks of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The issuer's name, and the caller's there.
    pub name: String,
    /// What it is let in by.
    pub federated: Federated,
    /// When a session by it ends that begins now, in seconds since 1970.
    pub session_ends_at: i64,
    /// When the token itself ends, in seconds since 1970.
    pub expires_at: i64,
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
        let directory = read(&state).await?;
        Ok(Self {
            logins: Logins::new(settings.failed_logins, audit.clone()),
            keyring: Keyring::default(),
            met: Cache::builder().max_capacity(MOST_MET).time_to_live(MET_FOR).build(),
            audit,
            tokens: Tokens::new(keys, settings.token_lifetime),
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

    /// Makes the first account where there is none: an administrator with this password, or with one that is made. The one that was made.
    pub async fn ensure_administrator(&self, password: &str) -> Result<Option<String>, StateError> {
        if !self.directory.load().is_empty() {
            return Ok(None);
        }
        let made = password.is_empty().then(new_password);
        let secret_hash = self.logins.hash(made.as_deref().unwrap_or(password).to_owned()).await;
        let role = new_role(FIRST_ACCOUNT, Action::Admin.into(), "**");
        let account = first_account(secret_hash);
        let new = NewAccount { account, roles: vec![role], limits: self.settings.limits, is_first: true };
        let outcome = self.state.add_account(new).await?;
        self.changed().await;
        Ok(made.filter(|_| outcome == Made::Done))
    }

    /// Gives the first account a new password and all rights, whatever has become of it. The password.
    pub async fn reset(&self) -> Result<String, StateError> {
        if let Some(password) = self.ensure_administrator("").await? {
            return Ok(password);
        }
        let password = new_password();
        let secret_hash = self.logins.hash(password.clone()).await;
        let secret = Some((secret_hash.clone(), Uuid::new_v4().to_string()));
        let (kind, is_disabled, expires_at) = (Some(AccountKind::Person), Some(false), Some(Expiry::Never));
        // Who has a certificate that stood for it is not to be it any more.
        let certificate = Some((None, Uuid::new_v4().to_string()));
        let change = AccountChange { secret, certificate, kind, is_disabled, expires_at };
        if self.state.change_account(FIRST_ACCOUNT, change).await?.is_none() {
            let limits = AccessLimits { accounts: u32::MAX, roles: u32::MAX };
            let account = first_account(secret_hash);
            self.state.add_account(NewAccount { account, roles: Vec::new(), limits, is_first: false }).await?;
        }
        let roles = self.state.roles(Some(FIRST_ACCOUNT), "", u32::MAX).await?;
        if !roles.iter().any(StoredRole::administers) {
            self.state.add_role(new_role(FIRST_ACCOUNT, Action::Admin.into(), "**"), u32::MAX).await?;
        }
        Ok(password)
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
                let caller = self.log_in(&name, &secret, address).await?;
                self.note_request(&caller, "basic", address);
                Ok(caller)
            }
            Some(Credentials::Bearer(_)) if !self.settings.takes_bearer => {
                Err(AuthenticationError::Unreadable("tokens are not taken here"))
            }
            Some(Credentials::Bearer(token)) => {
                let caller = self.bearer(token)?;
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

    /// Notes that a certificate was not taken.
    pub fn note_certificate(&self, error: &AuthenticationError) {
        if let Some(audit) = &self.audit {
            audit.refused_login(None, error);
        }
    }

    /// Whom an issuer's token speaks of.
    pub async fn exchange(&self, text: &str, address: IpAddr) -> Result<Caller, AuthenticationError> {
        self.log_in_by_token(&Claimed::of(text).ok_or_else(no_token)?, text, address).await
    }

    async fn log_in_by_token(&self, claimed: &Claimed, text: &str, address: IpAddr) -> Result<Caller, AuthenticationError> {
        if let Err(error) = self.logins.may_try_from(address) {
            self.audit.iter().for_each(|audit| audit.refused_login(None, &error));
            return Err(error);
        }
        let issuers = self.directory.load().issuers_at(&claimed.issuer);
        let mut outcome = Err(AuthenticationError::Identity("no issuer is trusted here that has its URL".to_owned()));
        for issuer in issuers {
            let identity = self.check_identity(&issuer, text).await;
            let next = identity.and_then(|identity| self.workload(identity.name, identity.federated, identity.session_ends_at));
            // What one of them may yet take is not refused by another.
            if next.is_ok() || !matches!(outcome, Err(AuthenticationError::Unchecked(_))) {
                outcome = next;
            }
            if outcome.is_ok() {
                break;
            }
        }
        if matches!(outcome, Err(AuthenticationError::Identity(_))) {
            self.logins.note_from(address);
        }
        if let (Some(audit), Err(error)) = (&self.audit, &outcome) {
            audit.refused_login(None, error);
        }
        outcome.map(|workload| Caller::workload(workload, None))
    }

    /// Whom a token speaks of, where this issuer has signed it.
    async fn check_identity(&self, issuer: &Issuer, text: &str) -> Result<Identity, AuthenticationError> {
        if text.len() > MOST_IDENTITY_BYTES {
            return Err(AuthenticationError::Identity(format!("it has more than {MOST_IDENTITY_BYTES} bytes")));
        }
        match self.keyring.check(issuer, text).await {
            Ok(claims) if !is_name(claims.get("sub")) => Err(AuthenticationError::Identity(format!(
                "its sub is no name: it must have 1 to {MOST_NAME_BYTES} visible bytes"
            ))),
            Ok(claims) => Ok(self.recognise(issuer, claims)),
            Err(KeyringError::Unavailable(reason)) => Err(AuthenticationError::Unchecked(reason)),
            Err(KeyringError::Invalid(reason)) => {
                Err(AuthenticationError::Identity(format!("{reason} (issuer {:?})", issuer.name())))
            }
        }
    }

    fn recognise(&self, issuer: &Issuer, claims: Map<String, Value>) -> Identity {
        let directory = self.directory.load();
        let expires_at = claims.get("exp").and_then(Value::as_f64).unwrap_or_default();
        let (federated, name) = issuer.recognise(claims, |group| directory.has_group(issuer.name(), group));
        let session_seconds = i64::from(issuer.trust().session_seconds);
        Identity {
            name,
            federated,
            session_ends_at: Timestamp::now().as_second().saturating_add(session_seconds),
            #[expect(clippy::cast_possible_truncation, reason = "what has no place in it is too far away to matter")]
            expires_at: expires_at as i64,
        }
    }

    /// Whom a token speaks of, to an issuer by its name, where it would be let in. `None` where there is no such issuer.
    pub async fn examine(&self, issuer: &str, text: &str) -> Option<Result<Identity, AuthenticationError>> {
        let issuer = self.directory.load().issuer(issuer)?.clone();
        if Claimed::of(text).is_none() {
            return Some(Err(no_token()));
        }
        let identity = self.check_identity(&issuer, text).await;
        Some(identity.and_then(|identity| {
            self.workload(identity.name.clone(), identity.federated.clone(), identity.session_ends_at)?;
            Ok(identity)
        }))
    }

    /// The caller that was let in by this, as far as that still counts.
    fn workload(&self, name: String, federated: Federated, ends_at: i64) -> Result<Workload, AuthenticationError> {
        let issuer = federated.issuer.clone();
        let workload = self.directory.load().workload(name, federated, ends_at);
        workload.ok_or_else(|| {
            AuthenticationError::Identity(format!(
                "what it says fits no rule, and no group that has roles, of the issuer {issuer:?}"
            ))
        })
    }

    /// Who has this session.
    pub fn resume(&self, session: &str) -> Result<Caller, AuthenticationError> {
        let session = self.tokens.check_session(session, &self.settings.service)?;
        let workload = self.workload(session.subject, session.federated, session.expires_at)?;
        Ok(Caller::workload(workload, None))
    }

    /// What a caller gets tokens by without showing again who it is, where that is not its own to show: see [`Tokens::session`].
    pub fn session(&self, caller: &Caller, issuer: &str) -> Option<String> {
        self.tokens.session(caller, issuer, &self.settings.service)
    }

    fn bearer(&self, text: &str) -> Result<Caller, AuthenticationError> {
        let token = self.tokens.check(text, &self.settings.service)?;
        let directory = self.directory.load_full();
        if token.subject.is_empty() {
            return Ok(Caller::anonymous(directory, Some(token)));
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

    /// Takes over what the database has now.
    async fn refresh(&self) -> Result<(), StateError> {
        let _alone = self.refreshing.lock().await;
        let before = self.directory.swap(Arc::new(read(&self.state).await?));
        let directory = self.directory.load();
        self.keyring.keep(|name| directory.issuer(name).is_some());
        self.used.lock().expect("nobody panics with it").extend(before.take_used());
        Ok(())
    }

    /// As [`Self::refresh`], after a change of our own. That is done whether this works or not; what follows changes looks soon.
    pub async fn changed(&self) {
        let outcome = tokio::time::timeout(LOOK_TIMEOUT, self.refresh()).await;
        if let Ok(Err(error)) = outcome {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "accounts and roles were changed, and could not be read again"
            );
        }
    }

    async fn refresh_if_changed(&self) -> Result<(), StateError> {
        if self.state.access_version().await? == self.directory.load().version() {
            return Ok(());
        }
        self.refresh().await
    }

    /// Writes down who called since it was last done, in the order of names: replicas do so at the same time.
    async fn note_used(&self) -> Result<(), StateError> {
        let used = {
            let mut used = self.used.lock().expect("nobody panics with it");
            used.extend(self.directory.load().take_used());
            std::mem::take(&mut *used)
        };
        if used.is_empty() { Ok(()) } else { self.state.note_used(used.into_iter().collect()).await }
    }

    /// Follows the changes that are made elsewhere, until told to stop.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut is_failing = false;
        for period in (1..=PERIODS_A_NOTE).cycle() {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(PERIOD) => {}
            }
            let is_seen = match tokio::time::timeout(LOOK_TIMEOUT, self.refresh_if_changed()).await {
                Ok(Ok(())) => true,
                Ok(Err(error)) if !is_failing => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "accounts and roles could not be looked at, and stay as they were");
                    false
                }
                _ => false,
            };
            is_failing = !is_seen;
            if is_seen && period == PERIODS_A_NOTE {
                self.note_used_in_time().await;
            }
        }
        self.note_used_in_time().await;
    }

    async fn note_used_in_time(&self) {
        if let Ok(Err(error)) = tokio::time::timeout(LOOK_TIMEOUT, self.note_used()).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "who called last could not be noted");
        }
    }
}

/// A role as it is kept.
pub fn new_role(subject: &str, actions: Actions, repositories: &str) -> StoredRole {
    StoredRole {
        id: format!("role_{}", Uuid::now_v7()),
        subject: subject.to_owned(),
        actions: actions.to_string(),
        repositories: repositories.to_owned(),
        created_at: now(),
    }
}

/// The time, as the database keeps it.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

fn first_account(secret_hash: String) -> StoredAccount {
    StoredAccount {
        name: FIRST_ACCOUNT.to_owned(),
        kind: AccountKind::Person,
        secret_hash,
        credential: Uuid::new_v4().to_string(),
        certificate: None,
        is_disabled: false,
        created_at: now(),
        expires_at: None,
        last_used_at: None,
    }
}

/// Whether a claim can name somebody, in the log too.
fn is_name(claim: Option<&Value>) -> bool {
    let is_name = |name: &str| (1..=MOST_NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control);
    claim.and_then(Value::as_str).is_some_and(is_name)
}

fn no_token() -> AuthenticationError {
    AuthenticationError::Identity("it can't be read: it is no JSON Web Token with an issuer".to_owned())
}

/// All accounts, issuers and roles. Where something changes meanwhile all are read again, so that no role counts for what is another by
/// now; what changes again and again is read again later, since the number is that of before.
async fn read(state: &SharedState) -> Result<Directory, StateError> {
    let mut version = state.access_version().await?;
    let mut attempt = 1;
    loop {
        let accounts = state.accounts("", u32::MAX).await?;
        let issuers = state.issuers("", u32::MAX).await?;
        let roles = state.roles(None, "", u32::MAX).await?;
        let version_after = state.access_version().await?;
        if version_after == version || attempt == READ_ATTEMPTS {
            return Ok(Directory::compile(version, accounts, issuers, &roles));
        }
        (version, attempt) = (version_after, attempt + 1);
    }
}
