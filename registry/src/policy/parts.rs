use std::{collections::HashSet, sync::Arc};

use super::{
    document::{Document, Policy},
    stored::Stored,
};
use crate::tuf::Roots;

/// The documents that policies are from.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// The configured one.
    pub file: Arc<Document>,
    /// Those in the database.
    pub stored: Stored,
    /// The trusted roots that they leave to TUF repositories.
    pub roots: Roots,
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
        for unknown in Document::of(policies.clone()).tuf_repositories().into_iter().filter(|name| !self.roots.has(name)) {
            let problem = Roots::unknown(unknown);
            tracing::error!(problem, "a policy names a TUF repository that is not known here: what it covers can't be pulled");
        }
        self.document(policies)
    }

    /// The document that they would make with this one in its place.
    pub fn joined_with(&self, place: Place<'_>, candidate: &Document) -> Document {
        let others = self.others(place).map(|(_, policy)| policy);
        self.document(others.chain(&candidate.policies).cloned().collect())
    }

    fn document(&self, mut policies: Vec<Policy>) -> Document {
        for policy in &mut policies {
            policy.pull_compiled.look_up(&self.roots);
        }
        Document::of(policies)
    }

    /// What keeps a document from its place: names that policies elsewhere have, and TUF repositories that are not known here.
    pub fn clashes(&self, place: Place<'_>, candidate: &Document) -> Vec<String> {
        let names: HashSet<&str> = candidate.policies.iter().map(|policy| policy.name.as_str()).collect();
        let is_taken = |other: &Policy| names.contains(other.name.as_str());
        let told = |(elsewhere, Policy { name, .. }): (Place<'_>, &Policy)| match elsewhere {
            Place::File => format!("there is a policy {name:?} in the configured file (policy.file); rename one"),
            Place::Database(document) => format!("there is a policy {name:?} in the document {document:?}; rename one"),
        };
        let taken = self.others(place).filter(|(_, other)| is_taken(other)).map(told);
        taken.chain(self.unknown_repositories(candidate)).collect()
    }

    /// Of each TUF repository that a document names and nobody knows here, that it is not known.
    pub fn unknown_repositories(&self, candidate: &Document) -> Vec<String> {
        let unknown = candidate.tuf_repositories().into_iter().filter(|name| !self.roots.has(name));
        unknown.map(Roots::unknown).collect()
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
        Parts { file: Arc::new(document(file)), stored, roots: Roots::default() }
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

    const BY_TUF: &str = "[[trusted_root]]\nname = 'r'\ntuf = 'corp'\n[[policy]]\nname = 'a'\nrepositories = ['**']\n\
                          [[policy.pull.require]]\nsignature = { identity = '*', issuer = '*', trusted_root = 'r' }\n";

    #[test]
    fn a_repository_that_nobody_knows_keeps_a_document_out_and_one_without_a_root_closes_it() {
        let by_tuf = Document::parse(BY_TUF).unwrap();
        assert_eq!(by_tuf.tuf_repositories().into_iter().collect::<Vec<_>>(), ["corp"]);
        let unknown = Parts::default();
        let told = unknown.clashes(Place::Database("x"), &by_tuf);
        assert!(told.len() == 1 && told[0].contains("\"corp\"") && told[0].contains("tuf.repositories"), "{told:?}");
        let known = Parts { roots: Roots::of([("corp".to_owned(), Err("not yet".to_owned()))]), ..Parts::default() };
        assert!(known.clashes(Place::Database("x"), &by_tuf).is_empty());
        for (parts, reason) in [(unknown, "tuf.repositories"), (known, "not yet")] {
            let repository = "app".parse().unwrap();
            let digest = longshore_oci::Digest::of(longshore_oci::Algorithm::Sha256, b"");
            let subject = super::super::Subject {
                repository: &repository,
                digest: &digest,
                media_type: "",
                size_bytes: 0,
                evidence: &[],
                now: Timestamp::UNIX_EPOCH,
            };
            let judged = parts.joined_with(Place::File, &by_tuf).judge_pull(subject);
            let told = judged[0].findings[0].told("here").unwrap();
            assert!(!judged[0].is_satisfied && told.contains(reason), "{told}");
        }
    }

    #[test]
    fn a_root_is_from_one_place_and_nothing_else_is_from_tuf() {
        for (text, reason) in [
            ("[[trusted_root]]\nname = 'r'\ntuf = 'corp'\ntext = '{}'", "not both"),
            ("[[key]]\nname = 'k'\ntuf = 'corp'", "only a trusted_root can"),
            ("[[trust_store]]\nname = 's'\ntuf = 'corp'", "unknown field `tuf`"),
            ("[[trusted_root]]\nname = 'r'", "either a file or a text"),
        ] {
            let problem = Document::parse(text).unwrap_err().to_string();
            assert!(problem.contains(reason), "{text}: {problem}");
        }
    }
}
