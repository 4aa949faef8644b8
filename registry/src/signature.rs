//! Signatures and attestations of images: whether somebody has said this of that, and in which words.
//!
//! Evidence comes in two forms of cosign's making: manifests under tags made of the image's digest (`sha256-….sig`, `.att`), whose
//! layers are signed payloads, and Sigstore bundles that refer to the image; and in a third, Notation's (`notation.rs`). A signer is a
//! public key, an identity that a certificate of a trusted authority vouches for, or whoever has a certificate of a trust store. What is
//! checked here is pure: evidence, signer and digest in, what was said or why not out. The arithmetic is ring's and webpki's, bundles with certificates are verified by `sigstore-verify`; by hand is only what that leaves
//! out, a bundle or payload that a key signed without a transparency log.

mod evidence;
mod json;
mod keyless;
mod notation;
mod provider;
mod signer;
mod sigstore_root;

pub use evidence::{Evidence, Form, Refuted, SIGNATURE_PREDICATE};
pub use json::unique;
pub use keyless::Keyless;
pub use notation::{NOTATION_ARTIFACT, Syntax, Target, Trust, TrustStore, VerifyTimestamp};
pub use provider::install as install_arithmetic;
pub use signer::{InvalidSigner, Key, Signer, TrustedAuthority, Vouched};
pub use sigstore_root::SigstoreRoot;
