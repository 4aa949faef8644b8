use jiff::Timestamp;
use longshore_oci::{Digest, Route};
use reqwest::header::{CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use reqwest::{Method, RequestBuilder};
use serde::{Deserialize, Serialize};

use crate::{ClientError, Pages, RegistryClient};

/// What a policy document is sent as.
const TOML: &str = "application/toml";

/// A policy document that was applied.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppliedPolicy {
    /// What it is applied, shown and removed by.
    pub name: String,
    /// Another one each time that it is applied.
    pub revision: u64,
    /// When that was last.
    pub applied_at: Timestamp,
    /// The account that did, where somebody was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_by: Option<String>,
    /// The policies in it.
    pub policies: Vec<PolicySummary>,
    /// Why the registry can't read it, and lets nothing in or out where it may be about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Its text, where it was asked for alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
}

/// A policy of a document.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PolicySummary {
    /// What refusals call it.
    pub name: String,
    /// `enforce`, `warn` or `off`.
    pub mode: String,
    /// Patterns of the repositories that it covers.
    pub repositories: Vec<String>,
}

/// What the document that is to be replaced was when it was looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seen {
    /// It was not there.
    Nothing,
    /// It was at this revision.
    Revision(u64),
}

/// What a document is tried out in place of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TestedPlace {
    /// The applied document of this name, if there is one.
    Applied(String),
    /// The file that the registry is configured with.
    File,
}

/// What images a document is tried out on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TestSubjects {
    /// These, each as `repository:tag` or `repository@digest`; all that are tagged where there is none.
    pub images: Vec<String>,
    /// What the page before called next.
    pub after: Option<String>,
    /// Whether only those come back to which something else happens than now.
    pub only_changes: bool,
}

/// What a document would come to, for some images.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PolicyTest {
    /// How many were judged.
    pub judged: u64,
    /// They, or those of them that are told of.
    pub images: Vec<TestedImage>,
    /// Where the next page begins, where these were not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What a document would come to for an image.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TestedImage {
    /// `repository:tag`, or `repository@digest`.
    pub reference: String,
    /// Its digest.
    pub digest: Digest,
    /// What it is to pulls.
    pub now: Standing,
    /// What it would be.
    pub then: Standing,
    /// What would be wrong with it.
    pub reasons: Vec<TestReason>,
}

/// What a policy would say to an image.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TestReason {
    /// The policy.
    pub policy: String,
    /// What it needs, and what was found.
    pub reason: String,
}

/// What an image is to whoever may pull, and neither signs nor administers.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It can be pulled.
    Allowed,
    /// It can, with a warning.
    Warned,
    /// It can't.
    Denied,
}

impl TestedImage {
    /// Whether it could be pulled no more.
    pub fn is_newly_blocked(&self) -> bool {
        self.now != Standing::Denied && self.then == Standing::Denied
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Allowed => "allowed",
            Self::Warned => "warned",
            Self::Denied => "denied",
        })
    }
}

impl Seen {
    /// Has a request done only where it is so still.
    fn condition(self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Nothing => request.header(IF_NONE_MATCH, "*"),
            Self::Revision(revision) => request.header(IF_MATCH, format!("\"{revision}\"")),
        }
    }
}

impl RegistryClient {
    /// Every applied document by name, without its text, `page_size` at a time where the registry allows as many.
    pub fn policies(&self, page_size: u32) -> Pages<'_, AppliedPolicy> {
        let mut url = self.url(&Route::Policies);
        url.query_pairs_mut().append_pair("n", &page_size.to_string());
        Pages::new(self, url)
    }

    /// One applied document, with its text.
    pub async fn policy(&self, name: &str) -> Result<AppliedPolicy, ClientError> {
        let response = self.send(self.request(Method::GET, self.url(&Route::Policy(name.to_owned())))).await?;
        self.read_json(response).await
    }

    /// Applies a document, where what it takes the place of is what was seen; 412 where it is not.
    pub async fn apply_policy(&self, name: &str, document: &str, seen: Seen) -> Result<AppliedPolicy, ClientError> {
        let request = self.request(Method::PUT, self.url(&Route::Policy(name.to_owned()))).header(CONTENT_TYPE, TOML);
        let response = self.send(seen.condition(request).body(document.to_owned())).await?;
        self.read_json(response).await
    }

    /// Removes a document.
    pub async fn remove_policy(&self, name: &str) -> Result<(), ClientError> {
        self.send(self.request(Method::DELETE, self.url(&Route::Policy(name.to_owned())))).await.map(drop)
    }

    /// Tries a document out; nothing is changed.
    pub async fn test_policy(
        &self,
        document: &str,
        place: &TestedPlace,
        subjects: &TestSubjects,
    ) -> Result<PolicyTest, ClientError> {
        let mut url = self.url(&Route::PolicyTest);
        let mut query = url.query_pairs_mut();
        match place {
            TestedPlace::Applied(name) => query.append_pair("name", name),
            TestedPlace::File => query.append_pair("inPlaceOfFile", "true"),
        };
        query.append_pair("changes", if subjects.only_changes { "true" } else { "false" });
        query.extend_pairs(subjects.images.iter().map(|image| ("image", image)));
        query.extend_pairs(subjects.after.iter().map(|after| ("after", after)));
        drop(query);
        let request = self.request(Method::POST, url).header(CONTENT_TYPE, TOML);
        let response = self.send(request.body(document.to_owned())).await?;
        self.read_json(response).await
    }
}
