use std::collections::BTreeMap;

use jiff::Timestamp;
use longshore_oci::Route;
use reqwest::header::{IF_MATCH, IF_NONE_MATCH};
use reqwest::{Method, RequestBuilder};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{ClientError, Pages, RegistryClient, Secret};

/// Somebody whose tokens a registry takes as logins: an OIDC issuer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Issuer {
    /// What roles name it by.
    pub name: String,
    /// Which of its tokens are taken, and for whom.
    #[serde(flatten)]
    pub trust: IssuerTrust,
    /// The number of its last change.
    pub revision: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub changed_at: Timestamp,
}

/// Which tokens of an issuer are taken, and for whom.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuerTrust {
    /// Its URL, to the letter what its tokens say in `iss`.
    pub url: String,
    /// Whom its tokens are to be for: one of these.
    pub audiences: Vec<String>,
    /// Where its keys are; where there is none its discovery document says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// Its keys themselves, a JSON Web Key Set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// Who vouches for its server in place of the machine's authorities, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificates: Option<String>,
    /// The claim that has a caller's groups; the registry's default where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_claim: Option<String>,
    /// How long a login lasts that is renewed without another token; the registry's default where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_seconds: Option<u64>,
    /// What its callers are told apart by.
    #[serde(default)]
    pub rules: Vec<ClaimRule>,
}

/// Callers of an issuer: those whose claims are such.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ClaimRule {
    /// What roles name it by.
    pub name: String,
    /// A pattern for each claim; `*` stands for any characters or none. All of them must fit.
    pub claims: BTreeMap<String, String>,
}

/// Who somebody with a token is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckedToken {
    /// What messages and logs call the caller: `github:repo:acme/app:ref:refs/heads/main`.
    pub subject: String,
    /// The rules that fit.
    pub rules: Vec<String>,
    /// The groups that it is in.
    pub groups: Vec<String>,
    /// When the token ends.
    pub expires_at: Timestamp,
}

impl IssuerTrust {
    /// An issuer of which the registry finds out the keys by itself, with no rules yet.
    pub fn discovered(url: impl Into<String>, audiences: Vec<String>) -> Self {
        Self {
            url: url.into(),
            audiences,
            jwks_url: None,
            jwks: None,
            ca_certificates: None,
            groups_claim: None,
            session_seconds: None,
            rules: Vec::new(),
        }
    }

    /// The rule of a name.
    pub fn rule(&self, name: &str) -> Option<&ClaimRule> {
        self.rules.iter().find(|rule| rule.name == name)
    }
}

impl RegistryClient {
    /// Every issuer by name, `page_size` at a time where the registry allows as many.
    pub fn issuers(&self, page_size: u32) -> Pages<'_, Issuer> {
        let mut url = self.url(&Route::Issuers);
        url.query_pairs_mut().append_pair("n", &page_size.to_string());
        Pages::new(self, url)
    }

    /// One issuer by name.
    pub async fn issuer(&self, name: &str) -> Result<Issuer, ClientError> {
        let response = self.send(self.request(Method::GET, self.url(&Route::Issuer(name.to_owned())))).await?;
        self.read_json(response).await
    }

    /// Trusts an issuer. One of that name that is there already stays as it is, and is a refusal with status 412.
    pub async fn create_issuer(&self, name: &str, trust: &IssuerTrust) -> Result<Issuer, ClientError> {
        let response = self.send(self.put_issuer(name, trust, None)).await?;
        self.read_json(response).await
    }

    /// Puts this in place of a revision of an issuer. Where that is not the newest any more nothing changes, and the refusal has
    /// status 412.
    pub async fn replace_issuer(&self, name: &str, revision: u64, trust: &IssuerTrust) -> Result<Issuer, ClientError> {
        let response = self.send(self.put_issuer(name, trust, Some(revision))).await?;
        self.read_json(response).await
    }

    /// Trusts an issuer no more; all that its callers may do goes with it.
    pub async fn delete_issuer(&self, name: &str) -> Result<(), ClientError> {
        self.send(self.request(Method::DELETE, self.url(&Route::Issuer(name.to_owned())))).await.map(drop)
    }

    /// Who somebody with this token would be; a token that is not taken is a refusal with status 422 that says why.
    pub async fn check_issuer(&self, name: &str, token: &Secret) -> Result<CheckedToken, ClientError> {
        let url = self.url(&Route::IssuerCheck(name.to_owned()));
        let response = self.send(self.request(Method::POST, url).json(&json!({ "token": token }))).await?;
        self.read_json(response).await
    }

    /// `revision` is what is replaced; none where nothing is to be there.
    fn put_issuer(&self, name: &str, trust: &IssuerTrust, revision: Option<u64>) -> RequestBuilder {
        let request = self.request(Method::PUT, self.url(&Route::Issuer(name.to_owned()))).json(trust);
        match revision {
            Some(revision) => request.header(IF_MATCH, format!("\"{revision}\"")),
            None => request.header(IF_NONE_MATCH, "*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientOptions, RegistryUrl};

    fn issuer() -> Value {
        json!({
            "name": "github",
            "url": "https://token.actions.githubusercontent.com",
            "audiences": ["registry.example"],
            "groupsClaim": "groups",
            "sessionSeconds": 3600,
            "rules": [{"name": "release", "claims": {"ref": "refs/heads/*", "repository": "acme/app"}}],
            "revision": 17,
            "createdAt": "2026-06-01T12:00:00Z",
            "changedAt": "2026-06-02T12:00:00Z",
        })
    }

    #[test]
    fn is_read_and_written_as_the_registry_has_it() {
        let read: Issuer = serde_json::from_value(issuer()).expect("an issuer");
        assert_eq!((read.revision, read.trust.session_seconds, read.trust.jwks_url.as_deref()), (17, Some(3600), None));
        assert_eq!(read.trust.rule("release").map(|rule| rule.claims["ref"].as_str()), Some("refs/heads/*"));
        assert_eq!(read.trust.rule("other"), None);
        assert_eq!(serde_json::to_value(&read).expect("JSON"), issuer());
        // What is put has no members that are the registry's own.
        let mut put = issuer();
        let members = put.as_object_mut().expect("an object");
        members.retain(|name, _| !["name", "revision", "createdAt", "changedAt"].contains(&name.as_str()));
        assert_eq!(serde_json::to_value(&read.trust).expect("JSON"), put);
    }

    #[test]
    fn leaves_to_the_registry_what_it_does_not_say() {
        let trust = IssuerTrust::discovered("https://a.example", vec!["r".to_owned()]);
        let expected = json!({"url": "https://a.example", "audiences": ["r"], "rules": []});
        assert_eq!(serde_json::to_value(trust).expect("JSON"), expected);
    }

    #[test]
    fn is_put_only_where_what_was_seen_is() {
        let registry = RegistryUrl::parse("http://127.0.0.1:5000", false).expect("a URL");
        let client = RegistryClient::new(ClientOptions::new(registry)).expect("plain HTTP needs no set-up");
        let trust = IssuerTrust::discovered("https://a.example", Vec::new());
        let condition = |revision| {
            let request = client.put_issuer("git hub", &trust, revision).build().expect("a request");
            assert_eq!((request.method(), request.url().path()), (&Method::PUT, "/v2/_longshore/issuers/git%20hub"));
            let header = |name| request.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
            (header(IF_MATCH), header(IF_NONE_MATCH))
        };
        assert_eq!(condition(Some(17)), (Some("\"17\"".to_owned()), None));
        assert_eq!(condition(None), (None, Some("*".to_owned())));
    }

    #[test]
    fn says_who_somebody_is() {
        let body = json!({
            "subject": "github:repo:acme/app:ref:refs/heads/main", "rules": ["release"], "groups": [],
            "expiresAt": "2026-06-01T12:00:00Z",
        });
        let checked: CheckedToken = serde_json::from_value(body.clone()).expect("an answer");
        assert_eq!(checked.rules, ["release"]);
        assert_eq!(serde_json::to_value(checked).expect("JSON"), body);
    }
}
