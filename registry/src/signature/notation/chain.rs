use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, Cert, EndEntityCert, KeyUsage as Purpose, anchor_from_trusted_cert};
use x509_cert::{
    Certificate,
    der::{Decode as _, asn1::ObjectIdentifier},
    ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages},
    name::Name,
    spki::SubjectPublicKeyInfoOwned,
    time::Time,
};

use super::untrusted;
use crate::signature::Refuted;

/// `id-kp-codeSigning`, 1.3.6.1.5.5.7.3.3, without its tag.
const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];
/// What no signer's certificate may be for beside that: anything, TLS servers and clients, mail, timestamps, OCSP.
const OTHER_PURPOSES: [ObjectIdentifier; 6] = [
    ObjectIdentifier::new_unwrap("2.5.29.37.0"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9"),
];

/// The certificates of an envelope: from the signer's up to a root, each the issuer of the one before.
pub struct Chain<'a> {
    encoded: &'a [CertificateDer<'static>],
    signer: Certificate,
    /// Who issued that, and them, in turn; none where the signer's certificate is its own root.
    issuers: Vec<Certificate>,
}

impl<'a> Chain<'a> {
    pub fn read(encoded: &'a [CertificateDer<'static>]) -> Result<Self, Refuted> {
        let mut read = encoded.iter().map(|der| Certificate::from_der(der).map_err(|_| Refuted::Unreadable));
        let signer = read.next().ok_or(Refuted::Unreadable)??;
        let issuers = read.collect::<Result<_, _>>()?;
        Ok(Self { encoded, signer, issuers })
    }

    /// The signer's key.
    pub fn key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.signer.tbs_certificate.subject_public_key_info
    }

    /// Whom the signer's certificate is for.
    pub fn subject(&self) -> &Name {
        &self.signer.tbs_certificate.subject
    }

    /// That they are a chain as the specification wants it, and all valid at a time; until when they are.
    pub fn verify(&self, at: Timestamp) -> Result<Timestamp, Refuted> {
        check_signer(&self.signer)?;
        for (below, issuer) in self.issuers.iter().enumerate() {
            check_issuer(issuer, below)?;
        }
        let mut until = Timestamp::MAX;
        for certificate in self.all() {
            until = until.min(check_validity(certificate, at)?);
        }
        let root = self.issuers.last().unwrap_or(&self.signer);
        if root.tbs_certificate.subject != root.tbs_certificate.issuer {
            return Err(untrusted("its certificates do not end with a root"));
        }
        self.verify_links(at)?;
        Ok(until)
    }

    fn all(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.signer).chain(&self.issuers)
    }

    /// That each certificate is signed by the next. One that is alone is known by its bytes, and needs nobody's signature.
    fn verify_links(&self, at: Timestamp) -> Result<(), Refuted> {
        let [signer, issuers @ ..] = self.encoded else { return Err(Refuted::Unreadable) };
        let Some((root, between)) = issuers.split_last() else { return Ok(()) };
        let broken = |error: webpki::Error| untrusted(format!("its certificates are no chain for signing: {error}"));
        let anchors = [anchor_from_trusted_cert(root).map_err(broken)?];
        let at = at.as_duration().try_into().map_err(|_| Refuted::Unreadable)?;
        let at = UnixTime::since_unix_epoch(at);
        let signer = EndEntityCert::try_from(signer).map_err(broken)?;
        let purpose = Purpose::required_if_present(CODE_SIGNING);
        let path = signer.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, between, at, purpose, None, None).map_err(broken)?;
        // A way past some of them would leave those unchecked.
        let is_whole = path.intermediate_certificates().map(Cert::der).eq(between.iter().cloned());
        if is_whole { Ok(()) } else { Err(untrusted("its certificates are no chain: each must be the issuer of the one before")) }
    }
}

fn check_signer(certificate: &Certificate) -> Result<(), Refuted> {
    let fields = &certificate.tbs_certificate;
    let constraints = fields.get::<BasicConstraints>().map_err(|_| Refuted::Unreadable)?;
    if constraints.is_some_and(|(_, constraints)| constraints.ca) {
        return Err(untrusted("its certificate is an authority's, which signs certificates and no images"));
    }
    let usages = usages(certificate)?;
    let allowed = KeyUsages::DigitalSignature | KeyUsages::NonRepudiation;
    if !usages.digital_signature() || !allowed.contains(usages.0) {
        return Err(untrusted("its certificate's key is not one for digital signatures alone"));
    }
    let purposes = fields.get::<ExtendedKeyUsage>().map_err(|_| Refuted::Unreadable)?;
    if purposes.is_some_and(|(_, purposes)| purposes.0.iter().any(|purpose| OTHER_PURPOSES.contains(purpose))) {
        return Err(untrusted("its certificate is for something else than signing code"));
    }
    Ok(())
}

/// Checks an authority's certificate that so many others stand below, the signer's not counted.
fn check_issuer(certificate: &Certificate, below: usize) -> Result<(), Refuted> {
    let constraints = certificate.tbs_certificate.get::<BasicConstraints>().map_err(|_| Refuted::Unreadable)?;
    let Some((true, BasicConstraints { ca: true, path_len_constraint })) = constraints else {
        return Err(untrusted("one of its certificates is no authority's, and stands above another"));
    };
    if path_len_constraint.is_some_and(|most| usize::from(most) < below) {
        return Err(untrusted("more authorities stand below one of its certificates than may"));
    }
    if usages(certificate)?.key_cert_sign() {
        Ok(())
    } else {
        Err(untrusted("the key of one of its authorities is not one for signing certificates"))
    }
}

fn usages(certificate: &Certificate) -> Result<KeyUsage, Refuted> {
    match certificate.tbs_certificate.get::<KeyUsage>() {
        Ok(Some((true, usages))) => Ok(usages),
        Ok(_) => Err(untrusted("one of its certificates does not say, as critical, what its key is for")),
        Err(_) => Err(Refuted::Unreadable),
    }
}

/// That a certificate is valid at a time; until when it is.
fn check_validity(certificate: &Certificate, at: Timestamp) -> Result<Timestamp, Refuted> {
    let fields = &certificate.tbs_certificate;
    let [from, until] = [timestamp(fields.validity.not_before)?, timestamp(fields.validity.not_after)?];
    let subject = &fields.subject;
    if at < from {
        return Err(untrusted(format!("the certificate of {subject} is valid from {from} on, not at {at}")));
    }
    if at > until {
        return Err(untrusted(format!("the certificate of {subject} expired at {until}")));
    }
    Ok(until)
}

fn timestamp(time: Time) -> Result<Timestamp, Refuted> {
    let since_epoch = time.to_unix_duration().try_into().map_err(|_| Refuted::Unreadable)?;
    Timestamp::from_duration(since_epoch).map_err(|_| Refuted::Unreadable)
}
