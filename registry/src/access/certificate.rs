use std::sync::Arc;

use longshore_service::listener::{ClientCertificate, Identity};

use super::{
    Access, AuthenticationError, Caller,
    directory::{Directory, Member},
};

/// The most identities that are told of in a refusal.
const MOST_TOLD: usize = 3;

/// Whom an account's certificate is for, as that is kept; what is wrong with it where it is nobody.
pub fn check_identity(text: &str) -> Result<String, String> {
    text.parse::<Identity>().map(|identity| identity.to_string()).map_err(|error| error.to_string())
}

impl Access {
    /// Who shows this certificate, and nothing else.
    pub fn of_certificate(&self, certificate: Option<&ClientCertificate>) -> Result<Caller, AuthenticationError> {
        let Some(certificate) = certificate else { return Ok(self.anonymous()) };
        let directory = self.directory.load_full();
        let member = member(&directory, certificate).inspect_err(|error| self.note_certificate(error))?;
        let caller = match member {
            Some(member) => self.caller(member, None)?,
            None => Caller::anonymous(directory, None),
        };
        Ok(caller.with_certificate(certificate.clone()))
    }

    /// Whether a certificate that is good is no account's.
    pub(super) fn is_unknown(&self, certificate: &ClientCertificate) -> bool {
        matches!(member(&self.directory.load(), certificate), Ok(None))
    }
}

/// The account that a certificate stands for, if any, where it is good still. Who would be several is none of them.
fn member(directory: &Directory, certificate: &ClientCertificate) -> Result<Option<Arc<Member>>, AuthenticationError> {
    certificate.check().map_err(|error| AuthenticationError::Certificate(error.to_string()))?;
    let identities = certificate.identities().iter();
    one_of(identities.filter_map(|identity| Some((identity.as_str(), directory.certificate(identity.as_str())?))))
}

/// The one account of those found, each by its identity.
fn one_of<'a>(mut found: impl Iterator<Item = (&'a str, Arc<Member>)>) -> Result<Option<Arc<Member>>, AuthenticationError> {
    let Some((identity, member)) = found.next() else { return Ok(None) };
    match found.find(|(_, other)| other.account().name != member.account().name) {
        None => Ok(Some(member)),
        Some((other, _)) => Err(AuthenticationError::Certificate(format!(
            "the client certificate stands for more than one account: by {identity} for one, and by {other} for another"
        ))),
    }
}

/// What a certificate says of its holder, for people.
pub fn told(certificate: &ClientCertificate) -> String {
    let identities = certificate.identities();
    let named: Vec<&str> = identities.iter().take(MOST_TOLD).map(Identity::as_str).collect();
    match (named.as_slice(), identities.len().saturating_sub(MOST_TOLD)) {
        ([], _) => "which names nobody".to_owned(),
        (named, 0) => named.join(", "),
        (named, more) => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::state::{AccountKind, StoredAccount};

    fn directory(accounts: &[(&str, &str)]) -> Directory {
        let account = |(name, certificate): &(&str, &str)| StoredAccount {
            name: (*name).into(),
            kind: AccountKind::Robot,
            secret_hash: String::new(),
            credential: String::new(),
            certificate: Some((*certificate).into()),
            is_disabled: false,
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            last_used_at: None,
        };
        Directory::compile(1, accounts.iter().map(account).collect(), Vec::new(), &[])
    }

    fn found(directory: &Directory, identities: &[&str]) -> Result<Option<String>, AuthenticationError> {
        let found = identities.iter().filter_map(|identity| Some((*identity, directory.certificate(identity)?)));
        one_of(found).map(|member| member.map(|member| member.account().name.clone()))
    }

    #[test]
    fn a_certificate_is_one_account_s_or_none_s() {
        let directory = directory(&[("ci", "uri:spiffe://example.org/ci"), ("node", "dns:node1")]);
        assert_eq!(found(&directory, &["dns:other", "dns:node1"]), Ok(Some("node".into())));
        assert_eq!(found(&directory, &["dns:node1", "dns:node1"]), Ok(Some("node".into())), "named twice is named once");
        assert_eq!(found(&directory, &["dns:node", "cn:node1"]), Ok(None), "forms are different names");
        assert_eq!(found(&directory, &[]), Ok(None));
        let refused = found(&directory, &["dns:node1", "uri:spiffe://example.org/ci"]).unwrap_err();
        assert!(refused.to_string().contains("by dns:node1 for one, and by uri:spiffe://example.org/ci"), "{refused}");
    }

    #[test]
    fn an_identity_is_kept_as_certificates_are_read() {
        assert_eq!(check_identity("dns:Node1"), Ok("dns:node1".into()));
        assert!(check_identity("node1").unwrap_err().contains("one is written uri:"));
    }
}
