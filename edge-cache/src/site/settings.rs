use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::Certificate;

use super::{InvalidMember, MOST_MEMBERS, Member, SiteSecret};

/// How an edge is with the others of its site.
#[derive(Clone, Debug)]
pub struct SiteSettings {
    /// Who they are.
    pub membership: Membership,
    /// What they know and nobody else does.
    pub secret: SiteSecret,
    /// How many members are home to a blob.
    pub homes: usize,
    /// How long to wait for a connection to a member; after that it is skipped for a while. Five times as long for one of
    /// [`Self::max_connections`], and before a member that has not answered is asked whether it is there at all.
    pub connect_timeout: Duration,
    /// How long to wait for an answer, and for its next bytes. A home that waits for the upstream is waited for as long, so this is no
    /// shorter than what that may take: an upstream's `retry_timeout`, then a wait for a turn and one for the first bytes (`read_timeout`
    /// each), and its `connect_timeout`.
    pub read_timeout: Duration,
    /// How many requests there are to a member at once, each on a connection of its own.
    pub max_connections: usize,
    /// A PEM file of the certificate authorities that vouch for the members, in place of those that this machine trusts.
    pub ca_file: Option<PathBuf>,
    /// Whether members on other machines may be asked over plain HTTP, where callers' credentials can be read on their way.
    pub allow_plain_http: bool,
}

/// Who belongs to a site.
#[derive(Clone, Debug)]
pub enum Membership {
    /// These.
    Listed {
        /// This edge, as the others know it.
        own: Member,
        /// All of them.
        members: Vec<Member>,
    },
    /// Whoever a name resolves to.
    Named {
        /// This edge, where it is not told by the machine's addresses: `https://10.0.0.5:5100`, as the others find it by the name.
        own: Option<Member>,
        /// The name.
        name: String,
        /// The port of all of them.
        port: u16,
        /// Whether they speak TLS, each with a certificate of the name.
        is_https: bool,
        /// How often the name is resolved.
        every: Duration,
    },
}

/// Why there is no site as it is set up.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// See [`InvalidMember`].
    #[error(transparent)]
    Member(#[from] InvalidMember),
    /// The list lacks this edge.
    #[error("the members of the site lack this edge, {0}: add it, written as in site.url")]
    Left(Member),
    /// The list is too long.
    #[error("a site has {MOST_MEMBERS} members at most, and there are {0}")]
    TooMany(usize),
    /// The authorities can't be read.
    #[error("the certificate authorities in {} can't be read", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The name of the members does not resolve.
    #[error("{name} does not resolve: {reason}")]
    Unresolved {
        /// The name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// The connections can't be set up.
    #[error("connections to {member} can't be set up")]
    Setup {
        /// To whom.
        member: Member,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
}

impl Membership {
    /// The members of a list, one of whom is this edge.
    pub fn listed(own: &str, members: &[String], allow_plain_http: bool) -> Result<Self, SiteError> {
        if members.len() > MOST_MEMBERS {
            return Err(SiteError::TooMany(members.len()));
        }
        let own = Member::parse(own, allow_plain_http)?;
        let members = members.iter().map(|text| Member::parse(text, allow_plain_http));
        let mut members = members.collect::<Result<Vec<_>, _>>()?;
        members.sort_unstable();
        members.dedup();
        if members.contains(&own) { Ok(Self::Listed { own, members }) } else { Err(SiteError::Left(own)) }
    }
}

impl SiteSettings {
    /// The member at an address that the name resolves to.
    pub(super) fn member_at(&self, address: SocketAddr) -> Result<Member, InvalidMember> {
        let scheme = if matches!(self.membership, Membership::Named { is_https: true, .. }) { "https" } else { "http" };
        Member::parse(&format!("{scheme}://{address}"), self.allow_plain_http)
    }
}

/// The certificates in a file.
pub(super) fn read_authorities(path: &Path) -> Result<Vec<Certificate>, SiteError> {
    let failed = |source| SiteError::Authorities { path: path.to_owned(), source };
    let pem = std::fs::read(path).map_err(failed)?;
    let none = || failed(io::Error::new(io::ErrorKind::InvalidData, "it holds no certificates in PEM form"));
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|_| none())?;
    if certificates.is_empty() { Err(none()) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_this_edge_in_it() {
        let of = |own, members: &[&str]| {
            let members: Vec<_> = members.iter().map(|&member| member.to_owned()).collect();
            Membership::listed(own, &members, false)
        };
        let listed = of("https://a.example:443", &["https://b.example", "https://a.example/", "https://b.example"]).unwrap();
        assert!(matches!(listed, Membership::Listed { members, .. } if members.len() == 2));
        assert!(matches!(of("https://a.example", &["https://b.example"]), Err(SiteError::Left(_))));
        assert!(matches!(of("http://10.0.0.1:5100", &["http://10.0.0.1:5100"]), Err(SiteError::Member(_))));
        let many: Vec<_> = (0..300).map(|number| format!("https://{number}.example")).collect();
        assert!(matches!(Membership::listed("https://0.example", &many, false), Err(SiteError::TooMany(300))));
    }

    #[test]
    fn authorities_are_certificates() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert!(matches!(read_authorities(&path), Err(SiteError::Authorities { .. })));
        std::fs::write(&path, "nothing").unwrap();
        assert!(matches!(read_authorities(&path), Err(SiteError::Authorities { .. })));
    }
}
