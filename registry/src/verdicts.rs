//! Whether an image may be pulled: what its policies ask, and what there is to show.
//!
//! A judgement is a function of the policies, of the manifests about the image, which their digests name, and of the time. So it is
//! remembered by these, and a pull of an image that was judged costs no cryptography; a signature that came, or a document that was
//! changed, is another question.

mod exemption;
mod gathering;
mod overwrite;
mod trial;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use longshore_oci::{Digest, Reference, RepositoryName};
use moka::sync::Cache;
use tokio::sync::Semaphore;

use crate::{
    error::Error,
    policy::{Document, Judgement, Mode, Subject},
    registry::Registry,
    state::EvidenceIndex,
};

use exemption::is_evidence;
use gathering::gather;
pub use overwrite::{Overwrite, judge_overwrite};
pub use trial::{MOST_IMAGES, Standing, Subjects, Trial, Tried};

/// How many judgements are remembered.
const MOST_JUDGED: u64 = 10_000;
/// How many images are judged at once: each may take its evidence's bytes, and more to read them.
const AT_ONCE: usize = 2;
/// How many indexes that list an image, itself or one through the other, are judged.
const MOST_LISTING: usize = 64;
/// What is judged: by which document, of which image, by the manifests about it.
type Question = (u64, RepositoryName, Digest, Arc<EvidenceIndex>);

/// Judgements that were made.
pub struct Verdicts {
    judged: Cache<Question, Arc<Vec<Judgement>>>,
    /// The manifests that are evidence themselves; they stay what they are.
    evidence: Cache<(RepositoryName, Digest), ()>,
    turns: Semaphore,
    /// Held by who tries out what is not in force.
    trying: Semaphore,
}

/// What was found of an image.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What each policy came to, for the image or for an index that lists it.
    pub judgements: Vec<Judgement>,
    /// Whether it is evidence itself, for all to see.
    pub is_evidence: bool,
}

impl Judged {
    /// Whether each policy is satisfied.
    pub fn is_satisfied(&self) -> bool {
        self.judgements.iter().all(|judgement| judgement.is_satisfied)
    }

    /// For how long a pull that it allows stays allowed, where the time alone may change that: until the first of the judgements by which
    /// it is allowed is to be made again.
    pub fn stands_for(&self, now: Timestamp) -> Option<Duration> {
        let allows = |judgement: &&Judgement| judgement.is_satisfied && judgement.mode == Mode::Enforce;
        let until = self.judgements.iter().filter(allows).filter_map(|judgement| judgement.until).min()?;
        Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
    }
}

impl Verdicts {
    /// None yet.
    pub fn new() -> Self {
        Self {
            judged: Cache::new(MOST_JUDGED),
            evidence: Cache::new(MOST_JUDGED),
            turns: Semaphore::new(AT_ONCE),
            trying: Semaphore::new(1),
        }
    }
}

/// What images are judged by.
#[derive(Clone, Copy)]
struct Law<'a> {
    document: &'a Arc<Document>,
    /// Whether it is asked again and again, so that what it comes to is to be remembered.
    is_in_force: bool,
}

/// What the policies come to for an image.
pub async fn judge(
    registry: &Registry,
    document: &Arc<Document>,
    name: &RepositoryName,
    image: &Digest,
) -> Result<Judged, Error> {
    judge_by(registry, Law { document, is_in_force: true }, name, image).await
}

async fn judge_by(registry: &Registry, law: Law<'_>, name: &RepositoryName, image: &Digest) -> Result<Judged, Error> {
    let judgements = judge_one(registry, law, name, image).await?;
    let mut judged = Judged { judgements: judgements.to_vec(), is_evidence: false };
    if !judged.is_satisfied() {
        judged.is_evidence = is_evidence(registry, name, image).await?;
    }
    if !judged.is_satisfied() && !judged.is_evidence {
        judge_indexes(registry, law, name, image, &mut judged).await?;
    }
    Ok(judged)
}

/// Has the policies that the image does not satisfy satisfied by indexes that list it, itself or through others: each by any.
async fn judge_indexes(
    registry: &Registry,
    law: Law<'_>,
    name: &RepositoryName,
    image: &Digest,
    judged: &mut Judged,
) -> Result<(), Error> {
    let mut seen = vec![image.clone()];
    let mut next = 0;
    while let Some(listed) = seen.get(next).cloned() {
        next += 1;
        let index = registry.memory.evidence((name.clone(), listed)).await?;
        for listing in &index.listing {
            if seen.contains(listing) || seen.len() > MOST_LISTING {
                continue;
            }
            seen.push(listing.clone());
            let found = judge_one(registry, law, name, listing).await?;
            // They are the judgements of the same policies in the same order.
            for (judgement, found) in judged.judgements.iter_mut().zip(found.iter()) {
                if !judgement.is_satisfied && found.is_satisfied {
                    *judgement = Judgement { through: Some(listing.clone()), ..found.clone() };
                }
            }
            if judged.is_satisfied() {
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn judge_one(
    registry: &Registry,
    Law { document, is_in_force }: Law<'_>,
    name: &RepositoryName,
    image: &Digest,
) -> Result<Arc<Vec<Judgement>>, Error> {
    let index = registry.memory.evidence((name.clone(), image.clone())).await?;
    let key = (document.id, name.clone(), image.clone(), index.clone());
    let known = || {
        let now = Timestamp::now();
        let stands = |judgement: &Judgement| judgement.until.is_none_or(|until| now < until);
        registry.verdicts.judged.get(&key).filter(|judgements| judgements.iter().all(stands))
    };
    if let Some(judgements) = known() {
        return Ok(judgements);
    }
    let _turn = registry.verdicts.turns.acquire().await.map_err(|_| Error::Overloaded)?;
    if let Some(judgements) = known() {
        return Ok(judgements);
    }
    let (evidence, is_whole) = gather(registry, name, &index.about).await?;
    let manifest = registry.memory.manifest((name.clone(), Reference::Digest(image.clone()))).await?;
    let (repository, digest, document, is_there) = (name.clone(), image.clone(), document.clone(), manifest.is_some());
    let judge = move || {
        // One that was just deleted is nothing that a signature names.
        let (media_type, size_bytes) =
            manifest.as_ref().map_or(("", 0), |found| (&*found.media_type, found.content.len() as u64));
        let (repository, digest, evidence, now) = (&repository, &digest, &evidence, Timestamp::now());
        let subject = Subject { repository, digest, media_type, size_bytes, evidence, now };
        Arc::new(document.judge_pull(subject))
    };
    let judgements = tokio::task::spawn_blocking(judge).await.map_err(|_| Error::Overloaded)?;
    if is_whole && is_in_force && is_there {
        registry.verdicts.judged.insert(key, judgements.clone());
    }
    Ok(judgements)
}

#[cfg(test)]
mod tests {
    use longshore_oci::VerdictLifetime;

    use super::*;
    use crate::{policy::Matching, registry::VerdictLimits};

    /// What stands until these seconds, a policy each.
    fn judged(ends: &[Option<i64>]) -> Judged {
        let judgement = |end: &Option<i64>| Judgement {
            policy: "prod".into(),
            mode: Mode::Enforce,
            is_satisfied: true,
            matching: Matching::All,
            findings: Vec::new(),
            through: None,
            until: end.map(|second| Timestamp::from_second(second).unwrap()),
            keeps_tags: false,
        };
        Judged { judgements: ends.iter().map(judgement).collect(), is_evidence: false }
    }

    #[test]
    fn a_verdict_holds_no_longer_than_what_it_is_by() {
        let limits = VerdictLimits::new(VerdictLifetime::new(Duration::from_mins(1), Duration::from_hours(1)));
        let now = Timestamp::from_millisecond(1_000_500).unwrap();
        let cases: [(&[Option<i64>], &str); 7] = [
            (&[], "max-age=60, stale-if-error=3600"),
            (&[None], "max-age=60, stale-if-error=3600"),
            (&[Some(9_000)], "max-age=60, stale-if-error=3600"),
            (&[Some(1_601)], "max-age=60, stale-if-error=600"),
            (&[None, Some(1_601), Some(1_011)], "max-age=10, stale-if-error=10"),
            (&[Some(1_001)], "max-age=0, stale-if-error=0"),
            (&[Some(900), Some(1_601)], "max-age=0, stale-if-error=0"),
        ];
        for (ends, header) in cases {
            assert_eq!(limits.header(judged(ends).stands_for(now)), header, "{ends:?}");
        }
        // What does not bear on whether it is allowed ends nothing.
        let mut warned = judged(&[Some(1_011), Some(1_021)]);
        warned.judgements[0].is_satisfied = false;
        warned.judgements[1].mode = Mode::Warn;
        assert_eq!(warned.stands_for(now), None);
    }
}
