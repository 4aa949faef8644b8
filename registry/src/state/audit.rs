use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::EventKind;

/// Which lines of the audit log are asked for.
#[derive(Clone, Debug)]
pub struct AuditFilter {
    /// Only lines after this number.
    pub after: u64,
    /// Only lines up to this number.
    pub upto: u64,
    /// Only of what happened from then on.
    pub since: Option<Timestamp>,
    /// Only of what happened before.
    pub until: Option<Timestamp>,
    /// Only of this actor.
    pub actor: Option<String>,
    /// Only of this action, or of those that begin with it and a dot.
    pub action: Option<String>,
    /// How many at most.
    pub limit: u32,
}

/// An event as the audit log says it; the order of its members is that of the text.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry<'a> {
    /// Its number: each line has the next.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// An account; [`ANONYMOUS`](Self::ANONYMOUS), or [`REGISTRY`](Self::REGISTRY).
    pub actor: &'a str,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<&'a str>,
    /// The event's kind.
    pub action: &'a str,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<&'a str>,
    /// On what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<&'a str>,
    /// At which tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<&'a str>,
    /// `done`, `refused` or `failed`.
    pub result: &'a str,
    /// In which request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a str>,
    /// What else there is to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
}

impl Entry<'_> {
    /// Who has not said who it is; no account has this name.
    pub const ANONYMOUS: &'static str = "anonymous";
    /// The registry by itself; no account can have this name.
    pub const REGISTRY: &'static str = "(registry)";

    /// The actor of an event that has this account, and this address.
    pub fn actor<'a>(account: Option<&'a str>, address: Option<&str>) -> &'a str {
        match (account, address) {
            (Some(account), _) => account,
            (None, Some(_)) => Self::ANONYMOUS,
            (None, None) => Self::REGISTRY,
        }
    }

    /// What came of an event.
    pub fn result(kind: &str) -> &'static str {
        EventKind::result_of(kind)
    }

    /// The text that is kept, and hashed.
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("what we write is always JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_members_in_one_order_and_none_that_say_nothing() {
        let entry = Entry {
            seq: 1,
            at: Timestamp::UNIX_EPOCH,
            actor: Entry::actor(None, None),
            address: None,
            action: "tag.set",
            repository: Some("a/b"),
            digest: None,
            tag: Some("v1"),
            result: Entry::result("tag.set"),
            request_id: None,
            detail: None,
        };
        let expected = r#"{"seq":1,"at":"1970-01-01T00:00:00Z","actor":"(registry)","action":"tag.set","repository":"a/b","tag":"v1","result":"done"}"#;
        assert_eq!(entry.text(), expected);
        assert_eq!((Entry::actor(None, Some("::1")), Entry::actor(Some("ci"), None)), ("anonymous", "ci"));
        let results = ["account.deleted", "access.denied", "login.throttled", "login.failed", "audit.lost"].map(Entry::result);
        assert_eq!(results, ["done", "refused", "refused", "failed", "failed"]);
    }
}
