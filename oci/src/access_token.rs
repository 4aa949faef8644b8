use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Scope;

/// What a token says: who bears it, where, how long and for what. Who trusts its signer needs to ask nobody else.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessToken {
    /// Who signed it: the registry's URL.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// The account; for whom an issuer has spoken, its name and the caller's there, parted by a colon; empty for whoever is nobody.
    #[serde(rename = "sub")]
    pub subject: String,
    /// The service that it is for.
    #[serde(rename = "aud")]
    pub audience: String,
    /// When it was signed, in seconds since 1970.
    #[serde(rename = "iat")]
    pub issued_at: i64,
    /// From when on it holds, in seconds since 1970.
    #[serde(rename = "nbf")]
    pub not_before: i64,
    /// When it ends, in seconds since 1970.
    #[serde(rename = "exp")]
    pub expires_at: i64,
    /// Its own name, unlike all others'.
    #[serde(rename = "jti")]
    pub id: String,
    /// What it is for.
    pub access: Vec<Scope>,
    /// Which of the account's secrets was shown for it; another one ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// What its bearer was let in by, where an issuer has spoken for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub federated: Option<Federated>,
    /// The peer that bears it, in a swarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_id: Option<String>,
}

/// What somebody without an account was let in by.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Federated {
    /// The name of the issuer that has spoken for it.
    pub issuer: String,
    /// What the issuer was like; another one ends the groups.
    pub version: String,
    /// The rules that its claims fit, and what they were like; a rule that is another one now does not count.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, String>,
    /// Its groups, as far as they counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

impl AccessToken {
    /// The kind of statement that this is, its version included: the `typ` of a signature's header.
    pub const KIND: &'static str = "longshore-access.v1+jwt";

    /// How far clocks may be apart, in seconds.
    const LEEWAY: i64 = 10;

    /// Whether it holds for a service at a time, in seconds since 1970.
    pub fn holds(&self, audience: &str, now: i64) -> bool {
        self.audience == audience && self.not_before <= now.saturating_add(Self::LEEWAY) && now < self.expires_at
    }

    /// Whether it is for an action on what has this type and name.
    pub fn covers(&self, kind: &str, name: &str, action: &str) -> bool {
        self.access.iter().any(|scope| scope.covers(kind, name, action))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_for_its_service_and_its_time() {
        let token = AccessToken {
            issuer: String::new(),
            subject: "ci".into(),
            audience: "here".into(),
            issued_at: 100,
            not_before: 100,
            expires_at: 400,
            id: String::new(),
            access: Vec::new(),
            credential: None,
            federated: None,
            peer_id: None,
        };
        for (audience, now, holds) in [
            ("here", 100, true),
            ("here", 399, true),
            ("here", 400, false),
            ("here", 90, true),
            ("here", 89, false),
            ("there", 200, false),
        ] {
            assert_eq!(token.holds(audience, now), holds, "{audience} at {now}");
        }
    }
}
