use std::sync::Arc;

use longshore_oci::{Digest, RepositoryName, Tag};

use super::judge;
use crate::{
    error::Error,
    policy::{self, Document, Verdict, Violation},
    registry::Registry,
};

/// What policies say to a manifest that is to take over tags which are set already.
#[derive(Clone, Debug, Default)]
pub struct Overwrite {
    to: Option<Digest>,
    /// What those ask of it that let only what satisfies them do so, and it does not show.
    unshown: Verdict,
}

/// Judges a manifest, whether it is here already or not, as a pull of it would be. Who pushes does not matter: whoever may sign could do
/// so first.
pub async fn judge_overwrite(
    registry: &Registry,
    document: &Arc<Document>,
    name: &RepositoryName,
    digest: &Digest,
    tags: &[Tag],
    authority: &str,
) -> Result<Overwrite, Error> {
    if !document.keeps_tags(name) || tags.iter().all(Tag::is_of_a_digest) {
        return Ok(Overwrite::default());
    }
    let mut judgements = judge(registry, document, name, digest).await?.judgements;
    judgements.retain(|judgement| judgement.keeps_tags);
    Ok(Overwrite { to: Some(digest.clone()), unshown: policy::verdict(&judgements, authority) })
}

impl Overwrite {
    /// Whether there is anything to say about a move of this tag. Tags made of a digest are where signatures lie, and move as these come.
    pub fn is_about(&self, tag: &Tag) -> bool {
        self.unshown != Verdict::default() && !tag.is_of_a_digest()
    }

    /// Whether the tag is to stay where it is, if it is set.
    pub fn refuses(&self, tag: &Tag) -> bool {
        self.is_about(tag) && !self.unshown.refusals.is_empty()
    }

    /// What is said where the tag is at `from`.
    pub fn judge_move(&self, tag: &Tag, from: &Digest) -> Verdict {
        if !self.is_about(tag) || self.to.as_ref() == Some(from) {
            return Verdict::default();
        }
        let told = |Violation { policy, reason }: &Violation| Violation {
            policy: policy.clone(),
            reason: format!(
                "tag {tag} stays at {from} until what is to take it over satisfies this policy: push it by digest, or under another \
                 tag, sign it, then move the tag. It {reason}"
            ),
        };
        let all = |violations: &[Violation]| violations.iter().map(told).collect();
        Verdict { refusals: all(&self.unshown.refusals), warnings: all(&self.unshown.warnings) }
    }
}
