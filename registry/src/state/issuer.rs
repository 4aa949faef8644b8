use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Expected;
use serde_json::Value;

/// Somebody whose word is taken on who calls: an OpenID Connect issuer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredIssuer {
    /// What roles name it by.
    pub name: String,
    /// What is asked of its tokens.
    pub trust: IssuerTrust,
    /// Since when it is as it is.
    pub versions: IssuerVersions,
    /// The number of its last change.
    pub revision: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub changed_at: Timestamp,
}

/// Which tokens of an issuer are taken, and for whom.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssuerTrust {
    /// Its URL, as its tokens have it.
    pub url: String,
    /// Whom its tokens are to be for: one of these.
    pub audiences: Vec<String>,
    /// Where its keys are; where none is given its discovery document says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// Its keys themselves, of an issuer that can't be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// Who vouches for its server in place of the machine's authorities, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificates: Option<String>,
    /// The claim that has the caller's groups.
    #[serde(default = "groups_claim")]
    pub groups_claim: String,
    /// How long somebody is known by one token, in seconds.
    #[serde(default = "session_seconds")]
    pub session_seconds: u32,
    /// What to tell its callers apart by.
    #[serde(default)]
    pub rules: Vec<ClaimRule>,
}

/// Callers of an issuer: those whose claims are such.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimRule {
    /// What roles name it by.
    pub name: String,
    /// Patterns of claims; each must be there, and covered.
    pub claims: BTreeMap<String, String>,
}

impl IssuerTrust {
    /// Whether the same tokens are of both, and of the same groups.
    fn has_tokens_of(&self, other: &Self) -> bool {
        let of = |trust: &Self| {
            let Self { url, audiences, jwks_url, jwks, groups_claim, .. } = trust.clone();
            (url, audiences, jwks_url, jwks, groups_claim)
        };
        of(self) == of(other)
    }

    /// The rule of a name.
    pub fn rule(&self, name: &str) -> Option<&ClaimRule> {
        self.rules.iter().find(|rule| rule.name == name)
    }
}

fn groups_claim() -> String {
    "groups".to_owned()
}

fn session_seconds() -> u32 {
    3600
}

/// The numbers of the changes since which an issuer speaks for the same callers, so that who was let in before is not by it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct IssuerVersions {
    /// Since which its tokens are the same: by URL, audiences, keys and the claim of groups.
    pub issuer: u64,
    /// Since which each of its rules says the same.
    pub rules: BTreeMap<String, u64>,
}

impl IssuerVersions {
    /// Those of an issuer that is put in the place of another one, or of none, by the change of this number.
    pub fn following(before: Option<&StoredIssuer>, trust: &IssuerTrust, revision: u64) -> Self {
        let before = before.filter(|before| before.trust.has_tokens_of(trust));
        let since = |rule: &ClaimRule| {
            let before = before.filter(|before| before.trust.rule(&rule.name) == Some(rule));
            before.and_then(|before| before.versions.rules.get(&rule.name)).copied().unwrap_or(revision)
        };
        Self {
            issuer: before.map_or(revision, |before| before.versions.issuer),
            rules: trust.rules.iter().map(|rule| (rule.name.clone(), since(rule))).collect(),
        }
    }
}

/// An issuer to make or to replace.
#[derive(Clone, Debug)]
pub struct PutIssuer {
    /// Its name.
    pub name: String,
    /// What is asked of its tokens.
    pub trust: IssuerTrust,
    /// When.
    pub at: Timestamp,
    /// What must be there before.
    pub expected: Expected,
    /// How many there may be.
    pub most: u32,
}

/// What came of putting an issuer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Put {
    /// It was made.
    Made(StoredIssuer),
    /// It took another's place.
    Replaced(StoredIssuer),
    /// Something else is there than was expected.
    Unexpected,
    /// There are as many as there may be.
    TooMany,
}

/// What came of deleting an issuer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Deletion {
    /// It is gone.
    Done,
    /// Something else is there than was expected, or nothing.
    Unexpected,
    /// There was none.
    Absent,
}

/// Whom a role is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Subject<'a> {
    /// Everybody.
    Anonymous,
    /// An account.
    Account(&'a str),
    /// Callers of an issuer by one of its rules.
    Rule {
        /// The issuer's name.
        issuer: &'a str,
        /// The rule's.
        rule: &'a str,
    },
    /// Callers of an issuer who are in a group.
    Group {
        /// The issuer's name.
        issuer: &'a str,
        /// The group, as the claim has it.
        group: &'a str,
    },
}

impl<'a> Subject<'a> {
    /// What begins the subjects that are rules.
    pub const RULE: &'static str = "rule:";
    /// What begins the subjects that are groups.
    pub const GROUP: &'static str = "group:";

    /// Reads a role's subject. No account's name has a colon.
    pub fn of(text: &'a str) -> Self {
        let below = |kind| text.strip_prefix(kind).and_then(|rest: &str| rest.split_once('/'));
        match (below(Self::RULE), below(Self::GROUP)) {
            (Some((issuer, rule)), _) => Self::Rule { issuer, rule },
            (None, Some((issuer, group))) => Self::Group { issuer, group },
            (None, None) if text == super::StoredRole::ANONYMOUS => Self::Anonymous,
            (None, None) => Self::Account(text),
        }
    }
}
