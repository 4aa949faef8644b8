use jiff::Timestamp;

use super::{plain, untrusted};
use crate::signature::Refuted;

/// What an envelope's payload must be.
const PAYLOAD: &str = "application/vnd.cncf.notary.payload.v1+json";
/// What the names that the specification keeps for itself begin with.
pub const OWN: &str = "io.cncf.notary.";
pub const SCHEME: &str = "io.cncf.notary.signingScheme";
pub const SIGNED_AT: &str = "io.cncf.notary.signingTime";
pub const AUTHENTIC_SIGNED_AT: &str = "io.cncf.notary.authenticSigningTime";
pub const EXPIRY: &str = "io.cncf.notary.expiry";
/// The timestamp, which is not signed with it, but of it.
pub const TIMESTAMP: &str = "io.cncf.notary.timestampSignature";
/// What is to verify a signature beside Notation itself.
const PLUGIN: [&str; 2] = ["io.cncf.notary.verificationPlugin", "io.cncf.notary.verificationPluginMinVersion"];

/// Who says when a signature was made, and so which trust stores speak for the certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    /// `notary.x509`: nobody who is believed, so the certificate must be valid now.
    X509,
    /// `notary.x509.signingAuthority`: the signer, who is trusted with it.
    SigningAuthority,
}

/// The attributes of a signature that are signed with it, as an envelope of any syntax gives them.
#[derive(Debug, Default)]
pub struct Fields {
    pub content_type: Option<String>,
    pub scheme: Option<String>,
    pub signed_at: Option<Timestamp>,
    pub authentic_signed_at: Option<Timestamp>,
    pub expiry: Option<Timestamp>,
    /// Which of them must be understood.
    pub critical: Vec<String>,
    /// The names of all that have one, in the envelope's own words.
    pub names: Vec<String>,
}

/// The same, understood.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attributes {
    pub scheme: Scheme,
    /// When it was signed: by the signer's own clock.
    pub signed_at: Timestamp,
    pub expiry: Option<Timestamp>,
}

impl TryFrom<Fields> for Attributes {
    type Error = Refuted;

    fn try_from(fields: Fields) -> Result<Self, Refuted> {
        if fields.content_type.as_deref() != Some(PAYLOAD) {
            let found = fields.content_type.as_deref().unwrap_or("nothing");
            return Err(Refuted::Predicate(plain(&format!("its payload is {found}, not {PAYLOAD}"))));
        }
        if let Some(plugin) = fields.names.iter().find(|name| PLUGIN.contains(&name.as_str())) {
            return Err(untrusted(format!("it wants a plugin of Notation's to verify it ({plugin}), and there are none here")));
        }
        // A name in other letters is the same one to some readers.
        let known = [SCHEME, SIGNED_AT, AUTHENTIC_SIGNED_AT, EXPIRY];
        let is_strange = |name: &&String| name.to_ascii_lowercase().starts_with(OWN) && !known.contains(&name.as_str());
        if let Some(strange) = fields.names.iter().find(is_strange) {
            return Err(untrusted(format!("its attribute {strange:?} is not known here")));
        }
        let (scheme, signed_at) = match (fields.scheme.as_deref(), fields.signed_at, fields.authentic_signed_at) {
            (Some("notary.x509"), Some(signed_at), None) => (Scheme::X509, signed_at),
            (Some("notary.x509.signingAuthority"), None, Some(signed_at)) => (Scheme::SigningAuthority, signed_at),
            (Some("notary.x509" | "notary.x509.signingAuthority"), ..) => {
                return Err(untrusted("its signing time is not the one that its signing scheme has"));
            }
            (scheme, ..) => return Err(untrusted(format!("its signing scheme {scheme:?} is none that is known"))),
        };
        let mut required = vec![SCHEME];
        required.extend((scheme == Scheme::SigningAuthority).then_some(AUTHENTIC_SIGNED_AT));
        required.extend(fields.expiry.map(|_| EXPIRY));
        require_critical(required, &fields.critical)?;
        if fields.expiry.is_some_and(|expiry| expiry <= signed_at) {
            return Err(untrusted("it expires before it was signed"));
        }
        Ok(Self { scheme, signed_at, expiry: fields.expiry })
    }
}

/// That just these are marked as critical, each once: more would have to be understood, and less might have been left out by somebody.
fn require_critical(mut required: Vec<&str>, critical: &[String]) -> Result<(), Refuted> {
    if let Some(strange) = critical.iter().find(|name| !required.contains(&name.as_str())) {
        return Err(untrusted(format!("its critical attribute {strange:?} is not there, or not known here")));
    }
    let mut critical: Vec<&str> = critical.iter().map(String::as_str).collect();
    critical.sort_unstable();
    required.sort_unstable();
    if critical == required { Ok(()) } else { Err(untrusted("what must be critical in it is not marked so, once each")) }
}
