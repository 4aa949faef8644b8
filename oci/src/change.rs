use serde::{Deserialize, Serialize};

/// A change of what a registry holds, as it tells those who follow it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Change {
    /// Where it stands among all changes; who has it goes on from there. Whatever text it is, it is the registry's.
    pub position: String,
    /// When it happened (RFC 3339).
    pub at: String,
    /// What happened: one of the kinds below. Others may come.
    pub kind: String,
    /// In which repository; none for a change of policies, which may be of any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The tag, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The content; of a tag, where it is now, or was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl Change {
    /// A tag was set, perhaps to what it was at before.
    pub const TAG_SET: &'static str = "tag.set";
    /// A tag went.
    pub const TAG_DELETED: &'static str = "tag.deleted";
    /// A manifest came, or came again.
    pub const MANIFEST_PUSHED: &'static str = "manifest.pushed";
    /// A manifest went.
    pub const MANIFEST_DELETED: &'static str = "manifest.deleted";
    /// A blob left a repository.
    pub const BLOB_DELETED: &'static str = "blob.deleted";
    /// A policy document was applied.
    pub const POLICY_APPLIED: &'static str = "policy.applied";
    /// A policy document was removed.
    pub const POLICY_REMOVED: &'static str = "policy.removed";
    /// All of these.
    pub const KINDS: [&'static str; 7] = [
        Self::TAG_SET,
        Self::TAG_DELETED,
        Self::MANIFEST_PUSHED,
        Self::MANIFEST_DELETED,
        Self::BLOB_DELETED,
        Self::POLICY_APPLIED,
        Self::POLICY_REMOVED,
    ];
    /// The name of the event of a stream that says that changes may be missing: what it has told so far tells nothing any more.
    pub const RESET: &'static str = "reset";
}

/// Changes, oldest first, as a registry answers who asks for them once.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangePage {
    /// Where to go on from.
    pub position: String,
    /// Whether changes may be missing before that, so that what was told before tells nothing any more.
    #[serde(default)]
    pub is_reset: bool,
    /// The changes, those left out that the caller may not know of.
    pub events: Vec<Change>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_says_what_it_has_to_and_is_read_with_more() {
        let change = Change {
            position: "e-1".into(),
            at: "2026-01-01T00:00:00Z".into(),
            kind: Change::POLICY_APPLIED.into(),
            repository: None,
            tag: None,
            digest: None,
        };
        let text = r#"{"position":"e-1","at":"2026-01-01T00:00:00Z","kind":"policy.applied"}"#;
        assert_eq!(serde_json::to_string(&change).unwrap(), text);
        let more = text.replace('}', r#","tag":null,"more":{}}"#);
        assert_eq!(serde_json::from_str::<Change>(&more).unwrap(), change);
    }
}
