//! `/v2/_longshore/issuers`: whose word is taken on who calls.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::body::Body;
use http::{Method, Response, StatusCode};
use jiff::Timestamp;
use longshore_service::{
    fetch::{are_certificates, is_secure},
    signing::IssuerKeys,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Call, Incoming, Outcome, accounts::access, body, body::Object, condition, page, page::Page, reply, token::no_store};
use crate::{
    access::{AuthenticationError, check_name, now},
    error::Error,
    registry::Registry,
    state::{ClaimRule, Deletion, IssuerTrust, Put, PutIssuer, StoredIssuer},
};

/// The longest text of an issuer's, in bytes.
const MOST_BYTES: usize = 1024;
/// The most audiences, and the most claims of a rule.
const MOST_OF_EACH: usize = 32;
/// The members of a JSON Web Key that only its owner knows (RFC 7518).
const PRIVATE: [&str; 8] = ["d", "k", "p", "q", "dp", "dq", "qi", "oth"];
/// The most rules.
const MOST_RULES: usize = 100;
/// The least that somebody is known by one token, in seconds: the shortest time that clients take.
const LEAST_SESSION: u64 = 60;
/// What begins subjects of other kinds; an issuer of this name would have callers named like them.
const TAKEN: [&str; 2] = ["rule", "group"];

/// An issuer as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    name: &'a str,
    #[serde(flatten)]
    trust: &'a IssuerTrust,
    revision: u64,
    created_at: Timestamp,
    changed_at: Timestamp,
}

impl<'a> From<&'a StoredIssuer> for Shown<'a> {
    fn from(issuer: &'a StoredIssuer) -> Self {
        let StoredIssuer { name, trust, revision, created_at, changed_at, .. } = issuer;
        Self { name, trust, revision: *revision, created_at: *created_at, changed_at: *changed_at }
    }
}

/// A token to be looked at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Examined {
    token: String,
}

/// Whom a token speaks of.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Recognised<'a> {
    subject: &'a str,
    rules: Vec<&'a str>,
    groups: &'a [String],
    expires_at: Timestamp,
}

/// `GET`: all of them.
pub async fn list<B>(registry: &Registry, call: &Call<B>) -> Outcome {
    access(registry)?;
    let page = Page::of(registry, call.query())?;
    let mut issuers = registry.state.issuers(&page.after, page.probe()).await?;
    let has_more = page.cut(&mut issuers);
    let shown: Vec<Shown<'_>> = issuers.iter().map(Shown::from).collect();
    let mut response = reply::json(&json!({ "issuers": shown }));
    if let (true, Some(last)) = (has_more, issuers.last()) {
        page::link(&mut response, "/v2/_longshore/issuers", "", page.length, &last.name);
    }
    Ok(response)
}

/// `GET`, `PUT` and `DELETE` of one.
pub async fn one<B: Incoming>(registry: &Arc<Registry>, name: String, mut call: Call<B>) -> Outcome {
    let access = access(registry)?;
    match call.parts.method {
        Method::PUT => {
            let body = body::read_short(registry, &mut call).await?;
            let trust = parse(&body)?;
            check(&name, &trust, access.settings().max_session)?;
            let most = access.settings().max_issuers;
            let put = PutIssuer { name: name.clone(), trust, at: now(), expected: condition::expected(&call)?, most };
            let (status, issuer) = match registry.state.put_issuer(put).await? {
                Put::Made(issuer) => (StatusCode::CREATED, issuer),
                Put::Replaced(issuer) => (StatusCode::OK, issuer),
                Put::Unexpected => return Err(Error::IssuerChanged(name)),
                Put::TooMany => return Err(Error::IssuerInvalid(format!("there may be {most} issuers (auth.max_issuers)"))),
            };
            access.changed().await;
            let mut response = told(&issuer);
            *response.status_mut() = status;
            Ok(response)
        }
        Method::DELETE => {
            match registry.state.delete_issuer(&name, condition::expected(&call)?).await? {
                Deletion::Done => {}
                Deletion::Unexpected => return Err(Error::IssuerChanged(name)),
                Deletion::Absent => return Err(Error::IssuerUnknown(name)),
            }
            access.changed().await;
            Ok(reply::status(StatusCode::NO_CONTENT))
        }
        _ => Ok(told(&registry.state.issuer(&name).await?.ok_or(Error::IssuerUnknown(name))?)),
    }
}

/// `POST …/check`: whom a token of it speaks of, or why it is not taken.
pub async fn examine<B: Incoming>(registry: &Registry, name: String, mut call: Call<B>) -> Outcome {
    let access = access(registry)?;
    let body = body::read_short(registry, &mut call).await?;
    let Object(Examined { token }) =
        serde_json::from_slice(&body).map_err(|error| Error::TokenRequest(format!("the body can't be read: {error}")))?;
    let identity = access.examine(&name, token.trim()).await.ok_or(Error::IssuerUnknown(name))?;
    let identity = identity.map_err(|error| {
        Error::TokenRefused(match error {
            AuthenticationError::Unchecked(reason) => format!("the token can't be checked: {reason}"),
            error => error.to_string(),
        })
    })?;
    let mut response = reply::json(&Recognised {
        subject: &identity.name,
        rules: identity.federated.rules.keys().map(String::as_str).collect(),
        groups: &identity.federated.groups,
        expires_at: Timestamp::from_second(identity.expires_at).unwrap_or(Timestamp::MAX),
    });
    no_store(&mut response);
    Ok(response)
}

fn told(issuer: &StoredIssuer) -> Response<Body> {
    reply::json_at(issuer.revision, &Shown::from(issuer))
}

/// An issuer as it is sent.
fn parse(body: &[u8]) -> Result<IssuerTrust, Error> {
    let unreadable = |reason: &dyn std::fmt::Display| Error::IssuerInvalid(format!("the body can't be read: {reason}"));
    let Object(trust) = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    // What is derived takes an array of a rule's values too.
    let sent: Value = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let are_objects = sent["rules"].as_array().is_none_or(|rules| rules.iter().all(Value::is_object));
    if are_objects { Ok(trust) } else { Err(unreadable(&"a rule is an object")) }
}

/// Whether an issuer can be so; all that is wrong with it where it can't.
fn check(name: &str, trust: &IssuerTrust, max_session: Duration) -> Result<(), Error> {
    let mut problems = Vec::new();
    let mut require = |is_so: bool, problem: &dyn Fn() -> String| {
        if !is_so {
            problems.push(problem());
        }
    };
    let is_text = |text: &str| (1..=MOST_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
    require(check_name(name).is_ok(), &|| format!("the name: {}", check_name(name).err().unwrap_or_default()));
    require(!TAKEN.contains(&name), &|| format!("the name: {name} is what roles call something else"));
    let is_url = |url: &str| is_text(url) && is_secure(url) && !url.contains(['#', '@']);
    require(is_url(&trust.url) && !trust.url.contains('?'), &|| {
        format!(
            "url {:?}: it must be https, or http on this machine's loopback, without a query, a fragment or a name",
            trust.url
        )
    });
    let are_audiences = (1..=MOST_OF_EACH).contains(&trust.audiences.len()) && trust.audiences.iter().all(|text| is_text(text));
    require(are_audiences, &|| format!("audiences: there must be from 1 to {MOST_OF_EACH}, of 1 to {MOST_BYTES} bytes each"));
    if let Some(url) = &trust.jwks_url {
        require(is_url(url), &|| format!("jwksUrl {url:?}: it must be https, or http on this machine's loopback"));
        require(trust.jwks.is_none(), &|| "it is either jwks or jwksUrl".to_owned());
    }
    if let Some(set) = &trust.jwks {
        let is_private = |key: &Value| PRIVATE.iter().any(|member| key.get(member).is_some());
        let has_private = set["keys"].as_array().is_some_and(|keys| keys.iter().any(is_private));
        require(!has_private, &|| "jwks: it holds a private key, which is for nobody to see".to_owned());
        let keys = IssuerKeys::read(set.to_string().as_bytes());
        require(keys.is_ok_and(|keys| !keys.is_empty()), &|| {
            "jwks: it has no key that signatures can be checked with".to_owned()
        });
    }
    if let Some(pem) = &trust.ca_certificates {
        require(are_certificates(pem), &|| "caCertificates: there must be certificates in PEM".to_owned());
    }
    require(is_text(&trust.groups_claim), &|| format!("groupsClaim: it must have 1 to {MOST_BYTES} bytes"));
    require((LEAST_SESSION..=max_session.as_secs()).contains(&trust.session_seconds.into()), &|| {
        format!("sessionSeconds: it must be from {LEAST_SESSION} to {} (a day, or keys.overlap)", max_session.as_secs())
    });
    require(trust.rules.len() <= MOST_RULES, &|| format!("rules: there may be {MOST_RULES}"));
    let mut names = BTreeSet::new();
    for rule in trust.rules.iter().take(MOST_RULES) {
        let ClaimRule { name, claims } = rule;
        require(check_name(name).is_ok(), &|| format!("the rule {name:?}: {}", check_name(name).err().unwrap_or_default()));
        require(names.insert(name), &|| format!("the rule {name:?}: there is another of this name"));
        let are_claims = (1..=MOST_OF_EACH).contains(&claims.len());
        require(are_claims && claims.iter().all(|(claim, value)| is_text(claim) && is_text(value)), &|| {
            format!("the rule {name:?}: it must have from 1 to {MOST_OF_EACH} claims, of 1 to {MOST_BYTES} bytes each")
        });
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::IssuerInvalid(problems.join("; "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_SESSION: Duration = Duration::from_mins(5);

    fn problems(change: Value) -> String {
        let mut trust = json!({ "url": "https://issuer.example", "audiences": ["here"], "sessionSeconds": 300 });
        let Value::Object(change) = change else { panic!("an object") };
        trust.as_object_mut().unwrap().extend(change);
        check("i", &serde_json::from_value(trust).unwrap(), MAX_SESSION)
            .map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        assert_eq!(problems(json!({})), "");
        assert_eq!(problems(json!({ "rules": [{ "name": "r", "claims": { "sub": "*" } }] })), "");
        let told = problems(json!({
            "url": "http://issuer.example", "audiences": [], "jwksUrl": "ftp://x", "jwks": { "keys": [] }, "caCertificates": "no PEM",
            "groupsClaim": "", "sessionSeconds": 1,
            "rules": [{ "name": "R", "claims": { "a": "b" } }, { "name": "r", "claims": {} }, { "name": "r", "claims": { "a": "\n" } }],
        }));
        for part in [
            "url \"http:",
            "audiences:",
            "jwksUrl \"ftp",
            "either jwks or",
            "jwks: it has no key",
            "caCertificates:",
            "groupsClaim:",
            "sessionSeconds:",
            "the rule \"R\"",
            "another of this name",
            "from 1 to 32 claims",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
        let private = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "AAAA", "d": "AAAA" }] });
        assert!(problems(json!({ "jwks": private })).contains("private key"));
        assert_ne!(problems(json!({ "sessionSeconds": 301 })), "", "its key would not be published for as long");
        let trust: IssuerTrust = serde_json::from_value(json!({ "url": "https://i", "audiences": ["a"] })).unwrap();
        for (name, is_good) in [("i", true), ("I", false), ("rule", false), ("group", false)] {
            assert_eq!(
                check(name, &IssuerTrust { session_seconds: 60, ..trust.clone() }, MAX_SESSION).is_ok(),
                is_good,
                "{name}"
            );
        }
        for url in ["https://i?x=y", "https://i#x", "https://a@i", "http://i"] {
            assert_ne!(problems(json!({ "url": url, "sessionSeconds": 60 })), "", "{url}");
        }
    }
}
