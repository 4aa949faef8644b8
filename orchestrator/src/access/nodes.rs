//! Nodes, by tokens that each signs with its own key.

use std::{fmt, str::FromStr, time::Duration};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::{HeaderMap, header};
use jiff::Timestamp;
use longshore_fleet::NodeId;
use moka::sync::Cache;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::Deserialize;

use super::bearer;
use crate::{
    error::Error,
    state::{NodeRow, SharedState},
};

/// Whom nodes' tokens are for.
const AUDIENCE: &str = "longshore-orchestrator";
/// How long a token may hold, in seconds.
const MOST_LIFETIME: i64 = 120;
/// How far clocks may be apart, in seconds.
const LEEWAY: i64 = 30;
/// The longest token that is looked at, in bytes.
const MOST_BYTES: usize = 8 << 10;
/// How long a node's key is remembered: so long one that was removed may still speak, and is told that it is no node.
const REMEMBERED: Duration = Duration::from_mins(1);
/// How many nodes' keys are remembered.
const MOST_REMEMBERED: u64 = 100_000;

/// Checks nodes' tokens.
#[derive(Debug)]
pub(crate) struct NodeTokens {
    keys: Cache<NodeId, PublicKeyText>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: NodeId,
    aud: String,
    iat: i64,
    exp: i64,
}

impl Default for NodeTokens {
    fn default() -> Self {
        Self { keys: Cache::builder().max_capacity(MOST_REMEMBERED).time_to_live(REMEMBERED).build() }
    }
}

impl NodeTokens {
    /// Which node sends a request with these headers.
    pub(crate) async fn identify(&self, state: &SharedState, headers: &HeaderMap) -> Result<NodeId, Error> {
        let text = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
        let text = text.ok_or_else(|| refused("there is none"))?;
        let parts = Parts::of(text).ok_or_else(|| refused("it is no token of a node"))?;
        let node = parts.claims.sub;
        let key = match self.keys.get(&node) {
            Some(key) => key,
            None => self.look_up(state, node).await?,
        };
        if !key.has_signed(parts.signed, &parts.signature) {
            return Err(refused("the node's key did not sign it"));
        }
        parts.claims.check(Timestamp::now().as_second()).map_err(refused)?;
        Ok(node)
    }

    /// Forgets a node that was removed.
    pub(crate) fn forget(&self, node: NodeId) {
        self.keys.invalidate(&node);
    }

    async fn look_up(&self, state: &SharedState, node: NodeId) -> Result<PublicKeyText, Error> {
        let NodeRow { public_key, .. } = state.node(node).await?.ok_or_else(|| refused("there is no such node: join again"))?;
        let key: PublicKeyText = public_key.parse().map_err(|_| refused("the node's key can't be read: join again"))?;
        self.keys.insert(node, key.clone());
        Ok(key)
    }
}

fn refused(reason: &str) -> Error {
    Error::Unauthorized {
        reason: format!("the node's token was not taken: {reason}"),
        challenge: "Bearer realm=\"longshore-nodes\"".to_owned(),
    }
}

impl Claims {
    fn check(&self, now: i64) -> Result<(), &'static str> {
        if self.aud != AUDIENCE {
            Err("it is for another service")
        } else if self.exp.saturating_sub(self.iat) > MOST_LIFETIME {
            Err("it holds for longer than two minutes")
        } else if self.iat > now.saturating_add(LEEWAY) {
            Err("it was signed in the future: the clocks are apart")
        } else if now >= self.exp.saturating_add(LEEWAY) {
            Err("it has ended, or the clocks are apart")
        } else {
            Ok(())
        }
    }
}

/// A token taken apart (RFC 7515, compact).
struct Parts<'a> {
    signed: &'a [u8],
    signature: Vec<u8>,
    claims: Claims,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        if text.len() > MOST_BYTES {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        let claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        (header.alg == "EdDSA").then_some(Self { signed: signed.as_bytes(), signature, claims })
    }
}

/// An Ed25519 key, read from PEM and written so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PublicKeyText([u8; 32]);

/// A text is no Ed25519 key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("is no Ed25519 key in PEM, which begins with -----BEGIN PUBLIC KEY-----")]
pub(crate) struct InvalidPublicKey;

/// What is before the key's bytes in a `SubjectPublicKeyInfo` (RFC 8410, section 4).
const PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

impl FromStr for PublicKeyText {
    type Err = InvalidPublicKey;

    fn from_str(text: &str) -> Result<Self, InvalidPublicKey> {
        let inner = text.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)).ok_or(InvalidPublicKey)?;
        let inner: String = inner.split_ascii_whitespace().collect();
        let bytes = STANDARD.decode(inner).map_err(|_| InvalidPublicKey)?;
        let key = bytes.strip_prefix(&PREFIX).ok_or(InvalidPublicKey)?;
        key.try_into().map(Self).map_err(|_| InvalidPublicKey)
    }
}

impl fmt::Display for PublicKeyText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&PREFIX[..], &self.0].concat();
        write!(formatter, "{BEGIN}\n{}\n{END}\n", STANDARD.encode(bytes))
    }
}

impl PublicKeyText {
    fn has_signed(&self, what: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(what, signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use ring::{
        rand::SystemRandom,
        signature::{Ed25519KeyPair, KeyPair as _},
    };
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn keys_are_read_from_pem_however_it_is_broken_into_lines() {
        let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        let key: PublicKeyText = pem.parse().unwrap();
        assert_eq!(key.to_string(), pem);
        assert_eq!(pem.replace('\n', "\r\n").parse(), Ok(key));
        for text in ["", "MCowBQYDK2VwAyEA", &pem.replace("MCow", "MCox"), &pem.replace("PUBLIC", "PRIVATE")] {
            assert_eq!(text.parse::<PublicKeyText>(), Err(InvalidPublicKey), "{text}");
        }
    }

    #[test]
    fn only_what_the_key_signed_is_taken_apart_and_believed() {
        let pair = Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap().as_ref()).unwrap();
        let key = PublicKeyText(pair.public_key().as_ref().try_into().unwrap());
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let node = NodeId(Uuid::from_u128(7));
        let claims = json!({"sub": node, "aud": AUDIENCE, "iat": 1_000, "exp": 1_060});
        let token = |alg: &str| {
            let signed = format!("{}.{}", part(&json!({"alg": alg, "typ": "JWT"})), part(&claims));
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes())))
        };
        let good = token("EdDSA");
        let parts = Parts::of(&good).unwrap();
        assert!(parts.claims.sub == node && key.has_signed(parts.signed, &parts.signature));
        assert!(!PublicKeyText([7; 32]).has_signed(parts.signed, &parts.signature));
        assert!(Parts::of(&token("none")).is_none() && Parts::of("a.b").is_none() && Parts::of("").is_none());
        for (now, holds) in [(1_000, true), (969, false), (970, true), (1_089, true), (1_090, false)] {
            assert_eq!(parts.claims.check(now).is_ok(), holds, "{now}");
        }
        assert!(Claims { aud: "another".into(), ..claims_of(node) }.check(1_000).is_err());
        assert!(Claims { exp: 1_121, ..claims_of(node) }.check(1_000).is_err());
    }

    fn claims_of(sub: NodeId) -> Claims {
        Claims { sub, aud: AUDIENCE.into(), iat: 1_000, exp: 1_060 }
    }
}
