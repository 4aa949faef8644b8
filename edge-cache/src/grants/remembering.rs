//! What is remembered of what upstreams have said: what it grants, and for how long.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use longshore_oci::{Digest, RepositoryName, VerdictLifetime};

use super::{
    Attempt, Client, Denied, Granted, Grants, Now, Place, What, Who,
    asking::Asked,
    book::{Question, Sureness},
};
use crate::upstream::Upstream;

impl Grants {
    /// That one of these attempts is granted by what is remembered.
    pub fn remembered(&self, attempts: &[Attempt], place: &Place, what: &What) -> Option<Granted> {
        let now = Now::read();
        attempts.iter().find_map(|attempt| {
            let believed = self.memory.book.believed(&attempt.question(place, what), Sureness::Fresh, now)?;
            Some(self.granted(attempt, place, what, believed.lifetime))
        })
    }

    /// That this attempt is granted by what is remembered, though the upstream has answered so: longer than otherwise while it is down,
    /// and not at all against its word. An upstream that puts off who shows a credential is not down to them, as they may bring it about.
    pub fn remembered_despite(&self, denied: &Denied, attempt: &Attempt, place: &Place, what: &What) -> Option<Granted> {
        if !denied.says_nothing() {
            return None;
        }
        let is_put_off = denied.is_put_off() && matches!(attempt.who, Who::Credential(_));
        let sureness = if denied.is_down() && !is_put_off { Sureness::Stale } else { Sureness::Fresh };
        let believed = self.memory.book.believed(&attempt.question(place, what), sureness, Now::read())?;
        // Who goes by this is to ask again as soon as the upstream has something to say.
        let lifetime = believed.lifetime.map(|lifetime| VerdictLifetime { max_age: Duration::ZERO, ..lifetime });
        Some(self.granted(attempt, place, what, lifetime))
    }

    /// What is told to who shows nothing, where that was told lately.
    pub fn closed(&self, attempt: &Attempt, place: &Place) -> Option<Denied> {
        if attempt.who == Who::Anybody { self.memory.closed.get(place) } else { None }
    }

    /// What an attempt that the upstream grants is worth; for so long, where it was told.
    pub fn granted(&self, attempt: &Attempt, place: &Place, what: &What, lifetime: Option<VerdictLifetime>) -> Granted {
        let size_bytes = self.memory.book.link(place, what).and_then(|link| link.size_bytes);
        let is_open = match attempt.who {
            Who::Shared | Who::Anybody => true,
            Who::Credential(_) | Who::Covered => {
                let of_anybody = Question { who: Who::Anybody, ends_at: None, ..attempt.question(place, what) };
                self.memory.book.grants(&of_anybody, Sureness::Fresh, Now::read())
            }
        };
        Granted { identity: attempt.fetches.clone(), size_bytes, is_open, lifetime }
    }

    /// That a client is granted something by what is remembered, though the upstream has answered so.
    pub async fn allowed_despite(
        &self,
        denied: &Denied,
        upstream: &Arc<Upstream>,
        repository: &RepositoryName,
        client: &Client,
        what: &What,
    ) -> Option<Granted> {
        let place = Place::new(upstream, repository.clone());
        let attempts = self.attempts(upstream, &place, client).await;
        attempts.iter().find_map(|attempt| self.remembered_despite(denied, attempt, &place, what))
    }

    /// Whether it is remembered that the upstream has let a client's credential into a repository.
    pub fn has_let_in(&self, upstream: &Upstream, repository: &RepositoryName, client: &Client) -> bool {
        client.shown.as_ref().is_some_and(|shown| {
            let (place, who) = (Place::new(upstream, repository.clone()), Who::Credential(self.key.hash(&shown.header)));
            self.memory.book.may_pull(&place, &who, Now::read())
        })
    }

    /// Whether it is remembered that a client may pull from a repository, whatever it has.
    pub async fn may_pull_from(&self, upstream: &Arc<Upstream>, repository: &RepositoryName, client: &Client) -> bool {
        let place = Place::new(upstream, repository.clone());
        self.attempts(upstream, &place, client).await.iter().any(|attempt| self.may_pull(attempt, &place))
    }

    /// Whether an attempt's right to pull from the repository is remembered.
    pub fn may_pull(&self, attempt: &Attempt, place: &Place) -> bool {
        attempt.is_covered || self.memory.book.may_pull(place, &attempt.who, Now::read())
    }

    /// Notes what came of asking for a tag in an attempt's name, at that time: the manifest that it names may be seen, for so long where that
    /// was told; or why not. `before` is what it was known to name.
    pub fn note_tag(
        &self,
        attempt: &Attempt,
        place: &Place,
        asked_at: Now,
        before: Option<&Digest>,
        outcome: Result<(&Digest, Option<VerdictLifetime>), &Denied>,
    ) {
        match outcome {
            Ok((digest, lifetime)) => {
                let question = attempt.question(place, &What::Manifest(digest.clone()));
                self.memory.book.grant(&question, Asked { size_bytes: None, lifetime }, asked_at);
            }
            Err(denied) => {
                if denied.status() == Some(StatusCode::UNAUTHORIZED) {
                    self.memory.book.shut(place, &attempt.who);
                } else if denied.is_refusal() {
                    // Of what the tag names, and no more of the repository.
                    self.memory.book.doubt(place, &attempt.who, asked_at);
                    if let Some(before) = before {
                        self.memory.book.take_back(place, &What::Manifest(before.clone()), &attempt.who);
                    }
                }
                self.memory.learn(place, &attempt.who, denied);
            }
        }
    }
}
