//! Putting questions to upstreams: each once, however many want to know the same.

use std::sync::Arc;

use super::{
    Attempt, Denied, Grants, Now, Place, What, Who,
    asking::{Answered, Asked},
    book::{Question, Sureness},
};
use crate::upstream::{Identity, Upstream};

/// How often one joins others who ask for all before one asks for oneself.
const MOST_TRIES: u32 = 8;

impl Grants {
    /// Whether the upstream grants it.
    pub(super) async fn ask(&self, upstream: &Arc<Upstream>, place: &Place, attempt: &Attempt, what: &What) -> Answered {
        if let Some(denied) = self.closed(attempt, place) {
            return Err(denied);
        }
        let question = attempt.question(place, what);
        if attempt.is_covered && matches!(what, What::Blob(_)) {
            return self.ask_covered(upstream, &question, &attempt.checks).await;
        }
        self.ask_own(upstream, &question, &attempt.checks).await
    }

    /// Whether a blob is granted to a token that is proven to cover the pull. The registry is asked whether it still counts in the
    /// repository, once for all that it is shown for; and for all tokens that do, by one of them, whether the repository has the blob.
    async fn ask_covered(&self, upstream: &Arc<Upstream>, question: &Question, identity: &Identity) -> Answered {
        if !self.memory.book.is_let_in(question, Now::read()) {
            match self.join(upstream, None, question, identity).await? {
                (outcome, true) => return outcome,
                (Ok(_), false) => {}
                // Of another blob, which says nothing of this one.
                (Err(denied), false) if denied.is_missing() => return self.ask_own(upstream, question, identity).await,
                // The same credential, in the same repository.
                (Err(denied), false) => return Err(denied),
            }
        }
        let of_all = Question { who: Who::Covered, ..question.clone() };
        for _ in 0..MOST_TRIES {
            if self.memory.book.grants(question, Sureness::Fresh, Now::read()) {
                return Ok(None);
            }
            match self.join(upstream, Some(&question.what), &of_all, identity).await? {
                (Err(denied), true) => {
                    if denied.is_refusal() {
                        self.memory.book.shut(&question.place, &question.who);
                    }
                    return Err(denied);
                }
                // What another was told of who they are is not for this one.
                (Err(denied), false) if denied.is_of_the_asker() => {}
                (outcome, _) => return outcome,
            }
        }
        self.ask_own(upstream, question, identity).await
    }

    /// Whether it is granted to who asks.
    async fn ask_own(&self, upstream: &Arc<Upstream>, question: &Question, identity: &Identity) -> Answered {
        self.join(upstream, Some(&question.what), question, identity).await?.0
    }

    /// What comes of a question that is being asked about the same, or else of this one; and whether it was this one.
    pub(super) async fn join(
        &self,
        upstream: &Arc<Upstream>,
        about: Option<&What>,
        question: &Question,
        identity: &Identity,
    ) -> Result<(Answered, bool), Denied> {
        let key = (question.place.clone(), about.cloned(), question.who.clone());
        let mut is_leader = false;
        let lead = || {
            is_leader = true;
            let (memory, upstream, turns) = (self.memory.clone(), upstream.clone(), self.turns.clone());
            let (question, identity) = (question.clone(), identity.clone());
            async move {
                let Some(_turn) = turns.take(&question.place.upstream) else { return Err(Denied::Overloaded) };
                let asked_at = Now::read();
                let asked = Asked::of(&upstream, &question.place, &question.what, &identity).await;
                memory.note(&question, asked_at, asked)
            }
        };
        let outcome = self.asking.run(key, lead).await.ok_or(Denied::Overloaded)?;
        Ok((outcome, is_leader))
    }
}
