use std::{collections::HashSet, sync::Arc};

use super::{
    document::{Document, Policy},
    stored::Stored,
};

/// The documents that policies are from.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// The configured one.
    pub file: Arc<Document>,
    /// Those in the database.
    pub stored: Stored,
}

/// Where a document is, or is to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place<'a> {
    /// The configured file.
    File,
    /// The database, under this name.
    Database(&'a str),
}

impl Parts {
    /// The document that all of them make. Two policies of one name are told of, and both are in force: neither may be what lets through
    /// what the other refuses.
    pub fn joined(&self) -> Document {
        let file = self.file.policies.iter();
        let stored = self.stored.documents.iter().flat_map(|applied| &applied.policies);
        let policies: Vec<Policy> = file.chain(stored).cloned().collect();
        let mut names = HashSet::new();
        for Policy { name, .. } in &policies {
            if !names.insert(name) {
                tracing::error!(
                    policy = name,
                    "there is more than one policy of this name; all are in force, and one should be renamed"
                );
            }
        }
        Document::of(policies)
    }

    /// The document that they would make with this one in its place.
    pub fn joined_with(&self, place: Place<'_>, candidate: &Document) -> Document {
        let others = self.others(place).map(|(_, policy)| policy);
        Document::of(others.chain(&candidate.policies).cloned().collect())
    }

    /// What keeps a document from its place: names that policies elsewhere have.
    pub fn clashes(&self, place: Place<'_>, candidate: &Document) -> Vec<String> {
        let names: HashSet<&str> = candidate.policies.iter().map(|policy| policy.name.as_str()).collect();
        let is_taken = |other: &Policy| names.contains(other.name.as_str());
        let told = |(elsewhere, Policy { name, .. }): (Place<'_>, &Policy)| match elsewhere {
            Place::File => format!("there is a policy {name:?} in the configured file (policy.file); rename one"),
            Place::Database(document) => format!("there is a policy {name:?} in the document {document:?}; rename one"),
        };
        self.others(place).filter(|(_, other)| is_taken(other)).map(told).collect()
    }

    /// The policies of all documents but the one at a place.
    fn others<'a>(&'a self, place: Place<'a>) -> impl Iterator<Item = (Place<'a>, &'a Policy)> {
        let file = self.file.policies.iter().map(|policy| (Place::File, policy));
        let stored = self.stored.documents.iter().flat_map(|applied| {
            let place = Place::Database(&applied.stored.name);
            applied.policies.iter().map(move |policy| (place, policy))
        });
        file.chain(stored).filter(move |(other, _)| *other != place)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{super::stored::Applied, *};
    use crate::state::StoredDocument;

    fn document(names: &[&str]) -> Document {
        let policy = |name: &&str| format!("[[policy]]\nname = '{name}'\nrepositories = ['{name}/**']\n");
        Document::parse(&names.iter().map(policy).collect::<String>()).unwrap()
    }

    fn parts(file: &[&str], stored: &[(&str, &[&str])]) -> Parts {
        let applied = |(name, policies): &(&str, &[&str])| {
            let stored = StoredDocument {
                name: (*name).into(),
                text: String::new(),
                revision: 1,
                applied_at: Timestamp::UNIX_EPOCH,
                applied_by: None,
            };
            Arc::new(Applied { stored, policies: document(policies).policies, problem: None })
        };
        let stored = Stored { version: 1, documents: stored.iter().map(applied).collect() };
        Parts { file: Arc::new(document(file)), stored }
    }

    fn names(document: &Document) -> Vec<&str> {
        document.policies.iter().map(|policy| policy.name.as_str()).collect()
    }

    #[test]
    fn all_are_in_force_and_one_takes_the_place_of_its_own() {
        let parts = parts(&["a", "b"], &[("x", &["c"]), ("y", &["d", "e"])]);
        let joined = parts.joined();
        assert_eq!(names(&joined), ["a", "b", "c", "d", "e"]);
        assert_ne!(joined.id, parts.joined().id, "what was judged by one is no judgement by the other");
        let candidate = document(&["c", "f"]);
        assert_eq!(names(&parts.joined_with(Place::Database("x"), &candidate)), ["a", "b", "d", "e", "c", "f"]);
        assert_eq!(names(&parts.joined_with(Place::Database("z"), &document(&["f"]))), ["a", "b", "c", "d", "e", "f"]);
        assert_eq!(names(&parts.joined_with(Place::File, &document(&["b"]))), ["c", "d", "e", "b"]);
    }

    #[test]
    fn a_name_is_one_policy_s_wherever_it_is() {
        let parts = parts(&["a"], &[("x", &["b"]), ("y", &["c"])]);
        let clashes = |place, names: &[&str]| parts.clashes(place, &document(names));
        assert!(clashes(Place::Database("x"), &["b", "d"]).is_empty(), "its own are no others");
        assert!(clashes(Place::File, &["a"]).is_empty());
        let told = clashes(Place::Database("x"), &["a", "c"]);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("\"a\" in the configured file") && told[1].contains("\"c\" in the document \"y\""), "{told:?}");
        assert_eq!(clashes(Place::File, &["b"]).len(), 1);
    }

    #[test]
    fn two_of_one_name_are_both_in_force() {
        let twice = parts(&["a"], &[("x", &["a"])]).joined();
        assert_eq!(names(&twice), ["a", "a"]);
    }
}
