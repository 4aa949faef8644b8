//! Signatures of the Notary Project, as `notation` makes them: an envelope that names the image, signed by the key of a certificate.
//!
//! Written after `signature-specification.md`, `signature-envelope-jws.md`, `signature-envelope-cose.md` and
//! `trust-store-trust-policy.md` of notaryproject/specifications, at its level `strict` but for revocation, for which nobody is
//! asked. By hand is what no library that is kept up does: reading the envelope of JWS, and the rules for attributes and
//! certificates. CBOR is read by `coset`, certificates by `x509-cert`, the signatures in their chain are checked by `webpki`, the
//! one over the envelope by `ring`, which knows no P-521 (`ES512`). Timestamps (RFC 3161) are not looked at, as by Notation
//! without a trust store of the type `tsa`: the certificates must be valid when an image is judged.

mod algorithm;
mod attributes;
mod chain;
mod cose;
mod envelope;
mod identity;
mod jws;
mod store;
mod trust;

#[cfg(test)]
mod tests;

pub use envelope::Syntax;
pub use store::TrustStore;
pub use trust::{Target, Trust};

use super::{Refuted, evidence::plain};

/// The type of the artifacts that hold these signatures.
pub const NOTATION_ARTIFACT: &str = "application/vnd.cncf.notary.signature";

fn untrusted(reason: impl AsRef<str>) -> Refuted {
    Refuted::Untrusted(plain(reason.as_ref()))
}
