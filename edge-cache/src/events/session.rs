//! What is made of a stream of changes.

use jiff::Timestamp;
use longshore_oci::Change;

use super::{
    Invalidate,
    stream::{Event, Parser, TooLong},
};

/// One stream of an upstream, from its beginning to its end.
pub struct Session<'a> {
    upstream: &'a str,
    invalidate: &'a dyn Invalidate,
    parser: Parser,
    /// Whether the upstream has told of no change yet, in this stream or in another.
    is_first: bool,
}

/// What a chunk came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Taken {
    /// Changes that were told.
    pub changes: u64,
    /// How often all was forgotten.
    pub resets: u64,
}

/// What a change is to those who remember.
enum Meaning {
    Nothing,
    Some,
    /// It can't be told what it changes.
    All,
    /// What is from before may have changed.
    Begun,
}

impl<'a> Session<'a> {
    /// One that `is_first` goes on from nowhere, and its upstream was not followed before.
    pub fn new(upstream: &'a str, invalidate: &'a dyn Invalidate, is_first: bool) -> Self {
        Self { upstream, invalidate, parser: Parser::default(), is_first }
    }

    /// Forgets what a chunk says has changed.
    pub fn take(&mut self, chunk: &[u8]) -> Result<Taken, TooLong> {
        let mut taken = Taken::default();
        for event in self.parser.read(chunk)? {
            taken.changes += u64::from(event.name != Change::RESET);
            let is_first = std::mem::take(&mut self.is_first);
            match self.apply(&event, is_first) {
                Meaning::Nothing | Meaning::Some => continue,
                Meaning::All => self.invalidate.all(self.upstream),
                Meaning::Begun => self.invalidate.begun(self.upstream),
            }
            taken.resets += 1;
        }
        Ok(taken)
    }

    /// Where to go on from, once all that was taken is forgotten.
    pub fn position(&self) -> Option<&str> {
        self.parser.last_id().filter(|id| !id.is_empty())
    }

    fn apply(&self, event: &Event, is_first: bool) -> Meaning {
        if event.name == Change::RESET {
            return if is_first { Meaning::Begun } else { Meaning::All };
        }
        let Ok(change) = serde_json::from_str::<Change>(&event.data) else { return Meaning::All };
        match change.kind.as_str() {
            Change::TAG_SET | Change::TAG_DELETED => {
                let (repository, tag) = (parsed(change.repository), parsed(change.tag));
                let Some((repository, tag)) = repository.zip(tag) else { return Meaning::All };
                self.invalidate.tag_changed(self.upstream, &repository, &tag);
                Meaning::Some
            }
            Change::MANIFEST_DELETED | Change::BLOB_DELETED => {
                let (repository, digest) = (parsed(change.repository), parsed(change.digest));
                let Some((repository, digest)) = repository.zip(digest) else { return Meaning::All };
                let at = change.at.parse().unwrap_or_else(|_| Timestamp::now());
                self.invalidate.deleted(self.upstream, &repository, &digest, at);
                Meaning::Some
            }
            // They may let be pulled what was not, or the other way about.
            Change::POLICY_APPLIED | Change::POLICY_REMOVED => Meaning::All,
            _ => Meaning::Nothing,
        }
    }
}

fn parsed<T: std::str::FromStr>(text: Option<String>) -> Option<T> {
    text?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use longshore_oci::{Digest, RepositoryName, Tag};

    use super::*;

    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>);

    impl Notes {
        fn add(&self, note: String) {
            self.0.lock().unwrap().push(note);
        }

        fn taken(&self) -> Vec<String> {
            std::mem::take(&mut *self.0.lock().unwrap())
        }
    }

    impl Invalidate for Notes {
        fn tag_changed(&self, upstream: &str, repository: &RepositoryName, tag: &Tag) {
            self.add(format!("{upstream} {repository}:{tag}"));
        }

        fn deleted(&self, upstream: &str, repository: &RepositoryName, digest: &Digest, _at: Timestamp) {
            self.add(format!("{upstream} {repository}@{}", &digest.hex()[..4]));
        }

        fn all(&self, upstream: &str) {
            self.add(format!("{upstream} all"));
        }

        fn begun(&self, upstream: &str) {
            self.add(format!("{upstream} begun"));
        }
    }

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn sent(position: u32, kind: &str, members: &str) -> String {
        format!(
            "id: e-{position}\ndata: {{\"position\":\"e-{position}\",\"at\":\"2026-01-01T00:00:00Z\",\"kind\":\"{kind}\"{members}}}\n\n"
        )
    }

    #[test]
    fn what_changed_is_forgotten_and_no_more() {
        let notes = Notes::default();
        let mut session = Session::new("ours", &notes, false);
        let about = format!(r#","repository":"a/b","tag":"v1","digest":"{DIGEST}""#);
        let taken = session.take(sent(1, "tag.set", &about).as_bytes()).unwrap();
        assert_eq!((notes.taken(), taken), (vec!["ours a/b:v1".to_owned()], Taken { changes: 1, resets: 0 }));
        assert_eq!(session.position(), Some("e-1"));
        let text = sent(2, "tag.deleted", &about) + &sent(3, "manifest.deleted", &about) + &sent(4, "blob.deleted", &about);
        session.take(text.as_bytes()).unwrap();
        assert_eq!(notes.taken(), ["ours a/b:v1", "ours a/b@e3b0", "ours a/b@e3b0"]);
        let text = sent(5, "manifest.pushed", &about) + &sent(6, "tea.made", "") + ":\n\n" + "id: e-9\n\n";
        assert_eq!(session.take(text.as_bytes()).unwrap(), Taken { changes: 2, resets: 0 });
        assert_eq!((notes.taken(), session.position()), (Vec::new(), Some("e-9")));
    }

    #[test]
    fn where_it_can_t_be_told_what_changed_all_is_forgotten() {
        let notes = Notes::default();
        let mut session = Session::new("ours", &notes, false);
        let texts = [
            "event: reset\nid: f-1\ndata: {}\n\n".to_owned(),
            sent(2, "policy.applied", ""),
            sent(3, "policy.removed", ""),
            sent(4, "tag.set", r#","repository":"a/b""#),
            sent(5, "manifest.deleted", r#","repository":"A","digest":"x""#),
            "id: 6\ndata: no change\n\n".to_owned(),
        ];
        for text in &texts {
            assert_eq!(session.take(text.as_bytes()).unwrap().resets, 1, "{text}");
            assert_eq!(notes.taken(), ["ours all"], "{text}");
        }
        assert_eq!(session.position(), Some("6"));
    }

    #[test]
    fn only_the_first_that_was_ever_told_is_a_beginning() {
        const RESET: &str = "event: reset\nid: f-1\ndata: {}\n\n";
        let notes = Notes::default();
        let mut session = Session::new("ours", &notes, true);
        session.take(b":\n\n").unwrap();
        assert_eq!(session.take(RESET.as_bytes()).unwrap().resets, 1);
        assert_eq!(session.take(RESET.as_bytes()).unwrap().resets, 1);
        assert_eq!(notes.taken(), ["ours begun", "ours all"]);
        let mut session = Session::new("ours", &notes, true);
        session.take((sent(1, "policy.applied", "") + RESET).as_bytes()).unwrap();
        assert_eq!(notes.taken(), ["ours all", "ours all"]);
    }
}
