use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use jiff::Timestamp;
use longshore_oci::{Federated, NamespaceRight, RepositoryName};

use super::{Action, Actions, Issuer, NamespacePattern, Workload};
use crate::{
    policy::RepositoryPattern,
    state::{RolePlace, StoredAccount, StoredIssuer, StoredRole, Subject},
};

/// All accounts, issuers and roles as they are at one moment, ready to be asked.
#[derive(Debug, Default)]
pub struct Directory {
    version: u64,
    members: HashMap<String, Arc<Member>>,
    issuers: BTreeMap<String, Arc<Issuer>>,
    /// What may be done by those who are no account: rules and groups.
    rights: HashMap<String, Arc<Rights>>,
    /// Those who show certificates, by whom these are for.
    by_certificate: HashMap<String, Arc<Member>>,
    for_all: Arc<Rights>,
}

/// An account, and what it may do.
#[derive(Debug)]
pub struct Member {
    account: StoredAccount,
    rights: Rights,
    for_all: Arc<Rights>,
    /// When it called since that was last written down, in microseconds since 1970; 0 where it did not.
    used_at: AtomicI64,
}

/// Actions on patterns of repositories, and on patterns of the fleet's namespaces.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    repositories: Vec<(RepositoryPattern, Actions)>,
    /// Each with the greatest, which implies the others.
    namespaces: Vec<(NamespacePattern, NamespaceRight)>,
}

impl Rights {
    /// Whether this may be done there.
    pub fn allow(&self, action: Action, name: &RepositoryName) -> bool {
        self.repositories.iter().any(|(repositories, actions)| actions.has(action) && repositories.covers(name))
    }

    /// Whether this may be done with every repository there is, or will be.
    pub fn allow_everywhere(&self, action: Action) -> bool {
        self.repositories.iter().any(|(repositories, actions)| actions.has(action) && repositories.is_all())
    }

    /// Whether this may be done in a namespace; of `*`, in all there are, or will be.
    pub fn allow_in_namespace(&self, right: NamespaceRight, name: &str) -> bool {
        self.namespaces.iter().any(|(namespaces, held)| held.implies(right) && namespaces.covers(name))
    }

    /// Whether they are on some repositories.
    pub fn are_on_repositories(&self) -> bool {
        !self.repositories.is_empty()
    }

    fn add(&mut self, role: &StoredRole) {
        if self.try_add(role).is_none() {
            // One that a later version wrote, perhaps.
            tracing::warn!(role = role.id, "a role can't be read, and allows nothing");
        }
    }

    fn try_add(&mut self, role: &StoredRole) -> Option<()> {
        match &role.place {
            RolePlace::Repositories(pattern) => {
                self.repositories.push((pattern.parse().ok()?, Actions::parse(&role.actions).ok()?.implied()));
            }
            RolePlace::Namespaces(pattern) => {
                let rights: Result<Vec<NamespaceRight>, _> = role.actions.split(',').map(str::parse).collect();
                self.namespaces.push((pattern.parse().ok()?, rights.ok()?.into_iter().max()?));
            }
        }
        Some(())
    }
}

impl Directory {
    /// What may be done by whom. What nobody in particular may do, everybody may.
    pub fn compile(version: u64, accounts: Vec<StoredAccount>, issuers: Vec<StoredIssuer>, roles: &[StoredRole]) -> Self {
        let mut for_all = Rights::default();
        let mut rights: HashMap<&str, Rights> = HashMap::new();
        for role in roles {
            match role.subject.as_str() {
                StoredRole::ANONYMOUS => for_all.add(role),
                subject => rights.entry(subject).or_default().add(role),
            }
        }
        let for_all = Arc::new(for_all);
        let member = |account: StoredAccount| {
            let rights = rights.remove(account.name.as_str()).unwrap_or_default();
            let member = Member { account, rights, for_all: for_all.clone(), used_at: AtomicI64::new(0) };
            (member.account.name.clone(), Arc::new(member))
        };
        let members: HashMap<String, Arc<Member>> = accounts.into_iter().map(member).collect();
        let certified = members.values().filter_map(|member| Some((member.account.certificate.clone()?, member.clone())));
        let by_certificate = certified.collect();
        let issuers = issuers.into_iter().map(|issuer| (issuer.name.clone(), Arc::new(Issuer::compile(issuer)))).collect();
        let rights = rights.into_iter().map(|(subject, rights)| (subject.to_owned(), Arc::new(rights))).collect();
        Self { version, members, issuers, rights, by_certificate, for_all }
    }

    /// The number of the last change that is in it.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether there is no account.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// An account.
    pub fn member(&self, name: &str) -> Option<Arc<Member>> {
        self.members.get(name).cloned()
    }

    /// An issuer.
    pub fn issuer(&self, name: &str) -> Option<&Arc<Issuer>> {
        self.issuers.get(name)
    }

    /// Those with this URL; they differ in audiences, perhaps.
    pub fn issuers_at(&self, url: &str) -> Vec<Arc<Issuer>> {
        self.issuers.values().filter(|issuer| issuer.trust().url == url).cloned().collect()
    }

    /// Whether there are roles of a group.
    pub fn has_group(&self, issuer: &str, group: &str) -> bool {
        self.rights.contains_key(&group_subject(issuer, group))
    }

    /// The caller for whom an issuer has spoken; `None` where nothing that it was let in by is there any more.
    pub fn workload(&self, name: String, federated: Federated, ends_at: i64) -> Option<Workload> {
        let issuer = self.issuers.get(&federated.issuer)?;
        let rules = issuer.held_rules(&federated).map(|rule| format!("{}{}/{rule}", Subject::RULE, issuer.name()));
        let groups = issuer.held_groups(&federated).iter().map(|group| group_subject(issuer.name(), group));
        // As at a login: a group without roles is none.
        let groups = groups.filter(|subject| self.rights.contains_key(subject));
        let subjects: Vec<String> = rules.chain(groups).collect();
        if subjects.is_empty() {
            return None;
        }
        let rights = subjects.iter().filter_map(|subject| self.rights.get(subject)).chain([&self.for_all]).cloned().collect();
        Some(Workload { name, federated, rights, ends_at })
    }

    /// The account whose certificate is for this one.
    pub fn certificate(&self, identity: &str) -> Option<Arc<Member>> {
        self.by_certificate.get(identity).cloned()
    }

    /// What may be done by whoever it is.
    pub fn for_all(&self) -> &Rights {
        &self.for_all
    }

    /// Who called since this was last asked, and when.
    pub fn take_used(&self) -> Vec<(String, Timestamp)> {
        let used = |member: &Arc<Member>| {
            let at = member.used_at.swap(0, Ordering::Relaxed);
            let at = (at != 0).then(|| Timestamp::from_microsecond(at).ok()).flatten()?;
            Some((member.account.name.clone(), at))
        };
        self.members.values().filter_map(used).collect()
    }
}

impl Member {
    /// The account.
    pub fn account(&self) -> &StoredAccount {
        &self.account
    }

    /// What it may do: itself, and as everybody may.
    pub fn rights(&self) -> [&Rights; 2] {
        [&self.rights, &self.for_all]
    }

    /// Whether it may call at all.
    pub fn may_call(&self, now: Timestamp) -> bool {
        !self.account.is_disabled && self.account.expires_at.is_none_or(|end| now < end)
    }

    /// Notes that it called.
    pub fn note_use(&self, now: Timestamp) {
        self.used_at.store(now.as_microsecond(), Ordering::Relaxed);
    }
}

fn group_subject(issuer: &str, group: &str) -> String {
    format!("{}{issuer}/{group}", Subject::GROUP)
}
