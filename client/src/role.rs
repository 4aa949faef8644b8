use std::fmt;

use jiff::Timestamp;
use longshore_oci::Route;
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

/// Actions on the repositories of a pattern.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Grant {
    /// The actions.
    pub actions: Vec<Action>,
    /// A repository's name, `team/*`, `team/**`, or `**` for all.
    pub repositories: String,
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
    /// `pull, push on prod/*`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let actions: Vec<String> = self.actions.iter().map(ToString::to_string).collect();
        write!(formatter, "{} on {}", actions.join(", "), self.repositories)
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
        let grant = Grant { actions: vec![Action::Pull, Action::Push], repositories: "prod/*".to_owned() };
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
}
