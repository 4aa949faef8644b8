use std::net::IpAddr;

use jiff::Timestamp;
use longshore_oci::Federated;
use longshore_service::signing::Claimed;
use serde_json::{Map, Value};

use super::{Access, AuthenticationError, Caller, Issuer, KeyringError, Workload};

/// The longest token of an issuer that is looked at, in bytes.
const MOST_IDENTITY_BYTES: usize = 16 << 10;
/// The longest name that an issuer may have for a caller, in bytes.
const MOST_NAME_BYTES: usize = 1024;

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

impl Access {
    /// Whom an issuer's token speaks of.
    pub async fn exchange(&self, text: &str, address: IpAddr) -> Result<Caller, AuthenticationError> {
        self.log_in_by_token(&Claimed::of(text).ok_or_else(no_token)?, text, address).await
    }

    pub(super) async fn log_in_by_token(
        &self,
        claimed: &Claimed,
        text: &str,
        address: IpAddr,
    ) -> Result<Caller, AuthenticationError> {
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
    pub(super) fn workload(&self, name: String, federated: Federated, ends_at: i64) -> Result<Workload, AuthenticationError> {
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
}

/// Whether a claim can name somebody, in the log too.
fn is_name(claim: Option<&Value>) -> bool {
    let is_name = |name: &str| (1..=MOST_NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control);
    claim.and_then(Value::as_str).is_some_and(is_name)
}

fn no_token() -> AuthenticationError {
    AuthenticationError::Identity("it can't be read: it is no JSON Web Token with an issuer".to_owned())
}
