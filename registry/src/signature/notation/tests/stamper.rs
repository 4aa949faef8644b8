use rcgen::{CertificateParams, CustomExtension};
use ring::digest;
use x509_cert::{
    Certificate,
    der::{Decode as _, Encode as _, asn1::ObjectIdentifier},
};

use super::notary::{Notary, authority, key, signer};

/// What an authority for timestamps says, and signs; each of it can be changed. It is written here by hand, and read by others.
pub struct Stamping {
    /// Of what.
    pub message: Vec<u8>,
    /// When, as `GeneralizedTime` has it.
    pub at: String,
    pub policy: &'static str,
    /// What follows the time, in DER.
    pub more: Vec<u8>,
    /// The hash function that is named, though SHA-256 is used.
    pub hash: &'static str,
    pub content_type: &'static str,
    /// The certificate that it names, where that is not the authority's own.
    pub certificate: Option<Vec<u8>>,
    /// How many certificates of the chain go with it.
    pub certificates: usize,
    pub is_rsa: bool,
    /// An attribute that is left out.
    pub without: Option<&'static str>,
}

pub const STAMP: &str = "1.2.840.113549.1.9.16.1.4";
pub const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
pub const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
pub const SIGNING_CERTIFICATE: &str = "1.2.840.113549.1.9.16.2.47";
const SHA256: &str = "2.16.840.1.101.3.4.2.1";

impl Stamping {
    pub fn of(message: &[u8], at: &str) -> Self {
        Self {
            message: message.to_vec(),
            at: at.to_owned(),
            policy: "1.3.6.1.4.1.57264.2",
            more: Vec::new(),
            hash: SHA256,
            content_type: STAMP,
            certificate: None,
            certificates: 2,
            is_rsa: false,
            without: None,
        }
    }

    /// What is stamped.
    pub fn content(&self) -> Vec<u8> {
        let imprint = sequence(&[&algorithm(self.hash), &octets(&sha256(&self.message))]);
        let time = tlv(0x18, &[self.at.as_bytes()]);
        sequence(&[&integer(1), &name(self.policy), &imprint, &integer(7), &time, &self.more])
    }

    /// The token, by this authority.
    pub fn by(&self, authority: &Notary) -> Vec<u8> {
        let content = self.content();
        let certificate = self.certificate.as_ref().unwrap_or(&authority.chain[0]);
        let named = sequence(&[&sequence(&[&sequence(&[&octets(&sha256(certificate))])])]);
        let attributes =
            [(CONTENT_TYPE, name(self.content_type)), (MESSAGE_DIGEST, octets(&sha256(&content))), (SIGNING_CERTIFICATE, named)];
        let kept = attributes.iter().filter(|(kind, _)| self.without != Some(*kind));
        let mut attributes: Vec<_> = kept.map(|(kind, value)| sequence(&[&name(kind), &tlv(0x31, &[value])])).collect();
        attributes.sort();
        let attributes = attributes.concat();
        let signed = tlv(0x31, &[&attributes]);
        let (way, signature) = if self.is_rsa {
            ("1.2.840.113549.1.1.11", authority.sign_rsa(&ring::signature::RSA_PKCS1_SHA256, &signed))
        } else {
            ("1.2.840.10045.4.3.2", authority.sign_asn1(&signed))
        };
        let own = Certificate::from_der(&authority.chain[0]).unwrap().tbs_certificate;
        let whose = sequence(&[&own.issuer.to_der().unwrap(), &own.serial_number.to_der().unwrap()]);
        let info = sequence(&[
            &integer(1),
            &whose,
            &algorithm(SHA256),
            &tlv(0xa0, &[&attributes]),
            &algorithm(way),
            &octets(&signature),
        ]);
        let certificates = authority.chain[..self.certificates.min(authority.chain.len())].concat();
        let what = sequence(&[&name(STAMP), &tlv(0xa0, &[&octets(&content)])]);
        let hashes = tlv(0x31, &[&algorithm(SHA256)]);
        let data = sequence(&[&integer(3), &hashes, &what, &tlv(0xa0, &[&certificates]), &tlv(0x31, &[&info])]);
        sequence(&[&name("1.2.840.113549.1.7.2"), &tlv(0xa0, &[&data])])
    }
}

/// What the certificate of an authority for timestamps says, from 2020 to 2040; and for what else, and whether as critical.
pub fn stamper(others: &[&str], is_critical: bool) -> CertificateParams {
    let mut params = signer("stamps");
    params.extended_key_usages.clear();
    let purposes: Vec<Vec<u8>> = ["1.3.6.1.5.5.7.3.8"].iter().chain(others).map(|purpose| name(purpose)).collect();
    let purposes = sequence(&purposes.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 37], purposes);
    extension.set_criticality(is_critical);
    params.custom_extensions.push(extension);
    params
}

/// An authority for timestamps, below another that is below a root.
pub fn stamps() -> Notary {
    Notary::root("stamps root").vouch_for(authority("stamps authority"), key()).vouch_for(stamper(&[], true), key())
}

/// How right the clock is, to so many seconds and thousandths.
pub fn accuracy(seconds: u8, millis: u8) -> Vec<u8> {
    sequence(&[&integer(seconds), &tlv(0x80, &[&[millis]])])
}

/// An extension of what is stamped, that is critical or not.
pub fn extension(is_critical: bool) -> Vec<u8> {
    let critical = if is_critical { tlv(1, &[&[0xff]]) } else { Vec::new() };
    tlv(0xa1, &[&sequence(&[&name("1.2.3.4"), &critical, &octets(b"x")])])
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

fn name(name: &str) -> Vec<u8> {
    ObjectIdentifier::new_unwrap(name).to_der().unwrap()
}

fn algorithm(kind: &str) -> Vec<u8> {
    sequence(&[&name(kind)])
}

fn integer(value: u8) -> Vec<u8> {
    tlv(2, &[&[value]])
}

fn octets(bytes: &[u8]) -> Vec<u8> {
    tlv(4, &[bytes])
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, parts)
}

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let value = parts.concat();
    let length = value.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut encoded = vec![tag];
    match length.as_slice() {
        [] => encoded.push(0),
        [short] if *short < 0x80 => encoded.push(*short),
        long => {
            encoded.push(0x80 | u8::try_from(long.len()).unwrap());
            encoded.extend(long);
        }
    }
    encoded.extend(value);
    encoded
}
