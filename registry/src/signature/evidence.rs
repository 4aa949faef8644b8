use std::fmt::Display;

use bytes::Bytes;
use jiff::Timestamp;
use longshore_oci::Digest;
use serde_json::Value;
use sigstore_verify::types::{Bundle, DsseEnvelope, Sha256Hash, SignatureBytes, SignatureContent, Statement};

use super::{Key, Keyless, Signer, Syntax, Target, Vouched, unique};

/// What a statement is of that is a signature and says nothing more.
pub const SIGNATURE_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";
/// How much of somebody else's words is told, in characters.
const MOST_TOLD: usize = 120;
/// What a payload of the old form says it is.
const SIMPLE_TYPE: &str = "cosign container image signature";
/// The payload that DSSE envelopes of statements have.
const STATEMENT_PAYLOAD: &str = "application/vnd.in-toto+json";
/// The versions of statements: both are written, and mean the same.
const STATEMENTS: [&str; 2] = ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];

/// Something that may be a signature or an attestation of an image.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The manifest that it came in.
    pub manifest: Digest,
    /// What it is.
    pub form: Form,
}

/// The forms in which evidence comes.
#[derive(Clone, Debug)]
pub enum Form {
    /// A payload that names the image, and its signature in base64.
    Simple {
        /// What was signed.
        payload: Bytes,
        /// The signature.
        signature: String,
        /// Whose it is, where it was made without a key.
        keyless: Option<Box<Keyless>>,
    },
    /// A DSSE envelope around a statement.
    Envelope {
        /// The envelope.
        envelope: Bytes,
        /// Whose it is, where it was made without a key.
        keyless: Option<Box<Keyless>>,
    },
    /// A Sigstore bundle.
    Bundle(Bytes),
    /// An envelope of Notation's.
    Notation {
        /// The envelope.
        envelope: Bytes,
        /// What it is written in.
        syntax: Syntax,
    },
}

/// Why evidence shows nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refuted {
    /// It is of a form that this signer does not sign in.
    #[error("it is of another form")]
    Form,
    /// It can't be read.
    #[error("it can't be read")]
    Unreadable,
    /// It is by somebody else, or was changed.
    #[error("it is not by {0}")]
    Signer(String),
    /// It is by somebody whom the trusted root does not vouch for, or not any more.
    #[error("it is not to be trusted: {0}")]
    Untrusted(String),
    /// It is about something else.
    #[error("it is about another image")]
    Subject,
    /// It says something else.
    #[error("it says something else: {0}")]
    Predicate(String),
}

impl Evidence {
    /// That it is a signature of this image, by this signer; until when that stands, if only the time can change it.
    pub fn signs(&self, image: &Target<'_>, signer: &Signer, now: Timestamp) -> Result<Option<Timestamp>, Refuted> {
        match (&self.form, signer) {
            (Form::Simple { payload, signature, .. }, Signer::Key(key)) => {
                let signature = SignatureBytes::from_base64(signature).map_err(|_| Refuted::Unreadable)?;
                if !key.has_signed(payload, &signature) {
                    return Err(Refuted::Signer(signer.to_string()));
                }
                simple_is_about(payload, image.digest).map(|()| None)
            }
            (Form::Simple { payload, signature, keyless: Some(keyless) }, Signer::Identity { authority, .. }) => {
                let bundle = keyless.message_bundle(payload, signature).map_err(untrusted)?;
                require_vouched(signer, &authority.verify_message(&bundle, payload).map_err(untrusted)?)?;
                simple_is_about(payload, image.digest).map(|()| None)
            }
            (Form::Notation { envelope, syntax }, Signer::Notation(trust)) => {
                trust.verify(envelope, *syntax, image, now).map(Some)
            }
            (Form::Bundle(_), Signer::Key(_) | Signer::Identity { .. }) => {
                self.states(image.digest, signer, SIGNATURE_PREDICATE).map(|_| None)
            }
            _ => Err(Refuted::Form),
        }
    }

    /// What it says of this image in a statement of this type, by this signer: the predicate.
    pub fn states(&self, image: &Digest, signer: &Signer, predicate_type: &str) -> Result<Value, Refuted> {
        let statement = match (&self.form, signer) {
            (Form::Envelope { envelope: json, .. }, Signer::Key(key)) => {
                let envelope: DsseEnvelope = serde_json::from_slice(json).map_err(|_| Refuted::Unreadable)?;
                require_signed(&envelope, key)?;
                unique(json).map_err(|_| Refuted::Unreadable)?;
                statement_of(&envelope)?
            }
            (Form::Envelope { envelope, keyless: Some(keyless) }, Signer::Identity { authority, .. }) => {
                let envelope = unique(envelope).map_err(|_| Refuted::Unreadable)?;
                let bundle = keyless.envelope_bundle(&envelope).map_err(untrusted)?;
                require_vouched(signer, &authority.verify(&bundle, sha256(image)?).map_err(untrusted)?)?;
                statement_of(envelope_of(&bundle)?)?
            }
            (Form::Bundle(json), Signer::Key(_) | Signer::Identity { .. }) => {
                let text = std::str::from_utf8(json).map_err(|_| Refuted::Unreadable)?;
                let bundle = Bundle::from_json(text).map_err(|_| Refuted::Unreadable)?;
                let envelope = envelope_of(&bundle)?;
                match signer {
                    Signer::Key(key) => require_signed(envelope, key)?,
                    Signer::Notation(_) => return Err(Refuted::Form),
                    Signer::Identity { authority, .. } => {
                        require_vouched(signer, &authority.verify(&bundle, sha256(image)?).map_err(untrusted)?)?;
                    }
                }
                require_one_meaning(json)?;
                statement_of(envelope)?
            }
            _ => return Err(Refuted::Form),
        };
        if !statement.matches_sha256(&sha256(image)?) {
            return Err(Refuted::Subject);
        }
        if statement.predicate_type != predicate_type {
            return Err(Refuted::Predicate(plain(&statement.predicate_type)));
        }
        Ok(statement.predicate)
    }
}

/// That a key has signed an envelope. What is in it is looked at after that: the signer alone may have us read much.
fn require_signed(envelope: &DsseEnvelope, key: &Key) -> Result<(), Refuted> {
    if key.has_signed(&envelope.pae(), &envelope.signature.sig) { Ok(()) } else { Err(Refuted::Signer(key.to_string())) }
}

/// That whom a certificate is for is whom a signer means.
fn require_vouched(signer: &Signer, vouched: &Vouched) -> Result<(), Refuted> {
    if matches!(signer, Signer::Identity { identity, issuer, .. } if vouched.is(identity, issuer)) {
        return Ok(());
    }
    let (found, its_issuer) = (plain(&vouched.identity), plain(&vouched.issuer));
    Err(Refuted::Signer(format!("{signer}, but by {found} of {its_issuer}")))
}

fn untrusted(reason: impl Display) -> Refuted {
    Refuted::Untrusted(plain(&reason.to_string()))
}

fn envelope_of(bundle: &Bundle) -> Result<&DsseEnvelope, Refuted> {
    if let SignatureContent::DsseEnvelope(envelope) = &bundle.content { Ok(envelope) } else { Err(Refuted::Form) }
}

fn statement_of(envelope: &DsseEnvelope) -> Result<Statement, Refuted> {
    if envelope.payload_type != STATEMENT_PAYLOAD {
        return Err(Refuted::Predicate(plain(&envelope.payload_type)));
    }
    let value = unique(envelope.payload.as_bytes()).map_err(|_| Refuted::Unreadable)?;
    let statement: Statement = serde_json::from_value(value).map_err(|_| Refuted::Unreadable)?;
    if STATEMENTS.contains(&statement.type_.as_str()) { Ok(statement) } else { Err(Refuted::Predicate(plain(&statement.type_))) }
}

/// That a bundle has no member twice, and one content by one signer: of several, others might read another one.
fn require_one_meaning(json: &[u8]) -> Result<(), Refuted> {
    let value = unique(json).map_err(|_| Refuted::Unreadable)?;
    let count = |value: &Value, names: &[&str]| names.iter().filter(|name| value.get(**name).is_some()).count();
    let contents = count(&value, &["dsseEnvelope", "messageSignature"]);
    let signers = value
        .get("verificationMaterial")
        .map_or(0, |material| count(material, &["certificate", "publicKey", "x509CertificateChain"]));
    if (contents, signers) == (1, 1) { Ok(()) } else { Err(Refuted::Unreadable) }
}

/// That a payload of the old form names this image.
fn simple_is_about(payload: &[u8], image: &Digest) -> Result<(), Refuted> {
    let value = unique(payload).map_err(|_| Refuted::Unreadable)?;
    let critical = &value["critical"];
    if critical["type"] != SIMPLE_TYPE {
        return Err(Refuted::Predicate(plain(&critical["type"].to_string())));
    }
    if critical["image"]["docker-manifest-digest"] == image.as_str() { Ok(()) } else { Err(Refuted::Subject) }
}

fn sha256(image: &Digest) -> Result<Sha256Hash, Refuted> {
    let digits = image.as_str().strip_prefix("sha256:").ok_or(Refuted::Subject)?;
    Sha256Hash::from_hex(digits).map_err(|_| Refuted::Subject)
}

/// Somebody else's words, as far as they can be told in a refusal.
pub fn plain(text: &str) -> String {
    let told = |character: char| if matches!(character, ' '..='~') { character } else { '?' };
    text.chars().take(MOST_TOLD).map(told).collect()
}
