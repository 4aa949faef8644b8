use std::{fmt, sync::Arc};

use jiff::Timestamp;
use longshore_oci::Digest;
use serde_json::Value;

use super::{
    algorithm::Algorithm,
    attributes::Scheme,
    chain::Chain,
    envelope::{Envelope, Syntax, object},
    identity::Identities,
    plain,
    store::TrustStore,
    untrusted,
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

/// Whose certificates are believed, and which of those who have one.
#[derive(Clone, Debug)]
pub struct Trust {
    authorities: Vec<Arc<TrustStore>>,
    /// Those that are believed on when something was signed, too.
    signing_authorities: Vec<Arc<TrustStore>>,
    identities: Identities,
}

impl Trust {
    /// Trust as a trust policy of Notation's has it: stores by type and name, and identities; `store` finds one.
    pub fn new(
        stores: &[String],
        identities: &[String],
        store: impl Fn(&str) -> Option<Arc<TrustStore>>,
    ) -> Result<Self, String> {
        let (mut authorities, mut signing_authorities) = (Vec::new(), Vec::new());
        for text in stores {
            let found = |name: &str| store(name).ok_or_else(|| format!("there is no [[trust_store]] {name:?}"));
            match text.split_once(':') {
                Some(("ca", name)) => authorities.push(found(name)?),
                Some(("signingAuthority", name)) => signing_authorities.push(found(name)?),
                Some(("tsa", _)) => return Err(format!("{text:?}: timestamps are not looked at here; leave it out")),
                _ => return Err(format!("{text:?} is no trust store: it is to be ca: or signingAuthority: and a name")),
            }
        }
        if stores.is_empty() {
            return Err("a Notation signature needs trust_stores".to_owned());
        }
        Ok(Self { authorities, signing_authorities, identities: Identities::parse(identities)? })
    }

    /// That an envelope is a signature of this image by one of them; until when that stands.
    pub fn verify(&self, content: &[u8], syntax: Syntax, image: &Target<'_>, now: Timestamp) -> Result<Timestamp, Refuted> {
        let envelope = Envelope::read(content, syntax)?;
        let certificates = envelope.certificates.clone();
        let chain = Chain::read(&certificates)?;
        let stores = || self.authorities.iter().chain(&self.signing_authorities);
        if !stores().any(|store| store.has_any_of(&certificates)) {
            return Err(Refuted::Signer(format!("{self}, but by {}", plain(&chain.subject().to_string()))));
        }
        let algorithm = Algorithm::of(chain.key())?;
        algorithm.verify(chain.key(), &envelope.signed, &envelope.signature)?;
        // What follows is the signer's word.
        let (attributes, payload) = envelope.attributes(algorithm)?;
        let (stores, at) = match attributes.scheme {
            Scheme::X509 => (&self.authorities, now),
            Scheme::SigningAuthority => (&self.signing_authorities, attributes.signed_at),
        };
        if !stores.iter().any(|store| store.has_any_of(&certificates)) {
            return Err(untrusted("its certificates are in no trust store for its signing scheme"));
        }
        let valid_until = chain.verify(at)?;
        if !self.identities.include(chain.subject()) {
            return Err(Refuted::Signer(format!("{self}, but by {}", plain(&chain.subject().to_string()))));
        }
        if let Some(expiry) = attributes.expiry.filter(|expiry| *expiry <= now) {
            return Err(untrusted(format!("it expired at {expiry}")));
        }
        require_target(&payload, image)?;
        let until = if attributes.scheme == Scheme::X509 { valid_until } else { Timestamp::MAX };
        Ok(attributes.expiry.map_or(until, |expiry| until.min(expiry)))
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
        let stores: [Vec<String>; 2] = [of("ca", &self.authorities), of("signingAuthority", &self.signing_authorities)];
        write!(formatter, "{} (trust store {})", self.identities, stores.concat().join(", "))
    }
}
