use std::{fmt, sync::Arc};

use jiff::Timestamp;
use longshore_oci::Digest;
use serde::Deserialize;
use serde_json::Value;

use super::{
    algorithm::Algorithm,
    attributes::Scheme,
    chain::{Chain, Role},
    envelope::{Envelope, Syntax, object},
    identity::Identities,
    plain,
    stamp::Span,
    store::TrustStore,
    token, untrusted,
};
use crate::signature::Refuted;

/// An image as a signature names it.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its manifest's media type.
    pub media_type: &'a str,
    /// Its manifest's digest.
    pub digest: &'a Digest,
    /// Its manifest's length.
    pub size_bytes: u64,
}

/// When timestamps are looked at, where a trust store of the type `tsa` says whose.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub enum VerifyTimestamp {
    /// Always, so that a signature without one is not taken.
    #[default]
    Always,
    /// Where a certificate has expired since.
    AfterCertExpiry,
}

/// Whose certificates are believed, and which of those who have one.
#[derive(Clone, Debug)]
pub struct Trust {
    authorities: Vec<Arc<TrustStore>>,
    /// Those that are believed on when something was signed, too.
    signing_authorities: Vec<Arc<TrustStore>>,
    /// Those of authorities that are believed on when something else was there.
    timestamp_authorities: Vec<Arc<TrustStore>>,
    verify_timestamp: VerifyTimestamp,
    identities: Identities,
}

impl Trust {
    /// Trust as a trust policy of Notation's has it: stores by type and name, and identities; `store` finds one.
    pub fn new(
        stores: &[String],
        identities: &[String],
        store: impl Fn(&str) -> Option<Arc<TrustStore>>,
    ) -> Result<Self, String> {
        let (mut authorities, mut signing_authorities, mut timestamp_authorities) = (Vec::new(), Vec::new(), Vec::new());
        for text in stores {
            let found = |name: &str| store(name).ok_or_else(|| format!("there is no [[trust_store]] {name:?}"));
            match text.split_once(':') {
                Some(("ca", name)) => authorities.push(found(name)?),
                Some(("signingAuthority", name)) => signing_authorities.push(found(name)?),
                Some(("tsa", name)) => {
                    let store = found(name)?;
                    store.require_roots()?;
                    timestamp_authorities.push(store);
                }
                _ => return Err(format!("{text:?} is no trust store: it is to be ca:, signingAuthority: or tsa: and a name")),
            }
        }
        if authorities.is_empty() && signing_authorities.is_empty() {
            return Err("a Notation signature needs trust_stores, and one that is ca: or signingAuthority:".to_owned());
        }
        if authorities.is_empty() && !timestamp_authorities.is_empty() {
            return Err(
                "a tsa: among the trust_stores is of use with a ca: alone: a signingAuthority: says itself when".to_owned()
            );
        }
        let (identities, verify_timestamp) = (Identities::parse(identities)?, VerifyTimestamp::default());
        Ok(Self { authorities, signing_authorities, timestamp_authorities, verify_timestamp, identities })
    }

    /// The same with timestamps looked at only then.
    pub fn verifying_timestamps(self, when: VerifyTimestamp) -> Result<Self, String> {
        if self.timestamp_authorities.is_empty() {
            return Err("verify_timestamp is of no use without a tsa: among the trust_stores".to_owned());
        }
        Ok(Self { verify_timestamp: when, ..self })
    }

    /// That an envelope is a signature of this image by one of them; until when that stands.
    pub fn verify(&self, content: &[u8], syntax: Syntax, image: &Target<'_>, now: Timestamp) -> Result<Timestamp, Refuted> {
        let mut envelope = Envelope::read(content, syntax)?;
        let certificates = envelope.certificates.clone();
        let chain = Chain::read(&certificates, Role::Signing)?;
        let stores = || self.authorities.iter().chain(&self.signing_authorities);
        if !stores().any(|store| store.has_any_of(&certificates)) {
            return Err(Refuted::Signer(format!("{self}, but by {}", plain(&chain.subject().to_string()))));
        }
        let algorithm = Algorithm::of(chain.key())?;
        algorithm.verify(chain.key(), &envelope.signed, &envelope.signature)?;
        let (timestamp, signature) = (envelope.timestamp.take(), envelope.signature.clone());
        // What follows is the signer's word.
        let (attributes, payload) = envelope.attributes(algorithm)?;
        let stores = match attributes.scheme {
            Scheme::X509 => &self.authorities,
            Scheme::SigningAuthority => &self.signing_authorities,
        };
        let holders: Vec<_> = stores.iter().filter(|store| store.has_any_of(&certificates)).collect();
        if holders.is_empty() {
            return Err(untrusted("its certificates are in no trust store for its signing scheme"));
        }
        if !self.identities.include(chain.subject()) {
            return Err(Refuted::Signer(format!("{self}, but by {}", plain(&chain.subject().to_string()))));
        }
        let (signed, mut until) = match attributes.scheme {
            Scheme::SigningAuthority => (Some(attributes.signed_at.into()), Timestamp::MAX),
            Scheme::X509 if self.looks_at_timestamps(&chain, now)? => {
                // Only who has a certificate that was ever good has the timestamp beside it read.
                chain.verify(chain.begins_at()?.into())?;
                let (span, until) = self.stamped(timestamp.as_deref(), &signature, now)?;
                (Some(span), until)
            }
            Scheme::X509 => (None, Timestamp::MAX),
        };
        let over = signed.unwrap_or_else(|| now.into());
        let valid_until = chain.verify(over)?;
        if signed.is_none() {
            until = until.min(valid_until);
        }
        let lists: Vec<_> = holders.iter().flat_map(|store| store.lists()).collect();
        until = until.min(chain.check_revocation(&lists, over.from, now)?);
        chain.require_unrevoked(stores.iter().flat_map(|store| store.lists()))?;
        if let Some(expiry) = attributes.expiry.filter(|expiry| *expiry <= now) {
            return Err(untrusted(format!("it expired at {expiry}")));
        }
        require_target(&payload, image)?;
        Ok(attributes.expiry.map_or(until, |expiry| until.min(expiry)))
    }

    /// Whether a timestamp says when something was signed, and not the clock that it is now.
    fn looks_at_timestamps(&self, chain: &Chain<'_>, now: Timestamp) -> Result<bool, Refuted> {
        match self.verify_timestamp {
            _ if self.timestamp_authorities.is_empty() => Ok(false),
            VerifyTimestamp::Always => Ok(true),
            VerifyTimestamp::AfterCertExpiry => chain.has_expired(now),
        }
    }

    /// When a signature was there, by its timestamp; until when that stands.
    fn stamped(&self, timestamp: Option<&[u8]>, signature: &[u8], now: Timestamp) -> Result<(Span, Timestamp), Refuted> {
        let timestamp = timestamp.ok_or_else(|| untrusted("it has no timestamp: sign with --timestamp-url"))?;
        token::verify(timestamp, signature, &self.timestamp_authorities, now)
    }
}

/// That a payload names this image and nothing else, in names that nobody reads in another way.
fn require_target(payload: &[u8], image: &Target<'_>) -> Result<(), Refuted> {
    let payload = object(payload)?;
    let target = payload.get("targetArtifact").and_then(Value::as_object).ok_or(Refuted::Unreadable)?;
    let known = ["mediaType", "digest", "size", "annotations", "artifactType", "urls", "data", "platform"];
    if payload.len() != 1 || target.keys().any(|name| !known.contains(&name.as_str())) {
        return Err(Refuted::Predicate("its payload has more than a targetArtifact in it".to_owned()));
    }
    let is_it = target.get("mediaType").and_then(Value::as_str) == Some(image.media_type)
        && target.get("digest").and_then(Value::as_str) == Some(image.digest.as_str())
        && target.get("size").and_then(Value::as_u64) == Some(image.size_bytes);
    if is_it { Ok(()) } else { Err(Refuted::Subject) }
}

impl fmt::Display for Trust {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |kind: &str, stores: &[Arc<TrustStore>]| stores.iter().map(|store| format!("{kind}:{}", store.name())).collect();
        let stores: [Vec<String>; 3] = [
            of("ca", &self.authorities),
            of("signingAuthority", &self.signing_authorities),
            of("tsa", &self.timestamp_authorities),
        ];
        write!(formatter, "{} (trust store {})", self.identities, stores.concat().join(", "))
    }
}
