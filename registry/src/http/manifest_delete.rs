//! `DELETE /v2/<name>/manifests/<tag-or-digest>`: a tag alone, or a manifest with the tags at it.

use std::sync::Arc;

use http::StatusCode;
use jiff::Timestamp;
use longshore_oci::{Digest, Reference, RepositoryName, Tag};

use super::{Outcome, reply};
use crate::{
    error::Error,
    policy::{Document, Verdict, Violation},
    record,
    registry::Registry,
    state::{Author, DeleteManifest, StateError},
};

pub async fn manifest_delete(registry: &Arc<Registry>, name: RepositoryName, reference: Reference) -> Outcome {
    let worker = registry.clone();
    let work = async move {
        let policies = worker.policies.current();
        let outcome = match &reference {
            Reference::Tag(tag) => delete_tag(&worker, &policies, &name, tag).await,
            Reference::Digest(digest) => delete_manifest(&worker, &policies, &name, digest).await,
        };
        worker.changed(&name);
        outcome?.ok_or_else(|| Error::ManifestUnknown(reference.to_string()))
    };
    let warnings = registry.spawn(work).await.map_err(|error| Error::Upload(crate::upload::UploadError::Task(error)))??;
    registry.garbage.notify_one();
    let mut response = reply::status(StatusCode::ACCEPTED);
    reply::warn(&mut response, &warnings);
    Ok(response)
}

/// What the policies warn of; `None` where there is no such tag.
async fn delete_tag(
    registry: &Registry,
    policies: &Document,
    name: &RepositoryName,
    tag: &Tag,
) -> Result<Option<Vec<Violation>>, Error> {
    let Some(found) = registry.state.manifest(name, &Reference::Tag(tag.clone())).await? else { return Ok(None) };
    Author::concerning(&found.digest);
    let warnings = registry.policies.settle(policies.judge_move(name, tag, &found.digest, None))?;
    let record = |revision| record::of_deletion(revision, Timestamp::now(), None, std::slice::from_ref(tag));
    match record::change(registry, name, record, |revision| registry.state.delete_tag(name, tag, revision)).await? {
        // It went, or was set anew, meanwhile.
        Err(StateError::Changed) => Ok(None),
        deleted => Ok(deleted.map(|()| Some(warnings))?),
    }
}

/// As [`delete_tag`]. The policies are asked of the very tags that the deletion will find, or be made anew.
async fn delete_manifest(
    registry: &Registry,
    policies: &Document,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Option<Vec<Violation>>, Error> {
    for _ in 0..record::ATTEMPTS {
        let Some(tags) = registry.state.tags_of(name, digest).await? else { return Ok(None) };
        let mut verdict = Verdict::default();
        for tag in &tags {
            verdict += policies.judge_move(name, tag, digest, None);
        }
        let warnings = registry.policies.settle(verdict)?;
        let record = |revision| record::of_deletion(revision, Timestamp::now(), Some(digest), &tags);
        let delete = |revision| {
            let deletion = DeleteManifest { repository: name.clone(), digest: digest.clone(), tags: tags.clone(), revision };
            registry.state.delete_manifest(deletion)
        };
        match record::change(registry, name, record, delete).await? {
            Err(StateError::Changed) => {}
            deleted => return Ok(deleted.map(|()| Some(warnings))?),
        }
    }
    Err(StateError::Changed.into())
}
