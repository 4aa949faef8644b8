use jiff::Timestamp;
use longshore_oci::{AuditHead, AuditLine, Route};
use reqwest::Method;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{ClientError, Pages, RegistryClient};

/// Which lines of the audit log are asked for; what is `None` leaves all.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Only lines after this number.
    pub after: Option<u64>,
    /// Only of what happened from then on.
    pub since: Option<Timestamp>,
    /// Only of what happened before.
    pub until: Option<Timestamp>,
    /// Only of this account, of `anonymous`, or of `(registry)`.
    pub actor: Option<String>,
    /// Only of this action, `login.failed`, or of those that begin with it and a dot, `login`.
    pub action: Option<String>,
}

/// What a line of the audit log says.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Its number: each line has the next.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// An account, `anonymous`, or `(registry)`.
    pub actor: String,
    /// From where.
    #[serde(default)]
    pub address: Option<String>,
    /// What: `tag.set`, `login.failed`.
    pub action: String,
    /// Where.
    #[serde(default)]
    pub repository: Option<String>,
    /// On what.
    #[serde(default)]
    pub digest: Option<String>,
    /// At which tag.
    #[serde(default)]
    pub tag: Option<String>,
    /// `done`, `refused` or `failed`.
    pub result: String,
    /// In which request.
    #[serde(default)]
    pub request_id: Option<String>,
    /// What else there is to say.
    #[serde(default)]
    pub detail: Value,
}

impl RegistryClient {
    /// Lines of the audit log, the oldest first, `page_size` at a time where the registry allows as many.
    pub fn audit(&self, filter: &AuditFilter, page_size: u32) -> Pages<'_, AuditLine> {
        let AuditFilter { after, since, until, actor, action } = filter;
        let mut url = self.url(&Route::Audit);
        url.query_pairs_mut().append_pair("n", &page_size.to_string());
        let (since, until) = (since.map(|time| time.to_string()), until.map(|time| time.to_string()));
        let after = after.map(|seq| seq.to_string());
        let members = [("last", &after), ("since", &since), ("until", &until), ("actor", actor), ("action", action)];
        for (name, value) in members {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        Pages::new(self, url)
    }

    /// Where the audit log begins and ends, as the registry signs it.
    pub async fn audit_head(&self) -> Result<AuditHead, ClientError> {
        let response = self.send(self.request(Method::GET, self.url(&Route::AuditHead))).await?;
        self.read_json(response).await
    }

    /// The public keys that the registry signs by, a JSON Web Key Set, in a type of the caller's.
    pub async fn keys<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        let response = self.send(self.request(Method::GET, self.url(&Route::Keys))).await?;
        self.read_json(response).await
    }
}
