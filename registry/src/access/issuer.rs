use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use longshore_oci::Federated;
use longshore_service::signing::{InvalidIdentity, IssuerKeys};
use serde_json::{Map, Value};

use crate::{
    policy::TextPattern,
    state::{IssuerTrust, StoredIssuer},
};

/// The most groups of a caller that are looked at.
const MOST_GROUPS: usize = 1000;

/// An issuer, ready to be asked.
#[derive(Debug)]
pub struct Issuer {
    name: String,
    trust: IssuerTrust,
    /// See [`IssuerVersions`](crate::state::IssuerVersions).
    version: String,
    rules: Vec<Rule>,
    /// Its keys, where they are not asked for.
    fixed_keys: Option<IssuerKeys>,
}

#[derive(Debug)]
struct Rule {
    name: String,
    /// Another one with each change of what it says.
    version: String,
    claims: Vec<(String, TextPattern)>,
}

impl Issuer {
    /// One that was kept.
    pub fn compile(stored: StoredIssuer) -> Self {
        let StoredIssuer { name, trust, versions, .. } = stored;
        let rule = |rule: &crate::state::ClaimRule| Rule {
            name: rule.name.clone(),
            version: versions.rules.get(&rule.name).copied().unwrap_or_default().to_string(),
            claims: rule.claims.iter().map(|(claim, value)| (claim.clone(), TextPattern::of_claim(value.clone()))).collect(),
        };
        let version = versions.issuer.to_string();
        let rules = trust.rules.iter().map(rule).collect();
        let fixed_keys = trust.jwks.as_ref().and_then(|set| IssuerKeys::read(set.to_string().as_bytes()).ok());
        Self { name, trust, version, rules, fixed_keys }
    }

    /// What roles name it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is asked of its tokens.
    pub fn trust(&self) -> &IssuerTrust {
        &self.trust
    }

    /// Its keys, where they are not asked for.
    pub fn fixed_keys(&self) -> Option<&IssuerKeys> {
        self.fixed_keys.as_ref()
    }

    /// What a token says, where one of these keys of it has signed that.
    pub fn check(&self, keys: &IssuerKeys, text: &str) -> Result<Map<String, Value>, InvalidIdentity> {
        keys.check(text, &self.trust.url, &self.trust.audiences)
    }

    /// Whom a token of it is of: the rules that it fits, and those of its groups that count.
    pub fn recognise(&self, claims: Map<String, Value>, counts: impl Fn(&str) -> bool) -> (Federated, String) {
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
        let name = format!("{}:{subject}", self.name);
        let claims = Value::Object(claims);
        let fitting = self.rules.iter().filter(|rule| rule.fits(&claims));
        let rules: BTreeMap<String, String> = fitting.map(|rule| (rule.name.clone(), rule.version.clone())).collect();
        let groups = find(&claims, &self.trust.groups_claim).map(each).unwrap_or_default();
        let groups = groups.into_iter().take(MOST_GROUPS).filter_map(Value::as_str).filter(|group| counts(group));
        let groups: BTreeSet<&str> = groups.collect();
        let groups = groups.into_iter().map(str::to_owned).collect();
        (Federated { issuer: self.name.clone(), version: self.version.clone(), rules, groups }, name)
    }

    /// Those of the rules that somebody was let in by that are as they were then.
    pub fn held_rules<'a>(&'a self, federated: &'a Federated) -> impl Iterator<Item = &'a str> {
        let is_held = |rule: &&Rule| federated.rules.get(&rule.name) == Some(&rule.version);
        self.rules.iter().filter(is_held).map(|rule| rule.name.as_str())
    }

    /// The groups that somebody was let in by, while what makes a token the issuer's own is as it was then.
    pub fn held_groups<'a>(&self, federated: &'a Federated) -> &'a [String] {
        if self.version == federated.version { &federated.groups } else { &[] }
    }

    /// Somebody whom this rule lets in.
    pub fn by_rule(&self, name: &str) -> Option<Federated> {
        let rule = self.rules.iter().find(|rule| rule.name == name)?;
        let rules = BTreeMap::from([(rule.name.clone(), rule.version.clone())]);
        Some(Federated { issuer: self.name.clone(), version: self.version.clone(), rules, groups: Vec::new() })
    }

    /// Somebody in this group.
    pub fn by_group(&self, group: &str) -> Federated {
        let groups = vec![group.to_owned()];
        Federated { issuer: self.name.clone(), version: self.version.clone(), rules: BTreeMap::new(), groups }
    }
}

impl Rule {
    /// Whether each claim is there, and covered.
    fn fits(&self, claims: &Value) -> bool {
        self.claims.iter().all(|(claim, pattern)| {
            let values = find(claims, claim).map(each).unwrap_or_default();
            values.into_iter().filter_map(text).any(|text| pattern.covers(&text))
        })
    }
}

/// A claim: a member, or by a JSON pointer (RFC 6901) what lies deeper.
fn find<'a>(claims: &'a Value, claim: &str) -> Option<&'a Value> {
    if claim.starts_with('/') { claims.pointer(claim) } else { claims.get(claim) }
}

/// A list's elements, or what is no list alone.
fn each(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |list| list.iter().collect())
}

/// How a pattern sees a value; lists and objects in lists it does not.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(_) | Value::Bool(_) => Some(Cow::Owned(value.to_string())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::state::IssuerVersions;

    fn stored(rules: &Value) -> StoredIssuer {
        let trust = json!({ "url": "https://issuer.example", "audiences": ["here"], "rules": rules });
        let trust: IssuerTrust = serde_json::from_value(trust).unwrap();
        StoredIssuer {
            name: "i".into(),
            versions: IssuerVersions::following(None, &trust, 1),
            trust,
            revision: 1,
            created_at: Timestamp::UNIX_EPOCH,
            changed_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn issuer(rules: &Value) -> Issuer {
        Issuer::compile(stored(rules))
    }

    /// What takes the place of another one by the change of this number.
    fn following(before: &StoredIssuer, rules: &Value, revision: u64) -> StoredIssuer {
        let after = stored(rules);
        StoredIssuer { versions: IssuerVersions::following(Some(before), &after.trust, revision), revision, ..after }
    }

    fn fitting(rules: &Value, claims: &Value) -> Vec<String> {
        let (federated, name) = issuer(rules).recognise(claims.as_object().unwrap().clone(), |_| true);
        assert_eq!(name, "i:somebody");
        federated.rules.into_keys().collect()
    }

    #[test]
    fn a_rule_fits_where_each_claim_is_covered() {
        let claims = json!({
            "sub": "somebody", "repository": "acme/app", "workflow": "Build and push", "run": 7, "protected": true,
            "aud": ["here", "there"], "kubernetes.io": { "namespace": "ci" }, "null": null, "nested": [["x"]],
        });
        for (wanted, fits) in [
            (json!({"repository": "acme/app"}), true),
            (json!({"repository": "acme/*", "workflow": "Build and *"}), true),
            (json!({"repository": "acme/*", "workflow": "Test"}), false),
            (json!({"repository": "acme"}), false),
            (json!({"Repository": "acme/app"}), false),
            (json!({"missing": "*"}), false),
            (json!({"null": "*"}), false),
            (json!({"nested": "*"}), false),
            (json!({"run": "7", "protected": "true"}), true),
            (json!({"aud": "there"}), true),
            (json!({"/kubernetes.io/namespace": "ci"}), true),
            (json!({"/kubernetes.io/name": "*"}), false),
            (json!({"kubernetes.io": "*"}), false),
        ] {
            let rules = json!([{ "name": "r", "claims": wanted }]);
            assert_eq!(fitting(&rules, &claims), if fits { vec!["r"] } else { vec![] }, "{rules}");
        }
    }

    #[test]
    fn groups_are_those_of_the_claim_that_count() {
        let issuer = issuer(&json!([]));
        let claims = json!({ "sub": "somebody", "groups": ["dev", "ops", 7, "dev"] });
        let (federated, _) = issuer.recognise(claims.as_object().unwrap().clone(), |group| group != "ops");
        assert_eq!(federated.groups, ["dev"]);
        assert_eq!(issuer.held_groups(&federated), ["dev"]);
    }

    #[test]
    fn a_rule_that_was_changed_holds_nobody() {
        let rules = json!([{ "name": "a", "claims": {"sub": "*"} }, { "name": "b", "claims": {"sub": "some*"} }]);
        let others = json!([{ "name": "a", "claims": {"sub": "nobody"} }, { "name": "b", "claims": {"sub": "some*"} }]);
        let before = stored(&rules);
        let compiled = Issuer::compile(before.clone());
        let (federated, _) = compiled.recognise(json!({ "sub": "somebody" }).as_object().unwrap().clone(), |_| true);
        assert_eq!(compiled.held_rules(&federated).collect::<Vec<_>>(), ["a", "b"]);

        let after = following(&before, &others, 2);
        assert_eq!(Issuer::compile(after.clone()).held_rules(&federated).collect::<Vec<_>>(), ["b"]);
        let again = Issuer::compile(following(&after, &rules, 3));
        assert_eq!(again.held_rules(&federated).collect::<Vec<_>>(), ["b"], "what was ended stays so");
        assert_eq!(again.held_rules(&again.by_rule("a").unwrap()).count(), 1);
    }

    #[test]
    fn other_keys_hold_nobody() {
        let mut before = stored(&json!([{ "name": "a", "claims": {"sub": "*"} }]));
        let claims = json!({ "sub": "somebody", "groups": ["dev"] });
        let (federated, _) = Issuer::compile(before.clone()).recognise(claims.as_object().unwrap().clone(), |_| true);
        let same = Issuer::compile(StoredIssuer {
            versions: IssuerVersions::following(Some(&before), &before.trust, 2),
            ..before.clone()
        });
        assert_eq!((same.held_rules(&federated).count(), same.held_groups(&federated).len()), (1, 1));
        let trust = IssuerTrust { jwks_url: Some("https://issuer.example/keys".into()), ..before.trust.clone() };
        before.versions = IssuerVersions::following(Some(&before), &trust, 2);
        let other = Issuer::compile(StoredIssuer { trust, ..before });
        assert_eq!((other.held_rules(&federated).count(), other.held_groups(&federated).len()), (0, 0));
    }
}
