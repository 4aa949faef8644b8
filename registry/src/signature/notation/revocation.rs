use std::fmt;

use jiff::Timestamp;
use rustls_pki_types::{CertificateRevocationListDer, pem::PemObject as _};
use webpki::{CertRevocationList, OwnedCertRevocationList};
use x509_cert::{
    TbsCertificate,
    crl::CertificateList,
    der::{self, Decode as _, asn1::OctetString, oid::AssociatedOid as _},
    ext::{
        Extension,
        pkix::{AuthorityKeyIdentifier, SubjectKeyIdentifier},
    },
    name::Name,
};

use super::{chain::timestamp, untrusted};
use crate::signature::Refuted;

/// The most lists in one store.
const MOST_LISTS: usize = 100;

/// What an authority has revoked (RFC 5280, section 5).
pub struct RevocationList {
    pub list: CertRevocationList<'static>,
    /// Whose it is.
    issuer: Name,
    /// Which key of theirs has signed it, where it says so.
    key: Option<Vec<u8>>,
    pub issued_at: Timestamp,
    /// When there is to be the next one.
    ends_at: Timestamp,
}

impl RevocationList {
    /// Reads lists in PEM. Of several by one key of an authority, and of the same part of its certificates, the newest counts.
    pub fn parse(pem: &str) -> Result<Vec<Self>, String> {
        let encoded: Vec<_> = CertificateRevocationListDer::pem_slice_iter(pem.as_bytes())
            .take(MOST_LISTS + 1)
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        if encoded.is_empty() {
            return Err("there is no list of revoked certificates in it (\"BEGIN X509 CRL\")".to_owned());
        }
        if encoded.len() > MOST_LISTS {
            return Err(format!("there are more than {MOST_LISTS} lists of revoked certificates in it"));
        }
        let mut lists = encoded.iter().map(Self::read).collect::<Result<Vec<_>, _>>()?;
        lists.sort_by_key(|list| std::cmp::Reverse(list.issued_at));
        let mut newest: Vec<Self> = Vec::new();
        for list in lists {
            if !newest.iter().any(|other| other.is_of_the_same(&list)) {
                newest.push(list);
            }
        }
        Ok(newest)
    }

    fn read(der: &CertificateRevocationListDer<'_>) -> Result<Self, String> {
        let unreadable = |error: &dyn fmt::Display| format!("a list of revoked certificates can't be used: {error}");
        let list = OwnedCertRevocationList::from_der(der).map_err(|error| unreadable(&error))?;
        let fields = CertificateList::from_der(der).map_err(|error| unreadable(&error))?.tbs_cert_list;
        let next = fields.next_update.ok_or_else(|| unreadable(&"it does not say when the next one is due"))?;
        let time = |time| timestamp(time).map_err(|error| unreadable(&error));
        let key = authority_key(fields.crl_extensions.as_deref()).map_err(|error| unreadable(&error))?;
        let [issued_at, ends_at] = [time(fields.this_update)?, time(next)?];
        Ok(Self { list: list.into(), issuer: fields.issuer, key, issued_at, ends_at })
    }

    fn is_of_the_same(&self, other: &Self) -> bool {
        let part = |this: &Self| this.list.issuing_distribution_point().map(<[u8]>::to_vec);
        self.issuer == other.issuer && self.key == other.key && part(self) == part(other)
    }

    /// Whether it is of this authority, and by this key of its where both say which.
    pub fn is_by(&self, authority: &TbsCertificate) -> bool {
        let key = authority.get::<SubjectKeyIdentifier>().ok().flatten().map(|(_, key)| key.0.into_bytes());
        self.issuer == authority.subject && (self.key.is_none() || key.is_none() || self.key == key)
    }

    /// That the next one is not due; when it will be. One that is past its time says nothing of what was revoked since.
    pub fn check_age(&self, now: Timestamp) -> Result<Timestamp, Refuted> {
        if now < self.ends_at {
            return Ok(self.ends_at);
        }
        let (ends_at, issuer) = (self.ends_at, &self.issuer);
        Err(untrusted(format!("since {ends_at} there should be a newer list of what was revoked by {issuer}")))
    }
}

/// Which key a list says that it is signed by (RFC 5280, section 5.2.1).
fn authority_key(extensions: Option<&[Extension]>) -> der::Result<Option<Vec<u8>>> {
    let found = extensions.unwrap_or_default().iter().find(|extension| extension.extn_id == AuthorityKeyIdentifier::OID);
    let Some(extension) = found else { return Ok(None) };
    let identifier = AuthorityKeyIdentifier::from_der(extension.extn_value.as_bytes())?;
    Ok(identifier.key_identifier.map(OctetString::into_bytes))
}
