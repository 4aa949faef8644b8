use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{
    ALL_VERIFICATION_ALGS, Cert, EndEntityCert, Error, KeyUsage as Purpose, RevocationOptions, RevocationOptionsBuilder,
    anchor_from_trusted_cert,
};
use x509_cert::{
    Certificate,
    der::{Decode as _, asn1::ObjectIdentifier},
    ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages},
    name::Name,
    spki::SubjectPublicKeyInfoOwned,
    time::Time,
};

use super::{revocation::RevocationList, shape::is_sound, stamp::Span, untrusted};
use crate::signature::Refuted;

/// `id-kp-codeSigning`, 1.3.6.1.5.5.7.3.3, without its tag.
const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];
/// `id-kp-timeStamping`, the same.
const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];
const TIME_STAMPING_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
/// What no signer's certificate may be for beside that: anything, TLS servers and clients, mail, timestamps, OCSP.
const OTHER_PURPOSES: [ObjectIdentifier; 6] = [
    ObjectIdentifier::new_unwrap("2.5.29.37.0"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4"),
    TIME_STAMPING_NAME,
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9"),
];

/// What certificates are for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Signing images.
    Signing,
    /// Saying when something was signed.
    Timestamps,
}

impl Role {
    /// What the certificates must be for where they say it.
    pub fn usage(self) -> Purpose {
        Purpose::required_if_present(match self {
            Self::Signing => CODE_SIGNING,
            Self::Timestamps => TIME_STAMPING,
        })
    }
}

/// Certificates from a signer's up to a root, each the issuer of the one before: those of an envelope, or of a timestamp's authority.
pub struct Chain<'a> {
    role: Role,
    encoded: &'a [CertificateDer<'static>],
    signer: Certificate,
    /// Who issued that, and them, in turn; none where the signer's certificate is its own root.
    issuers: Vec<Certificate>,
}

impl<'a> Chain<'a> {
    pub fn read(encoded: &'a [CertificateDer<'static>], role: Role) -> Result<Self, Refuted> {
        let read =
            |der: &CertificateDer<'_>| Some(der).filter(|der| is_sound(der)).and_then(|der| Certificate::from_der(der).ok());
        let mut read = encoded.iter().map(|der| read(der).ok_or(Refuted::Unreadable));
        let signer = read.next().ok_or(Refuted::Unreadable)??;
        let issuers = read.collect::<Result<_, _>>()?;
        Ok(Self { role, encoded, signer, issuers })
    }

    /// The signer's key.
    pub fn key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.signer.tbs_certificate.subject_public_key_info
    }

    /// Whom the signer's certificate is for.
    pub fn subject(&self) -> &Name {
        &self.signer.tbs_certificate.subject
    }

    /// All of them.
    pub fn encoded(&self) -> &'a [CertificateDer<'static>] {
        self.encoded
    }

    /// When the last of them began: if all were ever valid at once, they were then.
    pub fn begins_at(&self) -> Result<Timestamp, Refuted> {
        let mut begins = self.all().map(|certificate| timestamp(certificate.tbs_certificate.validity.not_before));
        begins.try_fold(Timestamp::MIN, |last, begin| Ok(last.max(begin?)))
    }

    /// Whether one of them has expired.
    pub fn has_expired(&self, now: Timestamp) -> Result<bool, Refuted> {
        let mut ends = self.all().map(|certificate| timestamp(certificate.tbs_certificate.validity.not_after));
        ends.try_fold(false, |has_expired, end| Ok(has_expired || now > end?))
    }

    /// That they are a chain as the specification wants it, and all valid all of the time that something was done in; until when they
    /// are.
    pub fn verify(&self, over: Span) -> Result<Timestamp, Refuted> {
        check_signer(&self.signer, self.role)?;
        for (below, issuer) in self.issuers.iter().enumerate() {
            check_issuer(issuer, below, self.role)?;
        }
        let mut until = Timestamp::MAX;
        for certificate in self.all() {
            check_validity(certificate, over.from)?;
            until = until.min(check_validity(certificate, over.to)?);
        }
        let root = self.issuers.last().unwrap_or(&self.signer);
        if root.tbs_certificate.subject != root.tbs_certificate.issuer {
            return Err(untrusted("its certificates do not end with a root"));
        }
        self.verify_links(over.from, None)?;
        Ok(until)
    }

    /// That none of a chain that holds at a time is revoked now, by a list of each of its authorities; until when these lists are good.
    /// Where there is no list at all nobody is asked, nor about one that is its own root.
    pub fn check_revocation(&self, lists: &[&RevocationList], at: Timestamp, now: Timestamp) -> Result<Timestamp, Refuted> {
        let mut until = Timestamp::MAX;
        if self.issuers.is_empty() || lists.is_empty() {
            return Ok(until);
        }
        let of_chain = |list: &&&RevocationList| self.issuers.iter().any(|issuer| list.is_by(&issuer.tbs_certificate));
        let mut lists: Vec<_> = lists.iter().filter(of_chain).collect();
        for list in &lists {
            until = until.min(list.check_age(now)?);
        }
        // The first of an authority's counts.
        lists.sort_by_key(|list| std::cmp::Reverse(list.issued_at));
        let lists: Vec<_> = lists.iter().map(|list| &list.list).collect();
        // Whatever is not known to be good is refused. The age was looked at: the path is judged by another clock.
        let options = RevocationOptionsBuilder::new(&lists).map_err(|_| broken(&Error::UnknownRevocationStatus, self.role))?;
        self.verify_links(at, Some(options.build()))?;
        Ok(until)
    }

    /// That no list of its authorities, whichever it is and however old, names one of them: of several lists of one authority whoever
    /// verifies a path may look at another.
    pub fn require_unrevoked<'b>(&self, lists: impl Iterator<Item = &'b RevocationList>) -> Result<(), Refuted> {
        let broken = |error| broken(&error, self.role);
        let all = self.encoded.iter().map(EndEntityCert::try_from).collect::<Result<Vec<_>, _>>().map_err(broken)?;
        for RevocationList { list, .. } in lists {
            for certificate in all.iter().filter(|certificate| certificate.issuer() == list.issuer()) {
                if list.find_serial(certificate.serial()).map_err(broken)?.is_some() {
                    return Err(broken(Error::CertRevoked));
                }
            }
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.signer).chain(&self.issuers)
    }

    /// That each certificate is signed by the next. One that is alone is known by its bytes, and needs nobody's signature.
    fn verify_links(&self, at: Timestamp, revocation: Option<RevocationOptions<'_>>) -> Result<(), Refuted> {
        let [signer, issuers @ ..] = self.encoded else { return Err(Refuted::Unreadable) };
        let Some((root, between)) = issuers.split_last() else { return Ok(()) };
        let broken = |error| broken(&error, self.role);
        let anchors = [anchor_from_trusted_cert(root).map_err(broken)?];
        let at = unix_time(at)?;
        let signer = EndEntityCert::try_from(signer).map_err(broken)?;
        let usage = self.role.usage();
        let path =
            signer.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, between, at, usage, revocation, None).map_err(broken)?;
        // A way past some of them would leave those unchecked.
        let is_whole = path.intermediate_certificates().map(Cert::der).eq(between.iter().cloned());
        if is_whole { Ok(()) } else { Err(untrusted("its certificates are no chain: each must be the issuer of the one before")) }
    }
}

fn broken(error: &Error, role: Role) -> Refuted {
    let role = match role {
        Role::Signing => "signing",
        Role::Timestamps => "timestamps",
    };
    untrusted(match error {
        Error::CertRevoked => "one of its certificates was revoked".to_owned(),
        Error::UnknownRevocationStatus => {
            "the lists of revoked certificates in its trust store have none of one of its authorities".to_owned()
        }
        Error::InvalidCrlSignatureForPublicKey => {
            "a list of revoked certificates is not by the authority that it names".to_owned()
        }
        Error::IssuerNotCrlSigner => "a list of revoked certificates is by an authority that may not sign such".to_owned(),
        error => format!("its certificates are no chain for {role}: {error}"),
    })
}

fn check_signer(certificate: &Certificate, role: Role) -> Result<(), Refuted> {
    let fields = &certificate.tbs_certificate;
    let constraints = fields.get::<BasicConstraints>().map_err(|_| Refuted::Unreadable)?;
    if constraints.is_some_and(|(_, constraints)| constraints.ca) {
        return Err(untrusted("its certificate is an authority's, which signs certificates and no images"));
    }
    let usages = usages(certificate, role)?;
    let allowed = KeyUsages::DigitalSignature | KeyUsages::NonRepudiation;
    if !usages.digital_signature() || !allowed.contains(usages.0) {
        return Err(untrusted("its certificate's key is not one for digital signatures alone"));
    }
    let purposes = fields.get::<ExtendedKeyUsage>().map_err(|_| Refuted::Unreadable)?;
    match (role, purposes) {
        (Role::Signing, Some((_, purposes))) if purposes.0.iter().any(|purpose| OTHER_PURPOSES.contains(purpose)) => {
            Err(untrusted("its certificate is for something else than signing code"))
        }
        (Role::Signing, _) => Ok(()),
        (Role::Timestamps, Some((true, purposes))) if purposes.0 == [TIME_STAMPING_NAME] => Ok(()),
        (Role::Timestamps, _) => Err(untrusted("its certificate is not one for timestamps alone, as critical")),
    }
}

/// Checks an authority's certificate that so many others stand below, the signer's not counted.
fn check_issuer(certificate: &Certificate, below: usize, role: Role) -> Result<(), Refuted> {
    let constraints = certificate.tbs_certificate.get::<BasicConstraints>().map_err(|_| Refuted::Unreadable)?;
    let Some((is_critical, BasicConstraints { ca: true, path_len_constraint })) = constraints else {
        return Err(untrusted("one of its certificates is no authority's, and stands above another"));
    };
    if !is_critical && role == Role::Signing {
        return Err(untrusted("one of its certificates does not say, as critical, that it is an authority's"));
    }
    if path_len_constraint.is_some_and(|most| usize::from(most) < below) {
        return Err(untrusted("more authorities stand below one of its certificates than may"));
    }
    if usages(certificate, role)?.key_cert_sign() {
        Ok(())
    } else {
        Err(untrusted("the key of one of its authorities is not one for signing certificates"))
    }
}

/// What a certificate's key is for. Those of authorities for timestamps need not say so as critical.
fn usages(certificate: &Certificate, role: Role) -> Result<KeyUsage, Refuted> {
    match certificate.tbs_certificate.get::<KeyUsage>() {
        Ok(Some((is_critical, usages))) if is_critical || role == Role::Timestamps => Ok(usages),
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

/// Whether a certificate is valid at a time.
pub fn is_valid(certificate: &CertificateDer<'_>, at: Timestamp) -> bool {
    Certificate::from_der(certificate).is_ok_and(|certificate| check_validity(&certificate, at).is_ok())
}

/// A time in a certificate. That without an end (9999-12-31, RFC 5280, section 4.1.2.5) is the last that there is.
pub fn timestamp(time: Time) -> Result<Timestamp, Refuted> {
    let since_epoch = time.to_unix_duration().try_into().map_err(|_| Refuted::Unreadable)?;
    Timestamp::from_duration(Timestamp::MAX.as_duration().min(since_epoch)).map_err(|_| Refuted::Unreadable)
}

pub fn unix_time(at: Timestamp) -> Result<UnixTime, Refuted> {
    let since_epoch = at.as_duration().try_into().map_err(|_| Refuted::Unreadable)?;
    Ok(UnixTime::since_unix_epoch(since_epoch))
}
