use longshore_oci::{Digest, Reference, RepositoryName, Route};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::{ClientError, RegistryClient};

/// Whether an image may be pulled, what each policy asks, and what shows it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PullVerdict {
    /// Where.
    pub repository: String,
    /// Its digest.
    pub digest: Digest,
    /// Who would pull.
    pub subject: String,
    /// Whether they may.
    pub may_pull: bool,
    /// Why, or why not.
    pub because: String,
    /// What each policy that asks something came to.
    pub policies: Vec<PolicyVerdict>,
}

/// What a policy came to.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyVerdict {
    /// What it is called.
    pub name: String,
    /// `enforce` or `warn`.
    pub mode: String,
    /// `all` of what it asks, or `any`.
    #[serde(rename = "match")]
    pub matching: String,
    /// Whether it is satisfied.
    pub is_satisfied: bool,
    /// The index that satisfies it, where the image itself does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Digest>,
    /// What it asks.
    pub requirements: Vec<RequirementVerdict>,
}

/// What came of a requirement.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequirementVerdict {
    /// What is asked.
    pub needs: String,
    /// Whether something shows it.
    pub is_satisfied: bool,
    /// The manifest that does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Digest>,
    /// Why nothing does, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl RegistryClient {
    /// What the registry's policies say to a pull by whoever asks, or by another account, which an administrator may ask for.
    pub async fn pull_verdict(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        subject: Option<&str>,
    ) -> Result<PullVerdict, ClientError> {
        let mut url = self.url(&Route::Verdict(repository.clone(), reference.clone()));
        if let Some(subject) = subject {
            url.query_pairs_mut().append_pair("as", subject);
        }
        let response = self.send(self.request(Method::GET, url)).await?;
        self.read_json(response).await
    }
}
