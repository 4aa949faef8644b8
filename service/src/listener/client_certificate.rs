use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, UnixTime};
use x509_cert::Certificate;
use x509_cert::der::asn1::{Ia5StringRef, ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use x509_cert::der::{Any, Decode as _, Tag, Tagged as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::identity::Identity;
use super::tls::{Authorities, Certificates};

/// The most names that a certificate is looked through for; one with more is nobody's.
const MOST_NAMES: usize = 64;
/// How long a certificate that was checked is good without being checked again, where nothing has changed: authorities between it and
/// ours expire too, and lists of what was revoked.
const GOOD_FOR: Duration = Duration::from_mins(5);
/// The object identifier of a common name (X.520).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The certificate by which a connection's client has shown who it is, signed by an authority of the listener's. Clones are of one
/// connection and share what is known of it.
///
/// It was good when the connection was made. Connections last, so [`Self::check`] says whether it is so still.
#[derive(Clone)]
pub struct ClientCertificate(Arc<Inner>);

struct Inner {
    /// The client's own first.
    chain: Vec<CertificateDer<'static>>,
    named: Named,
    certificates: Certificates,
    checked: Mutex<Option<Checked>>,
}

/// What a certificate says itself.
#[derive(Debug, Eq, PartialEq)]
struct Named {
    identities: Vec<Identity>,
    /// The last second in which it is good, since 1970.
    ends_at: u64,
}

/// What a check came to.
struct Checked {
    by: Arc<Authorities>,
    at: Instant,
    outcome: Result<(), UntrustedCertificate>,
}

/// Why a client's certificate is good no more.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UntrustedCertificate {
    /// Its time is over.
    #[error("the client certificate has expired")]
    Expired,
    /// Its authority has taken it back.
    #[error("the client certificate was revoked")]
    Revoked,
    /// Something else that the authorities in force now do not let pass.
    #[error("the client certificate is not accepted any more: {0}")]
    Refused(String),
}

impl ClientCertificate {
    /// The certificate of a connection whose handshake has just checked it.
    pub(super) fn new(chain: &[CertificateDer<'_>], certificates: &Certificates) -> Option<Self> {
        let own = chain.first()?;
        let named = Named::of(own).unwrap_or_else(|error| {
            tracing::debug!(%error, "a client's certificate can't be read, and so is nobody's");
            Named { identities: Vec::new(), ends_at: u64::MAX }
        });
        let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        Some(Self(Arc::new(Inner { chain, named, certificates: certificates.clone(), checked: Mutex::default() })))
    }

    /// Whom it is for.
    pub fn identities(&self) -> &[Identity] {
        &self.0.named.identities
    }

    /// The last second in which it is good, since 1970.
    pub fn ends_at(&self) -> u64 {
        self.0.named.ends_at
    }

    /// Whether connections without a certificate are refused, so that one whose certificate is good no more is to be too.
    pub fn is_required(&self) -> bool {
        self.0.certificates.authorities().is_some_and(|authorities| authorities.is_required)
    }

    /// Whether it is good now, by the authorities that are in force now. It costs no more than a look at the clock, unless these have
    /// changed or it was not asked for a while.
    pub fn check(&self) -> Result<(), UntrustedCertificate> {
        self.check_at(UnixTime::now(), true)
    }

    /// Whether it will be bad before so long.
    pub(super) fn ends_within(&self, time: Duration) -> bool {
        let then = UnixTime::now().as_secs().saturating_add(time.as_secs());
        self.check_at(UnixTime::since_unix_epoch(Duration::from_secs(then)), false).is_err()
    }

    /// Whether it is good at a time, which is now or lies ahead. What is good then is good now; what is not may be.
    fn check_at(&self, time: UnixTime, is_now: bool) -> Result<(), UntrustedCertificate> {
        let inner = &self.0;
        if time.as_secs() > inner.named.ends_at {
            return Err(UntrustedCertificate::Expired);
        }
        let Some(by) = inner.certificates.authorities() else {
            return Err(UntrustedCertificate::Refused("no certificates are taken here".to_owned()));
        };
        let mut checked = inner.checked.lock().expect("nobody panics with it");
        if let Some(known) = checked.as_ref().filter(|known| Arc::ptr_eq(&known.by, &by) && known.at.elapsed() < GOOD_FOR) {
            return known.outcome.clone();
        }
        let (own, others) = inner.chain.split_first().expect("a chain has the client's own certificate");
        let outcome = match by.verifier.verify_client_cert(own, others, time) {
            Ok(_) => Ok(()),
            Err(error) => Err(untrusted(&error)),
        };
        if is_now || outcome.is_ok() {
            *checked = Some(Checked { by, at: Instant::now(), outcome: outcome.clone() });
        }
        outcome
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientCertificate").field(&self.0.named).finish()
    }
}

fn untrusted(error: &rustls::Error) -> UntrustedCertificate {
    let rustls::Error::InvalidCertificate(reason) = error else { return UntrustedCertificate::Refused(error.to_string()) };
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => UntrustedCertificate::Expired,
        CertificateError::Revoked => UntrustedCertificate::Revoked,
        other => UntrustedCertificate::Refused(other.to_string()),
    }
}

/// Whether a handshake failed because of the client's certificate, or for want of one, and how.
pub(super) fn refused(error: &std::io::Error) -> Option<&rustls::Error> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let is_of_certificate = matches!(error, rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented);
    is_of_certificate.then_some(error)
}

impl Named {
    /// Reads a certificate. Its common name is an identity only where it has no other names at all (RFC 6125, section 6.4.4).
    fn of(der: &[u8]) -> Result<Self, x509_cert::der::Error> {
        let certificate = Certificate::from_der(der)?.tbs_certificate;
        let ends_at = certificate.validity.not_after.to_unix_duration().as_secs();
        let identities = match certificate.get::<SubjectAltName>()? {
            Some((_, names)) if names.0.len() > MOST_NAMES => Vec::new(),
            Some((_, names)) => names.0.iter().filter_map(identity).collect(),
            None => {
                let attributes = certificate.subject.0.iter().flat_map(|part| part.0.iter());
                let mut names = attributes.filter(|attribute| attribute.oid == COMMON_NAME);
                match (names.next(), names.next()) {
                    (Some(name), None) => common_name(&name.value).into_iter().collect(),
                    _ => Vec::new(),
                }
            }
        };
        Ok(Self { identities, ends_at })
    }
}

/// What a name comes to; `None` for one that no account could have.
fn identity(name: &GeneralName) -> Option<Identity> {
    match name {
        GeneralName::UniformResourceIdentifier(uri) => Identity::uri(uri.as_str()).ok(),
        GeneralName::DnsName(host) => Identity::dns(host.as_str()).ok(),
        GeneralName::Rfc822Name(address) => Identity::email(address.as_str()).ok(),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from).ok();
            four.or_else(|| <[u8; 16]>::try_from(bytes).map(IpAddr::from).ok()).map(Identity::ip)
        }
        _ => None,
    }
}

fn common_name(value: &Any) -> Option<Identity> {
    let text = match value.tag() {
        Tag::Utf8String => value.decode_as::<Utf8StringRef<'_>>().ok()?.as_str().to_owned(),
        Tag::PrintableString => value.decode_as::<PrintableStringRef<'_>>().ok()?.as_str().to_owned(),
        Tag::Ia5String => value.decode_as::<Ia5StringRef<'_>>().ok()?.as_str().to_owned(),
        _ => return None,
    };
    Identity::common_name(&text).ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    /// The identities of a certificate for these names, with this common name.
    fn named(names: Vec<SanType>, common_name: Option<&str>) -> Vec<String> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(common_name) = common_name {
            params.distinguished_name.push(DnType::CommonName, common_name);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let found = Named::of(certificate.der()).expect("it can be read");
        found.identities.iter().map(ToString::to_string).collect()
    }

    fn text<T: TryFrom<String, Error: fmt::Debug>>(name: &str) -> T {
        name.to_owned().try_into().expect("ASCII")
    }

    #[test]
    fn every_name_is_an_identity() {
        let names = vec![
            SanType::URI(text("spiffe://example.org/ci")),
            SanType::DnsName(text("Node1.Example.org")),
            SanType::Rfc822Name(text("Ann@example.org")),
            SanType::IpAddress("10.0.0.1".parse().expect("an address")),
            SanType::IpAddress("2001:db8::1".parse().expect("an address")),
            SanType::DnsName(text("*.example.org")),
        ];
        let expected =
            ["uri:spiffe://example.org/ci", "dns:node1.example.org", "email:ann@example.org", "ip:10.0.0.1", "ip:2001:db8::1"];
        assert_eq!(named(names, Some("node1")), expected, "a common name beside other names is none");
    }

    #[test]
    fn a_common_name_is_one_where_there_is_no_other() {
        assert_eq!(named(Vec::new(), Some("node1")), ["cn:node1"]);
        assert_eq!(named(Vec::new(), Some("Knoten Süd")), ["cn:Knoten Süd"]);
        assert!(named(Vec::new(), None).is_empty());
        let wildcard = vec![SanType::DnsName(text("*.example.org"))];
        assert!(named(wildcard, Some("node1")).is_empty(), "nor where the others are of no use");
    }

    #[test]
    fn more_names_than_are_looked_through_are_none() {
        let names = |count: usize| (0..count).map(|number| SanType::DnsName(text(&format!("n{number}.example")))).collect();
        assert_eq!(named(names(MOST_NAMES), None).len(), MOST_NAMES);
        assert!(named(names(MOST_NAMES + 1), None).is_empty());
    }
}
