//! `PUT /v2/<name>/manifests/<tag-or-digest>`: keeps a manifest, and moves tags to it.

use std::sync::Arc;

use http::{HeaderValue, header};
use jiff::Timestamp;
use longshore_oci::{Algorithm, Digest, Manifest, Reference, RepositoryName, Route, Tag};

use super::{
    Call, Incoming, Outcome,
    admission::{authority, forbidden},
    body, platform, reply,
};
use crate::{
    access::{Action, Caller, Judgement, Need},
    error::Error,
    policy::{Document, Push},
    record,
    registry::Registry,
    state::{Author, PutManifest, RestoredPush, StateError, references},
    verdicts::{Overwrite, judge_overwrite},
};

/// How many tags one request may set.
const MAX_TAGS: usize = 100;
/// How many tags are told in one header line: clients limit how many lines they take, and how long these are.
const TAGS_A_LINE: usize = 10;

pub async fn manifest_put<B: Incoming>(
    registry: &Arc<Registry>,
    name: RepositoryName,
    reference: Reference,
    mut call: Call<B>,
) -> Outcome {
    let tags = wanted_tags(&reference, &call)?;
    let limit_bytes = registry.limits.max_manifest_bytes;
    let content = body::read(registry, &mut call, limit_bytes).await?.ok_or(Error::ManifestTooLarge { limit_bytes })?;
    let digest = settle_digest(&reference, &content)?;
    Author::concerning(&digest);
    let manifest = Manifest::parse(&content, call.header(header::CONTENT_TYPE))?;
    require_right(&call.caller, &name, &manifest, &tags)?;
    let policies = registry.policies.current();
    let push = Push { repository: &name, digest: &digest, manifest: &manifest, size_bytes: content.len() as u64 };
    let mut verdict = policies.judge(push);
    let overwrite = judge_overwrite(registry, &policies, &name, &digest, &tags, authority(registry, &call.parts)).await?;
    for tag in &tags {
        if (policies.is_about(&name, tag) || overwrite.is_about(tag))
            && let Some(found) = registry.state.manifest(&name, &Reference::Tag(tag.clone())).await?
        {
            verdict += policies.judge_move(&name, tag, &found.digest, Some(&digest));
            verdict += overwrite.judge_move(tag, &found.digest);
        }
    }
    let warnings = registry.policies.settle(verdict)?;
    if !registry.limits.allows_missing_references {
        require_references(registry, &name, &manifest).await?;
    }
    let platform = platform::of(registry, &name, &manifest).await;
    let subject = manifest.subject.as_ref().map(|subject| reply::digest_value(&subject.digest));
    // What the client is told does not hang on its waiting for it: once begun, this is done whole.
    let (keeper, repository, moved) = (registry.clone(), name.clone(), tags.clone());
    let push = RestoredPush { digest: digest.clone(), manifest, platform, content, pushed_at: Timestamp::now() };
    registry
        .spawn(async move { keep(&keeper, (&policies, &overwrite), repository, push, moved).await })
        .await
        .map_err(|error| Error::Upload(crate::upload::UploadError::Task(error)))??;
    let mut response = reply::created(registry.location(Route::Manifest(name, Reference::Digest(digest.clone()))), &digest);
    reply::warn(&mut response, &warnings);
    if let Some(subject) = subject {
        response.headers_mut().insert("oci-subject", subject);
    }
    if matches!(reference, Reference::Digest(_)) {
        for line in tags.chunks(TAGS_A_LINE) {
            let line = line.iter().map(Tag::as_str).collect::<Vec<_>>().join(", ");
            response.headers_mut().append("oci-tag", HeaderValue::try_from(line).expect("tags are plain ASCII"));
        }
    }
    Ok(response)
}

/// The tags to set: the path's, or those of the query where the path has a digest.
fn wanted_tags<B>(reference: &Reference, call: &Call<B>) -> Result<Vec<Tag>, Error> {
    let mut tags = match reference {
        Reference::Tag(tag) => vec![tag.clone()],
        Reference::Digest(_) => call.query().all("tag").map(|tag| tag.parse()).collect::<Result<_, _>>()?,
    };
    tags.sort_unstable();
    tags.dedup();
    if tags.len() > MAX_TAGS {
        return Err(Error::TooManyTags { count: tags.len(), limit: MAX_TAGS });
    }
    Ok(tags)
}

/// Who may not push may still add what is about an image: something whose subject it is, or that lies at a tag made of its digest.
fn require_right(caller: &Caller, name: &RepositoryName, manifest: &Manifest, tags: &[Tag]) -> Result<(), Error> {
    let need = Need::Repository(name, Action::Push);
    if caller.judge(need) == Judgement::Granted {
        return Ok(());
    }
    let is_about_an_image = if tags.is_empty() { manifest.subject.is_some() } else { tags.iter().all(Tag::is_of_a_digest) };
    if is_about_an_image { Ok(()) } else { Err(forbidden(caller, need)) }
}

fn settle_digest(reference: &Reference, content: &[u8]) -> Result<Digest, Error> {
    let Reference::Digest(expected) = reference else { return Ok(Digest::of(Algorithm::Sha256, content)) };
    let actual = Digest::of(expected.algorithm(), content);
    if actual == *expected { Ok(actual) } else { Err(Error::ManifestDigest { expected: expected.clone(), actual }) }
}

/// A manifest whose content is not here could not be pulled, so it is not taken. It is asked again in the push's own transaction; here
/// it costs nothing to say no.
async fn require_references(registry: &Registry, name: &RepositoryName, manifest: &Manifest) -> Result<(), Error> {
    let (blobs, children) = references(manifest);
    let missing = registry.state.missing(name, &blobs, &children).await?;
    if missing.is_empty() { Ok(()) } else { Err(Error::ReferencesMissing(missing)) }
}

/// Writes the change beside the blobs, then into the database; anew where a deletion that began later was done sooner.
async fn keep(
    registry: &Registry,
    (policies, overwrite): (&Document, &Overwrite),
    repository: RepositoryName,
    push: RestoredPush,
    tags: Vec<Tag>,
) -> Result<(), Error> {
    let is_frozen = |tag: &&Tag| policies.is_frozen(&repository, tag) || overwrite.refuses(tag);
    let frozen_tags: Vec<Tag> = tags.iter().filter(is_frozen).cloned().collect();
    for _ in 0..record::ATTEMPTS {
        let put = |revision| {
            let RestoredPush { digest, manifest, platform, content, pushed_at } = push.clone();
            registry.state.put_manifest(PutManifest {
                repository: repository.clone(),
                digest,
                manifest,
                platform,
                content,
                tags: tags.clone(),
                frozen_tags: frozen_tags.clone(),
                revision,
                pushed_at,
                must_be_whole: !registry.limits.allows_missing_references,
            })
        };
        let record = |revision| record::of_push(revision, push.pushed_at, &push, &tags);
        let kept = record::change(registry, &repository, record, put).await;
        registry.changed(&repository);
        match kept? {
            Err(StateError::Changed) => {}
            Err(StateError::Missing(missing)) => return Err(Error::ReferencesMissing(missing)),
            // Somebody else set it after it was looked at.
            Err(StateError::Frozen { tag, digest }) => {
                let mut verdict = policies.judge_move(&repository, &tag, &digest, Some(&push.digest));
                verdict += overwrite.judge_move(&tag, &digest);
                registry.policies.settle(verdict)?;
                return Err(StateError::Changed.into());
            }
            kept => return Ok(kept?),
        }
    }
    Err(StateError::Changed.into())
}
