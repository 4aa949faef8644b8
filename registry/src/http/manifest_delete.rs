//! `DELETE /v2/<name>/manifests/<tag-or-digest>`: a tag alone, or a manifest with the tags at it.

use std::sync::Arc;

use http::StatusCode;
use jiff::Timestamp;
use longshore_oci::{Digest, Reference, RepositoryName, Tag};

use super::{Outcome, manifest_put::judge_tag, reply};
use crate::{
    error::Error,
    policy::{Verdict, Violation},
    record,
    registry::Registry,
    state::{DeleteManifest, StateError},
};

pub async fn manifest_delete(registry: &Arc<Registry>, name: RepositoryName, reference: Reference) -> Outcome {
    let worker = registry.clone();
    let work = async move {
        let warnings = judge(&worker, &name, &reference).await?;
        let outcome = match &reference {
            Reference::Tag(tag) => delete_tag(&worker, &name, tag).await,
            Reference::Digest(digest) => delete_manifest(&worker, &name, digest).await,
        };
        worker.changed(&name);
        if outcome? { Ok(warnings) } else { Err(Error::ManifestUnknown(reference.to_string())) }
    };
    let warnings = registry.tasks.spawn(work).await.map_err(|error| Error::Upload(crate::upload::UploadError::Task(error)))??;
    registry.garbage.notify_one();
    let mut response = reply::status(StatusCode::ACCEPTED);
    reply::warn(&mut response, &warnings);
    Ok(response)
}

/// What the policies say where the tag goes away, or the tags at the manifest do.
async fn judge(registry: &Registry, name: &RepositoryName, reference: &Reference) -> Result<Vec<Violation>, Error> {
    let policies = registry.policies.current();
    let tags = match reference {
        Reference::Tag(tag) => vec![tag.clone()],
        Reference::Digest(_) if policies.policies.is_empty() => Vec::new(),
        Reference::Digest(digest) => registry.state.tags_of(name, digest).await?.unwrap_or_default(),
    };
    let mut verdict = Verdict::default();
    for tag in &tags {
        verdict += judge_tag(registry, &policies, name, tag, None).await?;
    }
    registry.policies.settle(verdict)
}

async fn delete_tag(registry: &Registry, name: &RepositoryName, tag: &Tag) -> Result<bool, Error> {
    if registry.state.manifest(name, &Reference::Tag(tag.clone())).await?.is_none() {
        return Ok(false);
    }
    let record = |revision| record::of_deletion(revision, Timestamp::now(), None, std::slice::from_ref(tag));
    match record::change(registry, name, record, |revision| registry.state.delete_tag(name, tag, revision)).await? {
        // It went, or was set anew, meanwhile.
        Err(StateError::Changed) => Ok(false),
        deleted => Ok(deleted.map(|()| true)?),
    }
}

async fn delete_manifest(registry: &Registry, name: &RepositoryName, digest: &Digest) -> Result<bool, Error> {
    for _ in 0..record::ATTEMPTS {
        let Some(tags) = registry.state.tags_of(name, digest).await? else { return Ok(false) };
        let record = |revision| record::of_deletion(revision, Timestamp::now(), Some(digest), &tags);
        let delete = |revision| {
            let deletion = DeleteManifest { repository: name.clone(), digest: digest.clone(), tags: tags.clone(), revision };
            registry.state.delete_manifest(deletion)
        };
        match record::change(registry, name, record, delete).await? {
            Err(StateError::Changed) => {}
            deleted => return Ok(deleted.map(|()| true)?),
        }
    }
    Err(StateError::Changed.into())
}
