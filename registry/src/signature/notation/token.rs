use std::sync::Arc;

use cms::{cert::CertificateChoices, content_info::ContentInfo, signed_data::SignedData};
use jiff::Timestamp;
use ring::digest;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor};
use webpki::{ALL_VERIFICATION_ALGS, Cert, EndEntityCert, Error, anchor_from_trusted_cert, ring as way};
use x509_cert::{
    attr::Attributes,
    der::{
        self, Any, Decode as _, Encode as _, Reader as _, SliceReader, Tag, Tagged as _,
        asn1::{AnyRef, ObjectIdentifier, OctetStringRef},
    },
};

use super::{
    chain::{Chain, Role, is_valid, unix_time},
    shape::is_sound,
    stamp::{self, SHA256, SHA384, SHA512, Span, Stamp},
    store::TrustStore,
    untrusted,
};
use crate::signature::Refuted;

/// The most certificates in a token.
const MOST_CERTIFICATES: usize = 8;

/// `id-signedData`, `id-ct-TSTInfo`, and the attributes `contentType`, `messageDigest` and `signingCertificateV2`.
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const STAMP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");

/// `rsaEncryption`, `id-RSASSA-PSS`, and the names that say the hash function too.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");

/// That a timestamp (`TimeStampToken`, RFC 3161, section 2.4.2) is of this signature, by an authority below a root of these stores;
/// when the signature was there, and until when that stands, which only a list of revoked certificates can end.
pub fn verify(token: &[u8], signature: &[u8], stores: &[Arc<TrustStore>], now: Timestamp) -> Result<(Span, Timestamp), Refuted> {
    let token = Token::read(token)?;
    let authority = token.authority()?;
    token.require_signed_by(authority)?;
    let stamp = Stamp::read(&token.content)?;
    let span = stamp.verify(signature)?;
    let chain = token.chain(authority, stores, stamp.at)?;
    let chain_of = |refuted| match refuted {
        Refuted::Untrusted(reason) => untrusted(format!("its timestamp's authority is not: {reason}")),
        other => other,
    };
    let chain = Chain::read(&chain, Role::Timestamps)?;
    // It need not be valid any more: it says what was so then.
    chain.verify(stamp.at.into()).map_err(chain_of)?;
    let holders = stores.iter().filter(|store| store.has_any_of(chain.encoded()));
    let lists: Vec<_> = holders.flat_map(|store| store.lists()).collect();
    let until = chain.check_revocation(&lists, stamp.at, now).map_err(chain_of)?;
    chain.require_unrevoked(stores.iter().flat_map(|store| store.lists())).map_err(chain_of)?;
    Ok((span, until))
}

/// A timestamp, read, and nothing in it checked but its shape.
struct Token {
    /// What is signed.
    content: Vec<u8>,
    /// What is signed beside it, or rather instead: the digest of it, and that of its signer's certificate.
    attributes: Attributes,
    digest: ObjectIdentifier,
    algorithm: ObjectIdentifier,
    signature: Vec<u8>,
    /// The authority's, and such as may stand above it.
    certificates: Vec<CertificateDer<'static>>,
}

impl Token {
    fn read(der: &[u8]) -> Result<Self, Refuted> {
        if !is_sound(der) {
            return Err(invalid("can't be read: it is cut off, or has too much in it"));
        }
        let outer = ContentInfo::from_der(der).map_err(unreadable)?;
        if outer.content_type != SIGNED_DATA {
            return Err(invalid("is not signed"));
        }
        let data: SignedData = outer.content.decode_as().map_err(unreadable)?;
        let content = data.encap_content_info.econtent.ok_or(Refuted::Unreadable)?;
        if data.encap_content_info.econtent_type != STAMP {
            return Err(invalid("is something else that is signed"));
        }
        let mut signers = data.signer_infos.0.into_vec();
        let (Some(signer), true) = (signers.pop(), signers.is_empty()) else {
            return Err(invalid("is not by one signer alone"));
        };
        let certificates = data.certificates.map(|set| set.0.into_vec()).unwrap_or_default();
        if certificates.len() > MOST_CERTIFICATES {
            return Err(invalid(format!("has {} certificates, and {MOST_CERTIFICATES} are read", certificates.len())));
        }
        let encode = |certificate| match certificate {
            CertificateChoices::Certificate(certificate) => certificate.to_der().map(CertificateDer::from).map_err(unreadable),
            CertificateChoices::Other(_) => Err(Refuted::Unreadable),
        };
        Ok(Self {
            content: content.decode_as::<OctetStringRef<'_>>().map_err(unreadable)?.as_bytes().to_vec(),
            attributes: signer.signed_attrs.ok_or_else(|| invalid("does not sign what it says"))?,
            digest: signer.digest_alg.oid,
            algorithm: signer.signature_algorithm.oid,
            signature: signer.signature.into_bytes(),
            certificates: certificates.into_iter().map(encode).collect::<Result<_, _>>()?,
        })
    }

    /// An attribute that is there once, with one value.
    fn attribute(&self, name: ObjectIdentifier) -> Result<&Any, Refuted> {
        let mut found = self.attributes.iter().filter(|attribute| attribute.oid == name);
        let value = match (found.next(), found.next()) {
            (Some(attribute), None) if attribute.values.len() == 1 => attribute.values.get(0),
            _ => None,
        };
        value.ok_or_else(|| invalid(format!("has not the attribute {name}, once")))
    }

    /// The certificate that the signature names as its own by a digest, as another of the same key might be there (RFC 5816).
    fn authority(&self) -> Result<&CertificateDer<'static>, Refuted> {
        let named = self.attribute(SIGNING_CERTIFICATE)?.sequence(first).and_then(|ids| ids.sequence(first));
        let (hash, digest) = named.and_then(|id| id.sequence(certificate_id)).map_err(unreadable)?;
        let hash = stamp::hash(hash).ok_or_else(|| invalid(format!("names its certificate by {hash}, which is not taken")))?;
        let mut certificates = self.certificates.iter();
        let found = certificates.find(|certificate| digest::digest(hash, certificate).as_ref() == digest);
        found.ok_or_else(|| invalid("does not have its authority's certificate with it"))
    }

    /// That this certificate's key has signed it (RFC 5652, section 5.6).
    fn require_signed_by(&self, authority: &CertificateDer<'_>) -> Result<(), Refuted> {
        let content_type = self.attribute(CONTENT_TYPE)?.decode_as::<ObjectIdentifier>();
        if content_type.map_err(unreadable)? != STAMP {
            return Err(invalid("is signed as something else"));
        }
        let not_taken = || invalid(format!("is signed in a way that is not taken ({}, {})", self.algorithm, self.digest));
        let hash = stamp::hash(self.digest).ok_or_else(not_taken)?;
        let told = self.attribute(MESSAGE_DIGEST)?.decode_as::<OctetStringRef<'_>>().map_err(unreadable)?;
        if digest::digest(hash, &self.content).as_ref() != told.as_bytes() {
            return Err(invalid("was changed"));
        }
        let ways = ways(self.algorithm, self.digest);
        if ways.is_empty() {
            return Err(not_taken());
        }
        // As a set, in the one order that DER has for it.
        let signed = self.attributes.to_der().map_err(unreadable)?;
        let key = EndEntityCert::try_from(authority).map_err(|error| invalid(format!("has no fit certificate: {error}")))?;
        let is_signed = ways.into_iter().any(|way| key.verify_signature(way, &signed, &self.signature).is_ok());
        if is_signed { Ok(()) } else { Err(invalid("has a signature that does not hold")) }
    }

    /// The certificates from the authority's up to a root of the stores, each the issuer of the one before.
    fn chain(
        &self,
        authority: &CertificateDer<'static>,
        stores: &[Arc<TrustStore>],
        at: Timestamp,
    ) -> Result<Vec<CertificateDer<'static>>, Refuted> {
        let broken = |error: Error| invalid(format!("is by no authority of {}: {error}", told(stores)));
        let mut roots: Vec<_> = stores.iter().flat_map(|store| store.certificates()).collect();
        // Of two of one name and key the first is taken, and one of them may not be valid.
        roots.sort_by_cached_key(|root| !is_valid(root, at));
        let anchors: Vec<TrustAnchor<'_>> =
            roots.iter().map(|root| anchor_from_trusted_cert(root)).collect::<Result<_, _>>().map_err(broken)?;
        let leaf = EndEntityCert::try_from(authority).map_err(broken)?;
        let (at, usage) = (unix_time(at)?, Role::Timestamps.usage());
        let path =
            leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &self.certificates, at, usage, None, None).map_err(broken)?;
        let root = roots.iter().zip(&anchors).find(|(_, anchor)| *anchor == path.anchor());
        let (root, _) = root.ok_or(Refuted::Unreadable)?;
        let between = path.intermediate_certificates().map(|certificate: &Cert<'_>| certificate.der().into_owned());
        Ok([authority.clone()].into_iter().chain(between).chain([(*root).clone()]).collect())
    }
}

/// The ways in which a signature of this name may have been made. They differ in the curve, which the key says.
fn ways(algorithm: ObjectIdentifier, digest: ObjectIdentifier) -> Vec<&'static dyn SignatureVerificationAlgorithm> {
    match (algorithm, digest) {
        (RSA_SHA256, _) | (RSA, SHA256) => vec![way::RSA_PKCS1_2048_8192_SHA256],
        (RSA_SHA384, _) | (RSA, SHA384) => vec![way::RSA_PKCS1_2048_8192_SHA384],
        (RSA_SHA512, _) | (RSA, SHA512) => vec![way::RSA_PKCS1_2048_8192_SHA512],
        (RSA_PSS, SHA256) => vec![way::RSA_PSS_2048_8192_SHA256_LEGACY_KEY],
        (RSA_PSS, SHA384) => vec![way::RSA_PSS_2048_8192_SHA384_LEGACY_KEY],
        (RSA_PSS, SHA512) => vec![way::RSA_PSS_2048_8192_SHA512_LEGACY_KEY],
        (ECDSA_SHA256, _) => vec![way::ECDSA_P256_SHA256, way::ECDSA_P384_SHA256],
        (ECDSA_SHA384, _) => vec![way::ECDSA_P256_SHA384, way::ECDSA_P384_SHA384],
        _ => Vec::new(),
    }
}

/// The first of a sequence.
fn first<'a>(reader: &mut SliceReader<'a>) -> der::Result<AnyRef<'a>> {
    let first = reader.decode()?;
    while !reader.is_finished() {
        reader.decode::<AnyRef<'_>>()?;
    }
    Ok(first)
}

/// The hash function and the digest of an `ESSCertIDv2` (RFC 5035, section 4); its function is SHA-256 where it says none. Whose
/// certificate it is follows, where it does; the digest has said that already.
fn certificate_id(reader: &mut SliceReader<'_>) -> der::Result<(ObjectIdentifier, Vec<u8>)> {
    let mut next: AnyRef<'_> = reader.decode()?;
    let mut hash = SHA256;
    if next.tag() == Tag::Sequence {
        hash = next.sequence(stamp::algorithm)?;
        next = reader.decode()?;
    }
    let digest = next.decode_as::<OctetStringRef<'_>>()?.as_bytes().to_vec();
    if !reader.is_finished() {
        reader.decode::<AnyRef<'_>>()?;
    }
    Ok((hash, digest))
}

fn told(stores: &[Arc<TrustStore>]) -> String {
    stores.iter().map(|store| format!("tsa:{}", store.name())).collect::<Vec<_>>().join(", ")
}

/// What is wrong with a timestamp.
pub fn invalid(reason: impl AsRef<str>) -> Refuted {
    untrusted(format!("its timestamp {}", reason.as_ref()))
}

pub fn unreadable(error: der::Error) -> Refuted {
    invalid(format!("can't be read: {error}"))
}
