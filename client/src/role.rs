use std::fmt;

use jiff::Timestamp;
use longshore_oci::{NamespaceRight, Route};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::{ClientError, Pages, RegistryClient};

/// What can be done to a repository. Each but `Pull` holds `Pull`, and `Admin` holds all.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Reads.
    Pull,
    /// Writes.
    Push,
    /// Deletes.
    Delete,
    /// Adds signatures, attestations and other manifests about one that is there.
    Sign,
    /// Everything; on all repositories, the accounts and roles too.
    Admin,
}

/// What may be done where.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Grant {
    /// Actions on the repositories of a pattern.
    Repositories {
        /// The actions.
        actions: Vec<Action>,
        /// A repository's name, `team/*`, `team/**`, or `**` for all.
        repositories: String,
    },
    /// Rights on the fleet's namespaces of a pattern.
    Namespaces {
        /// The rights.
        actions: Vec<NamespaceRight>,
        /// A namespace's name, `team-*`, or `*` for all.
        namespaces: String,
    },
}

/// A grant to be made.
#[derive(Clone, Debug, Serialize)]
pub struct NewRole {
    /// An account's name, `anonymous`, or of an issuer's callers `rule:<issuer>/<rule>` or `group:<issuer>/<group>`.
    pub subject: String,
    /// What it may do.
    #[serde(flatten)]
    pub grant: Grant,
}

/// A grant that holds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    /// What it is revoked by.
    pub id: String,
    /// An account's name, `anonymous`, or of an issuer's callers `rule:<issuer>/<rule>` or `group:<issuer>/<group>`.
    pub subject: String,
    /// What it may do.
    #[serde(flatten)]
    pub grant: Grant,
    /// When it was granted.
    pub created_at: Timestamp,
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::Sign => "sign",
            Self::Admin => "admin",
        })
    }
}

impl fmt::Display for Grant {
    /// `pull, push on prod/*`, `deploy in namespace team`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let actions = self.actions().join(", ");
        match self {
            Self::Repositories { repositories, .. } => write!(formatter, "{actions} on {repositories}"),
            Self::Namespaces { namespaces, .. } if namespaces == "*" => write!(formatter, "{actions} in all namespaces"),
            Self::Namespaces { namespaces, .. } => write!(formatter, "{actions} in namespace {namespaces}"),
        }
    }
}

impl Grant {
    /// What may be done, in the registry's words.
    pub fn actions(&self) -> Vec<String> {
        match self {
            Self::Repositories { actions, .. } => actions.iter().map(ToString::to_string).collect(),
            Self::Namespaces { actions, .. } => actions.iter().map(ToString::to_string).collect(),
        }
    }

    /// Whether whoever has this has the other by the same pattern.
    pub fn holds(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Repositories { actions, repositories }, Self::Repositories { actions: others, repositories: pattern }) => {
                repositories == pattern && others.iter().all(|action| actions.contains(action))
            }
            (Self::Namespaces { actions, namespaces }, Self::Namespaces { actions: others, namespaces: pattern }) => {
                namespaces == pattern && others.iter().all(|right| actions.contains(right))
            }
            _ => false,
        }
    }
}

impl RegistryClient {
    /// Every role by id, or one subject's, `page_size` at a time where the registry allows as many.
    pub fn roles(&self, subject: Option<&str>, page_size: u32) -> Pages<'_, Role> {
        let mut url = self.url(&Route::Roles);
        url.query_pairs_mut().append_pair("n", &page_size.to_string());
        if let Some(subject) = subject {
            url.query_pairs_mut().append_pair("subject", subject);
        }
        Pages::new(self, url)
    }

    /// Lets a subject do something.
    pub async fn grant_role(&self, role: &NewRole) -> Result<Role, ClientError> {
        let response = self.send(self.request(Method::POST, self.url(&Route::Roles)).json(role)).await?;
        self.read_json(response).await
    }

    /// Takes a role back.
    pub async fn revoke_role(&self, id: &str) -> Result<(), ClientError> {
        self.send(self.request(Method::DELETE, self.url(&Route::Role(id.to_owned())))).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn is_written_as_the_registry_has_it() {
        let grant = Grant::Repositories { actions: vec![Action::Pull, Action::Push], repositories: "prod/*".to_owned() };
        assert_eq!(grant.to_string(), "pull, push on prod/*");
        let new = NewRole { subject: "ci".to_owned(), grant: grant.clone() };
        let expected = json!({"subject": "ci", "actions": ["pull", "push"], "repositories": "prod/*"});
        assert_eq!(serde_json::to_value(new).expect("JSON"), expected);
        let body = json!({
            "id": "role_1", "subject": "ci", "actions": ["pull", "push"], "repositories": "prod/*",
            "createdAt": "2026-06-01T12:00:00Z",
        });
        let role: Role = serde_json::from_value(body.clone()).expect("a role");
        assert_eq!((role.id.as_str(), &role.grant), ("role_1", &grant));
        assert_eq!(serde_json::to_value(role).expect("JSON"), body);
    }

    #[test]
    fn namespaces_are_told_from_repositories() {
        let grant =
            Grant::Namespaces { actions: vec![NamespaceRight::View, NamespaceRight::Deploy], namespaces: "team-*".to_owned() };
        assert_eq!(grant.to_string(), "view, deploy in namespace team-*");
        let body = json!({
            "id": "role_1", "subject": "ci", "actions": ["view", "deploy"], "namespaces": "team-*",
            "createdAt": "2026-06-01T12:00:00Z",
        });
        let role: Role = serde_json::from_value(body.clone()).expect("a role");
        assert_eq!(role.grant, grant);
        assert_eq!(serde_json::to_value(role).expect("JSON"), body);
    }

    #[test]
    fn a_grant_holds_what_is_no_more_than_it() {
        let push = |actions: &[Action], pattern: &str| Grant::Repositories {
            actions: actions.to_vec(),
            repositories: pattern.to_owned(),
        };
        let deploy = |actions: &[NamespaceRight], pattern: &str| Grant::Namespaces {
            actions: actions.to_vec(),
            namespaces: pattern.to_owned(),
        };
        let there = push(&[Action::Pull, Action::Push], "team/*");
        assert!(there.holds(&push(&[Action::Push], "team/*")));
        assert!(!there.holds(&push(&[Action::Push, Action::Delete], "team/*")));
        assert!(!there.holds(&push(&[Action::Push], "team/app")));
        let there = deploy(&[NamespaceRight::View, NamespaceRight::Deploy], "*");
        assert!(there.holds(&deploy(&[NamespaceRight::Deploy], "*")));
        assert!(!there.holds(&deploy(&[NamespaceRight::Deploy], "team")) && !there.holds(&push(&[], "*")));
    }
}
