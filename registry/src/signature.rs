//! Signatures and attestations of images: whether somebody has said this of that, and in which words.
//!
//! Evidence comes in two forms, both of cosign's making: manifests under tags made of the image's digest (`sha256-….sig`, `.att`), whose
//! layers are signed payloads, and Sigstore bundles that refer to the image. A signer is a public key, or an identity that a certificate
//! of a trusted authority vouches for. What is checked here is pure: evidence, signer and digest in, what was said or why not out. The
//! arithmetic is ring's and webpki's, bundles with certificates are verified by `sigstore-verify`; by hand is only what that leaves
//! out, a bundle or payload that a key signed without a transparency log.

mod evidence;
mod json;
mod provider;
mod signer;

pub use evidence::{Evidence, Form, Refuted, SIGNATURE_PREDICATE};
pub use json::unique;
pub use signer::{InvalidSigner, Key, Signer, TrustedAuthority};
