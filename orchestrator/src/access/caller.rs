//! Who calls.

use std::net::IpAddr;

use longshore_fleet::Name;
use longshore_oci::{AccessToken, Scope};

use super::Right;

/// Who calls, and what they may do.
#[derive(Clone, Debug)]
pub struct Caller {
    name: String,
    address: IpAddr,
    standing: Standing,
    /// When its token ends, in seconds since 1970.
    ends_at: Option<i64>,
}

#[derive(Clone, Debug)]
enum Standing {
    /// Nobody is asked who they are.
    Unasked,
    /// It has not said who it is.
    Nobody,
    /// It has a token for this.
    Token(Vec<Scope>),
}

/// What somebody is called who was not asked, or has not said.
const ANONYMOUS: &str = "anonymous";

impl Caller {
    /// Somebody, where nobody is asked who they are.
    pub fn unasked(address: IpAddr) -> Self {
        Self { name: ANONYMOUS.to_owned(), address, standing: Standing::Unasked, ends_at: None }
    }

    /// Somebody who has not said who they are.
    pub fn nobody(address: IpAddr) -> Self {
        Self { name: ANONYMOUS.to_owned(), address, standing: Standing::Nobody, ends_at: None }
    }

    /// The bearer of a token that was checked.
    pub fn with_token(token: AccessToken, address: IpAddr) -> Self {
        let name = if token.subject.is_empty() { ANONYMOUS.to_owned() } else { token.subject };
        Self { name, address, standing: Standing::Token(token.access), ends_at: Some(token.expires_at) }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// From where it calls.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// When its token ends, in seconds since 1970: what goes on longer ends then.
    pub fn ends_at(&self) -> Option<i64> {
        self.ends_at
    }

    /// Whether it has shown a token.
    pub fn has_token(&self) -> bool {
        matches!(self.standing, Standing::Token(_))
    }

    /// Whether it is nobody in particular: it has shown no token, or one that names nobody.
    pub fn is_anonymous(&self) -> bool {
        self.name == ANONYMOUS
    }

    /// What events and revisions name as their author: nobody, where nobody is asked.
    pub fn author(&self) -> Option<String> {
        (!matches!(self.standing, Standing::Unasked)).then(|| self.name.clone())
    }

    /// Whether it may do something in a namespace, or in all of them where none is named.
    pub fn may(&self, right: Right, namespace: Option<&Name>) -> bool {
        let scopes = match &self.standing {
            Standing::Unasked => return true,
            Standing::Nobody => return false,
            Standing::Token(scopes) => scopes,
        };
        let is_of = |scope: &&Scope| {
            let is_there = scope.name == Scope::ALL || namespace.is_some_and(|name| name.as_str() == scope.name);
            scope.kind == Scope::NAMESPACE && is_there
        };
        let implies = |action: &String| action == Scope::ALL || action.parse().is_ok_and(|held: Right| held.implies(right));
        scopes.iter().filter(is_of).any(|scope| scope.actions.iter().any(implies))
    }

    /// Whether its token names this place already, so that another would not say more.
    pub(super) fn asked_for(&self, asked: &Scope) -> bool {
        let Standing::Token(scopes) = &self.standing else { return false };
        scopes.iter().any(|scope| scope.kind == asked.kind && scope.name == asked.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(access: &[Scope]) -> Caller {
        let token = AccessToken {
            issuer: String::new(),
            subject: "alice".into(),
            audience: String::new(),
            issued_at: 0,
            not_before: 0,
            expires_at: 0,
            id: String::new(),
            access: access.to_vec(),
            credential: None,
            federated: None,
            peer_id: None,
        };
        Caller::with_token(token, IpAddr::from([127, 0, 0, 1]))
    }

    #[test]
    fn a_right_is_on_its_namespace_alone() {
        let (team, other): (Name, Name) = ("team".parse().unwrap(), "other".parse().unwrap());
        let alice = caller(&[Scope::new("namespace", "team", &["deploy"]), Scope::new("repository", "other", &["admin"])]);
        assert!(alice.may(Right::Deploy, Some(&team)) && alice.may(Right::View, Some(&team)));
        assert!(!alice.may(Right::Admin, Some(&team)) && !alice.may(Right::View, Some(&other)) && !alice.may(Right::View, None));
        let all = caller(&[Scope::new("namespace", "*", &["view"])]);
        assert!(all.may(Right::View, Some(&team)) && all.may(Right::View, None) && !all.may(Right::Rollback, Some(&team)));
        assert!(caller(&[Scope::new("namespace", "*", &["*"])]).may(Right::Admin, None));
        assert!(!Caller::nobody(alice.address()).may(Right::View, Some(&team)));
        assert!(Caller::unasked(alice.address()).may(Right::Admin, None));
    }
}
