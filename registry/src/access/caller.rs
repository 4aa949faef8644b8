use std::sync::Arc;

use longshore_oci::{AccessToken, NamespaceRight, RepositoryName, Scope};
use longshore_service::listener::ClientCertificate;

use super::{
    Action, Workload, certificate,
    directory::{Directory, Member, Rights},
};
use crate::state::Sharing;

/// The part of the registry that lists are, in a scope.
const CATALOG: &str = "catalog";
/// The caller's own account, in a scope.
const ACCOUNT: &str = "account";
/// Accounts and roles of all, and policies, in a scope.
const ADMIN: &str = "admin";

/// Who calls, and what for.
#[derive(Clone, Debug)]
pub struct Caller {
    standing: Standing,
    /// The token that was shown; it says itself what it is for.
    token: Option<Arc<AccessToken>>,
    /// The certificate that was shown in place of anything else.
    certificate: Option<ClientCertificate>,
}

#[derive(Clone, Debug)]
enum Standing {
    /// Nobody is asked who they are.
    Unasked,
    /// It has not said who it is.
    Anonymous(Arc<Directory>),
    /// An account.
    Member(Arc<Member>),
    /// Somebody for whom an issuer has spoken.
    Workload(Arc<Workload>),
}

/// What a request is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Need<'a> {
    /// Nothing that is anybody's.
    Nothing,
    /// To be known, if only as nobody in particular.
    Credentials,
    /// Lists of what the caller may pull.
    Lists,
    /// The account of this name: one's own, or being its administrator.
    Account(&'a str),
    /// Accounts, roles and policies.
    Admin,
    /// To do this with a repository.
    Repository(&'a RepositoryName, Action),
    /// To add something to a repository that may be a signature.
    Addition(&'a RepositoryName),
}

/// What comes of a need.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Judgement {
    /// It is granted.
    Granted,
    /// It may be, to somebody who says who they are.
    Unknown,
    /// It would be, with a token that is for it.
    Narrow,
    /// It is not.
    Denied,
}

impl Caller {
    /// Whoever it is, where nobody is asked.
    pub fn unasked() -> Self {
        Self { standing: Standing::Unasked, token: None, certificate: None }
    }

    /// Somebody without an account.
    pub(super) fn anonymous(directory: Arc<Directory>, token: Option<Arc<AccessToken>>) -> Self {
        Self { standing: Standing::Anonymous(directory), token, certificate: None }
    }

    /// An account.
    pub(super) fn member(member: Arc<Member>, token: Option<Arc<AccessToken>>) -> Self {
        Self { standing: Standing::Member(member), token, certificate: None }
    }

    /// The same, who has shown this certificate.
    pub(super) fn with_certificate(self, certificate: ClientCertificate) -> Self {
        Self { certificate: Some(certificate), ..self }
    }

    /// The last second, since 1970, in which what it has shown is good of itself.
    pub(super) fn ends_at(&self) -> i64 {
        self.certificate.as_ref().map_or(i64::MAX, |certificate| i64::try_from(certificate.ends_at()).unwrap_or(i64::MAX))
    }

    /// What the certificate says that it has shown, where that is no account's.
    pub fn unknown_certificate(&self) -> Option<String> {
        self.certificate.as_ref().filter(|_| self.account().is_none()).map(certificate::told)
    }

    /// Somebody for whom an issuer has spoken.
    pub(super) fn workload(workload: Workload, token: Option<Arc<AccessToken>>) -> Self {
        Self { standing: Standing::Workload(Arc::new(workload)), token, certificate: None }
    }

    pub(super) fn spoken_for(&self) -> Option<&Workload> {
        match &self.standing {
            Standing::Workload(workload) => Some(workload),
            _ => None,
        }
    }

    pub(super) fn account(&self) -> Option<&Member> {
        match &self.standing {
            Standing::Member(member) => Some(member),
            _ => None,
        }
    }

    /// The account's name; or the issuer's who has spoken, and the caller's there, parted by a colon, which no account's has.
    pub fn name(&self) -> Option<&str> {
        match &self.standing {
            Standing::Unasked | Standing::Anonymous(_) => None,
            Standing::Member(member) => Some(&member.account().name),
            Standing::Workload(workload) => Some(&workload.name),
        }
    }

    fn is_known(&self) -> bool {
        self.name().is_some()
    }

    /// Whether it showed a token.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether it may have this.
    pub fn judge(&self, need: Need<'_>) -> Judgement {
        if need == Need::Nothing || matches!(self.standing, Standing::Unasked) {
            return Judgement::Granted;
        }
        // The account of somebody else is an administrator's business.
        let need = if matches!(need, Need::Account(name) if self.name() != Some(name)) { Need::Admin } else { need };
        match (self.may(need), self.is_meant_for(need), &self.standing) {
            (true, true, _) => Judgement::Granted,
            (true, false, _) => Judgement::Narrow,
            (false, _, Standing::Member(_) | Standing::Workload(_)) => Judgement::Denied,
            (false, ..) => Judgement::Unknown,
        }
    }

    /// Whether it has what a pull of the repository takes.
    pub fn may_pull(&self, name: &RepositoryName) -> bool {
        self.judge(Need::Repository(name, Action::Pull)) == Judgement::Granted
    }

    /// Whether it may pull what no policy is satisfied by yet: who signs must, and who administers may.
    pub fn may_pull_unsigned(&self, name: &RepositoryName) -> bool {
        !matches!(self.standing, Standing::Unasked) && self.may(Need::Repository(name, Action::Sign))
    }

    /// Whether a list of repositories shows it this one; which token the list was asked for with is no matter here.
    pub fn sees(&self, name: &RepositoryName) -> bool {
        self.allows(|rights| rights.allow(Action::Pull, name))
    }

    /// Whether it may pull whatever there is.
    pub fn sees_all(&self) -> bool {
        self.allows(|rights| rights.allow_everywhere(Action::Pull))
    }

    /// Whether it may pull anything, were it there.
    pub fn sees_any(&self) -> bool {
        self.allows(Rights::are_on_repositories)
    }

    /// Which images count, to it, as sharing content.
    pub fn sharing(&self) -> Sharing {
        if self.sees_all() { Sharing::Anywhere } else { Sharing::Repository }
    }

    /// Whether its roles allow something; all is allowed where nobody is asked.
    fn allows(&self, something: impl Fn(&Rights) -> bool) -> bool {
        match &self.standing {
            Standing::Unasked => true,
            Standing::Anonymous(directory) => something(directory.for_all()),
            Standing::Member(member) => member.rights().into_iter().any(something),
            Standing::Workload(workload) => workload.rights.iter().any(|rights| something(rights)),
        }
    }

    /// Whether its roles allow this.
    fn may(&self, need: Need<'_>) -> bool {
        match need {
            Need::Nothing => true,
            Need::Credentials | Need::Lists => self.is_known() || self.token.is_some(),
            Need::Account(name) => self.name() == Some(name),
            Need::Admin => self.is_known() && self.allows(|rights| rights.allow_everywhere(Action::Admin)),
            Need::Repository(name, action) => self.allows(|rights| rights.allow(action, name)),
            Need::Addition(name) => self.allows(|rights| rights.allow(Action::Push, name) || rights.allow(Action::Sign, name)),
        }
    }

    /// Whether its token, if it showed one, is for this.
    fn is_meant_for(&self, need: Need<'_>) -> bool {
        let Some(token) = &self.token else { return true };
        let Some((kind, name, actions)) = need.scope_parts() else { return true };
        actions.iter().all(|action| token.covers(kind, name, action))
    }

    /// As much of a scope as its roles allow; `None` for nothing. What was asked of a namespace in vain by somebody who is known is a scope
    /// without actions: so the orchestrator tells who may not from who has not asked.
    pub(super) fn granted(&self, asked: &Scope) -> Option<Scope> {
        let mut granted = Scope { actions: Vec::new(), ..asked.clone() };
        for asked in &asked.actions {
            let held: &[&str] = match (granted.kind.as_str(), asked.as_str()) {
                (Scope::REPOSITORY, Scope::ALL) => &["pull", "push", "delete"],
                (Scope::NAMESPACE, Scope::ALL) => &NamespaceRight::ALL.map(NamespaceRight::as_str),
                (_, action) => &[action],
            };
            for action in held {
                if self.may_hold(&granted.kind, &granted.name, action) && !granted.actions.iter().any(|held| held == action) {
                    granted.actions.push((*action).to_owned());
                }
            }
        }
        let is_told = !granted.actions.is_empty() || (granted.kind == Scope::NAMESPACE && self.is_known());
        is_told.then_some(granted)
    }

    /// Whether it may do this in a namespace of the fleet, whose orchestrator takes the registry's tokens; of `*`, in all of them. Who
    /// administers the registry may do everything there.
    fn may_in_namespace(&self, right: NamespaceRight, name: &str) -> bool {
        let is_asked = !matches!(self.standing, Standing::Unasked);
        is_asked && (self.may(Need::Admin) || self.allows(|rights| rights.allow_in_namespace(right, name)))
    }

    fn may_hold(&self, kind: &str, name: &str, action: &str) -> bool {
        match (kind, name, action) {
            (Scope::REGISTRY, CATALOG, Scope::ALL) => true,
            (Scope::REGISTRY, ACCOUNT, Scope::ALL) => self.account().is_some(),
            (Scope::REGISTRY, ADMIN, Scope::ALL) => self.may(Need::Admin),
            (Scope::NAMESPACE, name, action) => action.parse().is_ok_and(|right| self.may_in_namespace(right, name)),
            (Scope::REPOSITORY, name, action) => name.parse().is_ok_and(|name| match action {
                "pull" => self.may(Need::Repository(&name, Action::Pull)),
                "push" => self.may(Need::Addition(&name)),
                "delete" => self.may(Need::Repository(&name, Action::Delete)),
                _ => false,
            }),
            _ => false,
        }
    }
}

impl Need<'_> {
    /// What a token for it is asked with.
    pub fn scope(&self) -> Option<Scope> {
        self.scope_parts().map(|(kind, name, actions)| Scope::new(kind, name, actions))
    }

    /// The type, the name and the actions of [`Self::scope`].
    fn scope_parts(&self) -> Option<(&'static str, &str, &'static [&'static str])> {
        match self {
            Need::Nothing | Need::Credentials => None,
            Need::Lists => Some((Scope::REGISTRY, CATALOG, &[Scope::ALL])),
            Need::Account(_) => Some((Scope::REGISTRY, ACCOUNT, &[Scope::ALL])),
            Need::Admin => Some((Scope::REGISTRY, ADMIN, &[Scope::ALL])),
            Need::Repository(name, Action::Pull) => Some((Scope::REPOSITORY, name.as_str(), &["pull"])),
            Need::Repository(name, Action::Delete) => Some((Scope::REPOSITORY, name.as_str(), &["delete"])),
            Need::Repository(name, _) | Need::Addition(name) => Some((Scope::REPOSITORY, name.as_str(), &["pull", "push"])),
        }
    }

    /// What it is, for people: `push to team/app`.
    pub fn told(&self) -> String {
        match self {
            Need::Nothing | Need::Credentials => "call".to_owned(),
            Need::Lists => "list what there is".to_owned(),
            Need::Account(name) => format!("change the account {name}"),
            Need::Admin => "administer the registry".to_owned(),
            Need::Repository(name, Action::Pull) => format!("pull from {name}"),
            Need::Repository(name, Action::Delete) => format!("delete from {name}"),
            Need::Repository(name, Action::Admin) => format!("administer {name}"),
            Need::Repository(name, Action::Push | Action::Sign) | Need::Addition(name) => format!("push to {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use jiff::Timestamp;

    use crate::{
        access::{Actions, new_role},
        state::{AccountKind, RolePlace, StoredAccount, StoredRole},
    };

    fn account(name: &str) -> StoredAccount {
        StoredAccount {
            name: name.to_owned(),
            kind: AccountKind::Person,
            secret_hash: String::new(),
            credential: String::new(),
            certificate: None,
            is_disabled: false,
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            last_used_at: None,
        }
    }

    fn in_namespaces(subject: &str, actions: &str, pattern: &str) -> StoredRole {
        let place = RolePlace::Namespaces(pattern.to_owned());
        StoredRole { actions: actions.to_owned(), ..new_role(subject, String::new(), place) }
    }

    /// What a caller gets of `namespace:NAME:ACTIONS`, written as scopes are; `-` for nothing.
    fn got(caller: &Caller, asked: &str) -> String {
        caller.granted(&asked.parse().expect("a scope")).map_or_else(|| "-".to_owned(), |scope| scope.to_string())
    }

    #[test]
    fn nobody_in_particular_may_do_anything_in_a_namespace_unless_everybody_may() {
        let of = |roles: &[StoredRole]| Arc::new(Directory::compile(0, Vec::new(), Vec::new(), roles));
        assert_eq!(got(&Caller::anonymous(of(&[]), None), "namespace:team:*"), "-");
        assert_eq!(got(&Caller::unasked(), "namespace:team:*"), "-");
        let open = of(&[in_namespaces("anonymous", "view", "demo")]);
        assert_eq!(got(&Caller::anonymous(open.clone(), None), "namespace:demo:*"), "namespace:demo:view");
        assert_eq!(got(&Caller::anonymous(open, None), "namespace:team:*"), "-");
    }

    #[test]
    fn a_namespace_s_scope_has_what_was_granted_there_and_no_more() {
        let all = RolePlace::Repositories("**".to_owned());
        let roles = [
            in_namespaces("alice", "deploy", "team"),
            in_namespaces("alice", "view", "team-*"),
            in_namespaces("bob", "view,rollback", "*"),
            new_role("carol", Actions::from(Action::Push).to_string(), all.clone()),
            new_role("root", Actions::from(Action::Admin).to_string(), all),
            in_namespaces("dan", "fly", "team"),
            in_namespaces("dan", "deploy", "team/*"),
        ];
        let names = ["alice", "bob", "carol", "root", "dan"];
        let directory = Directory::compile(0, names.map(account).to_vec(), Vec::new(), &roles);
        let caller = |name: &str| Caller::member(directory.member(name).expect("it is there"), None);
        let asked = "view,rollback,deploy,admin";
        for (name, namespace, expected) in [
            ("alice", "team", "view,rollback,deploy"),
            ("alice", "team-a", "view"),
            ("alice", "other", ""),
            ("alice", "*", ""),
            ("bob", "other", "view,rollback"),
            ("bob", "*", "view,rollback"),
            ("carol", "team", ""),
            ("root", "team", asked),
            ("root", "*", asked),
            ("dan", "team", ""),
        ] {
            assert_eq!(
                got(&caller(name), &format!("namespace:{namespace}:{asked}")),
                format!("namespace:{namespace}:{expected}")
            );
            assert_eq!(got(&caller(name), &format!("namespace:{namespace}:*")), format!("namespace:{namespace}:{expected}"));
        }
        assert_eq!(got(&caller("alice"), "namespace:team:deploy,fly"), "namespace:team:deploy");
        assert_eq!(got(&caller("alice"), "repository:team:pull"), "-", "a namespace is no repository");
        assert!(!caller("alice").sees_any() && caller("carol").sees_any());
        assert_eq!(caller("bob").judge(Need::Admin), Judgement::Denied);
    }
}
