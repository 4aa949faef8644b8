//! Saying something that others can check: compact JSON Web Signatures (RFC 7515) by Ed25519 keys (RFC 8037), and the sets in which the
//! keys are published (RFC 7517).
//!
//! What is signed says in its header which key it is by, and what kind of statement it is (`typ`), so that one can't stand for another.
//! Only Ed25519 is ever taken, whatever a header says.
//!
//! What others sign, to say who somebody is, is read here too: by the keys that they publish, of whatever kinds.

mod issuer_keys;
mod key;
mod key_set;
mod provider;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde::de::DeserializeOwned;

pub use issuer_keys::{Claimed, InvalidIdentity, InvalidKeySet, IssuerKeys};
pub use key::{InvalidKey, SigningKey};
pub use key_set::{KeySet, PublicKey};

/// What a statement says, whoever has signed it, and as what: for who has it from the signer itself. `None` where it can't be read.
pub fn unproven<S: DeserializeOwned>(signed: &str) -> Option<S> {
    let (_, rest) = signed.split_once('.')?;
    let (said, _) = rest.split_once('.')?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(said).ok()?).ok()
}

/// Why a signed statement was not taken.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSignature {
    /// It is not three parts of base64url, or its header is not one.
    #[error("it is no compact signature")]
    Malformed(#[source] jsonwebtoken::errors::Error),
    /// It is signed in another way.
    #[error("it is signed by {0:?}, and only EdDSA is taken")]
    Algorithm(Algorithm),
    /// It is a statement of another kind.
    #[error("it is of the kind {found:?}, not {expected:?}")]
    Kind {
        /// What its header says.
        found: Option<String>,
        /// What it should be.
        expected: &'static str,
    },
    /// Its key is not in the set.
    #[error("its key {0:?} is not known")]
    UnknownKey(Option<String>),
    /// Its key did not sign this, or it says something of another shape.
    #[error("its signature does not hold")]
    Refused(#[source] jsonwebtoken::errors::Error),
}
