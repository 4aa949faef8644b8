use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use tempfile::TempDir;

use crate::temporary_folder;

/// A company's certificate authority, which signs certificates of servers and of clients.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, as files named as docker and podman name them, with the authority's beside them.
pub struct Certified {
    folder: TempDir,
}

impl Authority {
    /// A new one.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key can be made");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("a certificate can be made") }
    }

    /// Its own certificate, PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate of this number for identities as accounts have them, good for so many seconds; less than none is expired.
    pub fn certify(&self, identities: &[&str], serial: u64, good_for: i64) -> Certified {
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + since_1970(good_for);
        for identity in identities {
            let (form, name) = identity.split_once(':').expect("an identity has a form");
            let ascii = || name.to_owned().try_into().expect("a name is ASCII");
            match form {
                "uri" => params.subject_alt_names.push(SanType::URI(ascii())),
                "dns" => params.subject_alt_names.push(SanType::DnsName(ascii())),
                "email" => params.subject_alt_names.push(SanType::Rfc822Name(ascii())),
                "ip" => params.subject_alt_names.push(SanType::IpAddress(name.parse().expect("an address"))),
                _ => params.distinguished_name.push(DnType::CommonName, name),
            }
        }
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &*self.issuer).expect("a certificate can be made");
        let certified = Certified { folder: temporary_folder("certified") };
        let files = [("client.cert", certificate.pem()), ("client.key", key.serialize_pem()), ("ca.crt", self.pem())];
        for (name, content) in files {
            std::fs::write(certified.folder.path().join(name), content).expect("the folder is ours");
        }
        certified
    }

    /// A list of the numbers of certificates that it has revoked, PEM, good for an hour.
    pub fn revoke(&self, serials: &[u64]) -> String {
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: epoch + since_1970(-60),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: epoch + since_1970(-60),
            next_update: epoch + since_1970(3600),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).and_then(|list| list.pem()).expect("a list can be made")
    }
}

impl Certified {
    /// The folder of the files, as skopeo's and podman's `--cert-dir` take it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The certificate, PEM.
    pub fn certificate_file(&self) -> PathBuf {
        self.folder.path().join("client.cert")
    }

    /// Its key, PEM.
    pub fn key_file(&self) -> PathBuf {
        self.folder.path().join("client.key")
    }

    /// The authority that signed it, PEM.
    pub fn authority_file(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// Certificate and key, PEM.
    pub fn pem(&self) -> Vec<u8> {
        let read = |path: PathBuf| std::fs::read(path).expect("it was written");
        [read(self.certificate_file()), read(self.key_file())].concat()
    }
}

fn since_1970(seconds_from_now: i64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    Duration::from_secs(now.as_secs().checked_add_signed(seconds_from_now).expect("a time"))
}
