//! Signatures of the Notary Project, as `notation` makes them: an envelope that names the image, signed by the key of a certificate.
//!
//! Written after `signature-specification.md`, `signature-envelope-jws.md`, `signature-envelope-cose.md` and
//! `trust-store-trust-policy.md` of notaryproject/specifications, at its level `strict`. By hand is what no library that is kept up
//! does: reading the envelope of JWS, and the rules for attributes, certificates and timestamps. CBOR is read by `coset`, certificates
//! by `x509-cert`, what holds a timestamp by `cms`; the signatures in chains and those of timestamps are checked by `webpki`, the
//! one over the envelope by `ring`, which knows no P-521 (`ES512`).
//!
//! Who is trusted with timestamps (RFC 3161) says when something was signed, and the signer's certificates must have been valid then;
//! without, they must be valid when an image is judged. Nobody is asked over the network whether a certificate was revoked: that is in
//! lists (RFC 5280) beside a trust store's certificates. They are judged by the time that it is, whatever a timestamp says, so what is
//! revoked is refused also where it was signed before; and a chain is refused where a list is missing or past its time.

mod algorithm;
mod attributes;
mod chain;
mod cose;
mod envelope;
mod identity;
mod jws;
mod revocation;
mod shape;
mod stamp;
mod store;
mod token;
mod trust;

#[cfg(test)]
pub mod tests;

pub use envelope::Syntax;
pub use store::TrustStore;
pub use trust::{Target, Trust, VerifyTimestamp};

use super::{Refuted, evidence::plain};

/// The type of the artifacts that hold these signatures.
pub const NOTATION_ARTIFACT: &str = "application/vnd.cncf.notary.signature";

fn untrusted(reason: impl AsRef<str>) -> Refuted {
    Refuted::Untrusted(plain(reason.as_ref()))
}
