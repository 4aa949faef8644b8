use jiff::Timestamp;
use longshore_oci::Route;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::{ClientError, Grant, Pages, RegistryClient, Secret};

/// Who may call a registry: a person or a program.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Its name, which no other account has.
    pub name: String,
    /// Whose it is.
    pub kind: AccountKind,
    /// Whether it is kept out, with all it may do left as it is.
    pub is_disabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whom the certificate is for that it may show in place of its secret; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// When it ends; absent where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it last called; absent where it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
}

/// Whose an account is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountKind {
    /// A person's, with a password.
    Person,
    /// A program's, with a secret that the registry makes.
    Robot,
}

/// An account to be made.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewAccount {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub kind: AccountKind,
    /// A person's password; the registry makes one where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Whom the certificate is for that it may show in place of a secret: `uri:spiffe://example.org/ci`, `dns:node1.example.org`,
    /// `email:`, `ip:`, or `cn:` for one without any of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Whether a robot is to have nothing but its certificate.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_secret: bool,
    /// When it ends, if ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// What it may do from the start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Grant>,
}

/// What is to be different about an account; what is `None` stays as it is.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountChange {
    /// A person's new password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Whether the registry makes a new secret, after which the old one is worth nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub renew_secret: bool,
    /// Whether it is kept out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_disabled: Option<bool>,
    /// Whom its certificate is for; `Some(None)` is nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Option<String>>,
    /// When it ends; `Some(None)` is never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Option<Timestamp>>,
}

/// An account, with the secret that the registry made for it and tells this once.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct IssuedAccount {
    /// The account.
    pub account: Account,
    /// The secret, where one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
}

impl RegistryClient {
    /// Every account by name, `page_size` at a time where the registry allows as many.
    pub fn accounts(&self, page_size: u32) -> Pages<'_, Account> {
        let mut url = self.url(&Route::Accounts);
        url.query_pairs_mut().append_pair("n", &page_size.to_string());
        Pages::new(self, url)
    }

    /// One account by name.
    pub async fn account(&self, name: &str) -> Result<Account, ClientError> {
        let response = self.send(self.request(Method::GET, self.url(&Route::Account(name.to_owned())))).await?;
        let answer: IssuedAccount = self.read_json(response).await?;
        Ok(answer.account)
    }

    /// Makes an account, with what it may do.
    pub async fn create_account(&self, account: &NewAccount) -> Result<IssuedAccount, ClientError> {
        let response = self.send(self.request(Method::POST, self.url(&Route::Accounts)).json(account)).await?;
        self.read_json(response).await
    }

    /// Changes an account.
    pub async fn change_account(&self, name: &str, change: &AccountChange) -> Result<IssuedAccount, ClientError> {
        let url = self.url(&Route::Account(name.to_owned()));
        let response = self.send(self.request(Method::PATCH, url).json(change)).await?;
        self.read_json(response).await
    }

    /// Deletes an account, with all that it may do.
    pub async fn delete_account(&self, name: &str) -> Result<(), ClientError> {
        self.send(self.request(Method::DELETE, self.url(&Route::Account(name.to_owned())))).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Action;

    #[test]
    fn asks_only_for_what_is_to_change() {
        let change = |change: AccountChange| serde_json::to_value(change).expect("JSON");
        assert_eq!(change(AccountChange::default()), json!({}));
        let new = AccountChange { is_disabled: Some(false), renew_secret: true, ..AccountChange::default() };
        assert_eq!(change(new), json!({"isDisabled": false, "renewSecret": true}));
        let endless = AccountChange { expires_at: Some(None), ..AccountChange::default() };
        assert_eq!(change(endless), json!({"expiresAt": null}));
        let certified = AccountChange { certificate: Some(Some("dns:node1".to_owned())), ..AccountChange::default() };
        assert_eq!(change(certified), json!({"certificate": "dns:node1"}));
        let uncertified = AccountChange { certificate: Some(None), ..AccountChange::default() };
        assert_eq!(change(uncertified), json!({"certificate": null}));
    }

    #[test]
    fn writes_a_new_account_and_shows_no_secret() {
        let account = NewAccount {
            name: "ci".to_owned(),
            kind: AccountKind::Robot,
            password: Some(Secret::new("hush")),
            certificate: Some("dns:node1".to_owned()),
            without_secret: true,
            expires_at: Some("2026-06-01T12:00:00Z".parse().expect("a time")),
            roles: vec![Grant::Repositories { actions: vec![Action::Push], repositories: "prod/*".to_owned() }],
        };
        let expected = json!({
            "name": "ci", "kind": "robot", "password": "hush", "certificate": "dns:node1", "withoutSecret": true, "expiresAt": "2026-06-01T12:00:00Z",
            "roles": [{"actions": ["push"], "repositories": "prod/*"}],
        });
        assert_eq!(serde_json::to_value(&account).expect("JSON"), expected);
        assert!(!format!("{account:?}").contains("hush"));
    }

    #[test]
    fn reads_what_the_registry_says() {
        let body = json!({
            "account": {"name": "ci", "kind": "robot", "isDisabled": false, "createdAt": "2026-06-01T12:00:00Z"},
            "secret": "lsr_x",
        });
        let issued: IssuedAccount = serde_json::from_value(body.clone()).expect("an account");
        assert_eq!((issued.account.kind, issued.account.expires_at), (AccountKind::Robot, None));
        assert_eq!(serde_json::to_value(&issued).expect("JSON"), body);
    }
}
