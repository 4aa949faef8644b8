use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use longshore_oci::{AccessToken, Scope};
use longshore_service::signing::InvalidSignature;
use uuid::Uuid;

use super::{AuthenticationError, Caller, known::KnownTokens, session::Session};
use crate::keys::Keys;

/// Why most tokens are refused: their time is over, and who bears them gets another.
pub const EXPIRED: &str = "it has expired";
/// The longest token that is looked at, in bytes; heads of requests have little more room.
const MOST_BYTES: usize = 64 << 10;

/// Gives tokens out, and checks those that come back.
pub struct Tokens {
    keys: Arc<Keys>,
    lifetime: Duration,
    peer_lifetime: Duration,
    known: KnownTokens,
}

/// What a token is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The registry's URL.
    pub issuer: &'a str,
    /// Whom it is for.
    pub audience: &'a str,
    /// What is asked.
    pub scopes: &'a [Scope],
    /// The peer that will bear it.
    pub peer_id: Option<&'a str>,
}

/// A token that was made.
#[derive(Clone, Debug)]
pub struct Minted {
    /// As it goes after `Bearer`.
    pub token: String,
    /// What was granted of what was asked.
    pub access: Vec<Scope>,
    /// When it was made, to the second.
    pub issued_at: Timestamp,
    /// How long it holds.
    pub lifetime: Duration,
}

impl Tokens {
    /// Tokens by these keys, for so long each; a peer's for as long as its own.
    pub fn new(keys: Arc<Keys>, lifetime: Duration, peer_lifetime: Duration) -> Self {
        Self { keys, lifetime, peer_lifetime, known: KnownTokens::default() }
    }

    /// A token. `None` where there is no key to sign it with.
    pub fn mint(&self, caller: &Caller, wish: Grant<'_>) -> Option<Minted> {
        let key = self.keys.current()?;
        let account = caller.account().map(super::Member::account);
        let now = Timestamp::now().as_second();
        let lifetime = if wish.peer_id.is_some() { self.peer_lifetime } else { self.lifetime };
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        let expires_at = now.saturating_add(lifetime);
        let spoken_for = caller.spoken_for();
        let end = account.and_then(|account| account.expires_at).map(Timestamp::as_second);
        let end = end.or(spoken_for.map(|workload| workload.ends_at)).unwrap_or(i64::MAX);
        let token = AccessToken {
            issuer: wish.issuer.to_owned(),
            subject: caller.name().unwrap_or_default().to_owned(),
            audience: wish.audience.to_owned(),
            issued_at: now,
            not_before: now,
            expires_at: expires_at.min(end).min(caller.ends_at()),
            id: Uuid::new_v4().to_string(),
            access: wish.scopes.iter().filter_map(|scope| caller.granted(scope)).collect(),
            credential: account.map(|account| account.credential.clone()),
            federated: spoken_for.map(|workload| workload.federated.clone()),
            peer_id: wish.peer_id.map(str::to_owned),
        };
        Some(Minted {
            token: key.sign(AccessToken::KIND, &token),
            access: token.access,
            issued_at: Timestamp::from_second(now).unwrap_or_default(),
            lifetime: Duration::from_secs(u64::try_from(token.expires_at - now).unwrap_or_default()),
        })
    }

    /// What a caller for whom an issuer has spoken gets tokens by without that one's. `None` where there is no key to sign it with, and for
    /// others.
    pub fn session(&self, caller: &Caller, issuer: &str, audience: &str) -> Option<String> {
        let workload = caller.spoken_for()?;
        let session = Session {
            issuer: issuer.to_owned(),
            subject: workload.name.clone(),
            audience: audience.to_owned(),
            issued_at: Timestamp::now().as_second(),
            expires_at: workload.ends_at,
            id: Uuid::new_v4().to_string(),
            federated: workload.federated.clone(),
        };
        Some(self.keys.current()?.sign(Session::KIND, &session))
    }

    /// What a session says, where it is one of ours and not over.
    pub fn check_session(&self, text: &str, audience: &str) -> Result<Session, AuthenticationError> {
        let checked = self.keys.published().check::<Session>(Session::KIND, text);
        let session = checked.map_err(|error| AuthenticationError::Token(reason(&error)))?;
        if session.audience != audience {
            Err(AuthenticationError::Token("it is for another service"))
        } else if session.expires_at <= Timestamp::now().as_second() {
            Err(AuthenticationError::Token("the session is over; log in again"))
        } else {
            Ok(session)
        }
    }

    /// What a token says, where it is one of ours and holds here and now.
    pub fn check(&self, text: &str, audience: &str) -> Result<Arc<AccessToken>, AuthenticationError> {
        if text.len() > MOST_BYTES {
            return Err(AuthenticationError::Token("it is too long"));
        }
        let now = Timestamp::now().as_second();
        let token = if let Some(token) = self.known.get(text) {
            token
        } else {
            let checked = self.keys.published().check::<AccessToken>(AccessToken::KIND, text);
            let token = Arc::new(checked.map_err(|error| AuthenticationError::Token(reason(&error)))?);
            self.known.add(text, &token, now);
            token
        };
        if token.holds(audience, now) {
            Ok(token)
        } else if token.audience == audience {
            Err(AuthenticationError::Token(EXPIRED))
        } else {
            Err(AuthenticationError::Token("it is for another service"))
        }
    }
}

fn reason(error: &InvalidSignature) -> &'static str {
    match error {
        InvalidSignature::Malformed(_) => "it can't be read",
        InvalidSignature::Algorithm(_) => "only EdDSA is taken",
        InvalidSignature::Kind { .. } => "it is a token for something else",
        InvalidSignature::UnknownKey(_) => "its key is not known here",
        InvalidSignature::Refused(_) => "its signature does not hold",
    }
}
