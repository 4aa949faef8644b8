use std::{
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use longshore_oci::{AccessToken, Scope};
use longshore_service::signing::InvalidSignature;
use moka::{Equivalent, sync::Cache};
use uuid::Uuid;

use super::{AuthenticationError, Caller, session::Session};
use crate::keys::Keys;

/// What may be kept of tokens that need not be checked again, in bytes.
const MOST_KNOWN_BYTES: u64 = 32 << 20;
/// What one costs besides its text, which is kept, and of which what is read has about three times as much, in bytes.
const TOKEN_BYTES: usize = 512;
/// How much of a token's end tells it from others: an Ed25519 signature in base64, in bytes.
const SIGNATURE_BYTES: usize = 86;
/// The longest token that is looked at, in bytes; heads of requests have little more room.
const MOST_BYTES: usize = 64 << 10;

/// Gives tokens out, and checks those that come back.
pub struct Tokens {
    keys: Arc<Keys>,
    lifetime: Duration,
    /// What tokens say whose signature was right.
    known: Cache<Known, (u32, Arc<AccessToken>)>,
}

/// The text of a token whose signature was right.
#[derive(Eq, PartialEq)]
struct Known(Box<str>);

/// The text of a token that is shown.
///
/// Texts are one token where they are the same to the byte; hashing all of one takes longer than the rest of what is asked of it. Its
/// signature is enough to find it by: of the texts that are known no two have the same, and nobody but us makes such as are known.
struct Shown<'a>(&'a str);

impl Hash for Shown<'_> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let bytes = self.0.as_bytes();
        bytes[bytes.len().saturating_sub(SIGNATURE_BYTES)..].hash(hasher);
    }
}

impl Hash for Known {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        Shown(&self.0).hash(hasher);
    }
}

impl Equivalent<Known> for Shown<'_> {
    fn equivalent(&self, known: &Known) -> bool {
        *self.0 == *known.0
    }
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
    /// Tokens by these keys, for so long each.
    pub fn new(keys: Arc<Keys>, lifetime: Duration) -> Self {
        let known = Cache::builder().max_capacity(MOST_KNOWN_BYTES).weigher(|_, (weight, _): &(u32, _)| *weight);
        Self { keys, lifetime, known: known.time_to_live(lifetime).build() }
    }

    /// A token. `None` where there is no key to sign it with.
    pub fn mint(&self, caller: &Caller, wish: Grant<'_>) -> Option<Minted> {
        let key = self.keys.current()?;
        let account = caller.account().map(super::Member::account);
        let now = Timestamp::now().as_second();
        let lifetime = i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX);
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
        let token = if let Some((_, token)) = self.known.get(&Shown(text)) {
            token
        } else {
            let checked = self.keys.published().check::<AccessToken>(AccessToken::KIND, text);
            let token = Arc::new(checked.map_err(|error| AuthenticationError::Token(reason(&error)))?);
            let weight = u32::try_from(4 * text.len() + TOKEN_BYTES).unwrap_or(u32::MAX);
            self.known.insert(Known(text.into()), (weight, token.clone()));
            token
        };
        if token.holds(audience, Timestamp::now().as_second()) {
            Ok(token)
        } else if token.audience == audience {
            Err(AuthenticationError::Token("it has expired"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_token_is_the_same_to_the_byte() {
        let known: Cache<Known, ()> = Cache::new(10);
        let end = "s".repeat(SIGNATURE_BYTES);
        let text = format!("header.payload.{end}");
        known.insert(Known(text.as_str().into()), ());
        assert!(known.contains_key(&Shown(&text)));
        for other in [format!("header.another.{end}"), format!("x{text}"), end, text[1..].to_owned(), String::new()] {
            assert!(!known.contains_key(&Shown(&other)), "{other}");
        }
    }
}
