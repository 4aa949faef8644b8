//! Records, written and deleted as a registry does it, and what a rebuilding makes of those that are left.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use jiff::Timestamp;
use longshore_oci::{Digest, RepositoryName, Tag};

use super::{
    Subject,
    samples::{push, repository},
};
use crate::{
    record,
    state::{DeleteManifest, Garbage, PutManifest, RestoredPush, SharedState, StateError},
    storage::ObjectKey,
};

/// How often a change is begun anew because another came between.
const ATTEMPTS: u32 = 64;

/// The records that lie in a store.
#[derive(Default)]
pub struct Journal {
    records: Mutex<BTreeMap<ObjectKey, Bytes>>,
}

/// A change whose record is written and which the database does not know yet.
pub enum Change {
    Push(Box<PutManifest>),
    Untag(RepositoryName, Tag, u64),
    Delete(DeleteManifest),
}

impl Change {
    fn key(&self) -> ObjectKey {
        let repository = match self {
            Self::Push(put) => &put.repository,
            Self::Untag(name, ..) => name,
            Self::Delete(deletion) => &deletion.repository,
        };
        ObjectKey::Record(repository.clone(), self.revision())
    }

    fn revision(&self) -> u64 {
        match self {
            Self::Push(put) => put.revision,
            Self::Untag(_, _, revision) => *revision,
            Self::Delete(deletion) => deletion.revision,
        }
    }

    fn record(&self) -> Vec<Bytes> {
        let now = Timestamp::now();
        match self {
            Self::Push(put) => {
                let PutManifest { digest, manifest, platform, content, pushed_at, .. } = (**put).clone();
                let restored = RestoredPush { digest, manifest, platform, content, pushed_at };
                record::of_push(put.revision, put.pushed_at, &restored, &put.tags)
            }
            Self::Untag(_, tag, revision) => record::of_deletion(*revision, now, None, std::slice::from_ref(tag)),
            Self::Delete(deletion) => record::of_deletion(deletion.revision, now, Some(&deletion.digest), &deletion.tags),
        }
    }
}

impl Journal {
    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<ObjectKey, Bytes>) -> T) -> T {
        change(&mut self.records.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many records there are.
    pub fn count(&self) -> usize {
        self.change(|records| records.len())
    }

    /// Writes a change's record.
    pub fn begin(&self, change: &Change) {
        self.change(|records| records.insert(change.key(), change.record().concat().into()));
    }

    /// Brings a change into the database. Where that is refused its record goes, and the answer is false.
    pub async fn finish(&self, state: &SharedState, change: Change) -> bool {
        let (key, revision) = (change.key(), change.revision());
        let outcome = match change {
            Change::Push(put) => state.put_manifest(*put).await,
            Change::Untag(name, tag, revision) => state.delete_tag(&name, &tag, revision).await,
            Change::Delete(deletion) => state.delete_manifest(deletion).await,
        };
        let Err(StateError::Changed) = outcome else {
            outcome.unwrap();
            return true;
        };
        self.change(|records| records.remove(&key));
        state.drop_change(revision).await.unwrap();
        false
    }

    /// Pushes a manifest as a registry does: anew where a deletion came between.
    pub async fn push(&self, state: &SharedState, name: &str, content: &Bytes, tags: &[&str]) -> Digest {
        for _ in 0..ATTEMPTS {
            let put = push(name, content, tags, state.begin_change(&repository(name)).await.unwrap());
            let (digest, change) = (put.digest.clone(), Change::Push(Box::new(put)));
            self.begin(&change);
            if self.finish(state, change).await {
                return digest;
            }
        }
        panic!("{ATTEMPTS} times something came between");
    }

    /// Deletes a manifest as a registry does; false where there is none.
    pub async fn delete(&self, state: &SharedState, name: &RepositoryName, digest: &Digest) -> bool {
        for _ in 0..ATTEMPTS {
            let Some(tags) = state.tags_of(name, digest).await.unwrap() else { return false };
            let revision = state.begin_change(name).await.unwrap();
            let change = Change::Delete(DeleteManifest { repository: name.clone(), digest: digest.clone(), tags, revision });
            self.begin(&change);
            if self.finish(state, change).await {
                return true;
            }
        }
        panic!("{ATTEMPTS} times something came between");
    }

    /// Deletes a tag as a registry does; false where there is none.
    pub async fn untag(&self, state: &SharedState, name: &RepositoryName, tag: &Tag) -> bool {
        let change = Change::Untag(name.clone(), tag.clone(), state.begin_change(name).await.unwrap());
        self.begin(&change);
        self.finish(state, change).await
    }

    /// Deletes the records that are garbage, but for those whose turn `is_spared`, and strikes them off.
    pub async fn sweep(&self, state: &SharedState, is_spared: impl Fn(usize) -> bool) {
        let due = state.due_garbage(10_000).await.unwrap().into_iter().enumerate();
        let swept: Vec<Garbage> = due.filter(|(turn, _)| !is_spared(*turn)).map(|(_, garbage)| garbage).collect();
        for Garbage { key, .. } in &swept {
            assert!(self.change(|records| records.remove(key)).is_some(), "{key} was garbage twice");
        }
        state.forget_garbage(swept).await.unwrap();
    }

    /// Sweeps until nothing is left to sweep.
    pub async fn settle(&self, state: &SharedState) {
        self.sweep(state, |_| false).await;
        while state.retire_records(100).await.unwrap() > 0 {
            self.sweep(state, |_| false).await;
        }
    }

    /// Empties a database and plays back all records but those of changes still under way.
    pub async fn replay(&self, scratch: &SharedState, under_way: &[Change]) {
        scratch.clear().await.unwrap();
        let mut records: Vec<(ObjectKey, Bytes)> = self.change(|records| records.clone().into_iter().collect());
        let under_way: Vec<ObjectKey> = under_way.iter().map(Change::key).collect();
        records.retain(|(key, _)| !under_way.contains(key));
        records.sort_by_key(|(key, _)| match key {
            ObjectKey::Record(_, revision) => *revision,
            ObjectKey::Blob(..) => unreachable!("only records are kept here"),
        });
        for (key, record) in &records {
            scratch.restore_record(record::read(key.repository(), record).unwrap()).await.unwrap();
        }
    }

    /// What a registry's users see of manifests and tags, a line each, with all dates.
    pub async fn shown(subject: &Subject) -> Vec<String> {
        subject
            .texts(
                "SELECT shown FROM (
                     SELECT 'manifest ' || r.name || ' ' || m.digest || ' ' || m.media_type || ' ' || COALESCE(m.platform, '-') || ' '
                         || COALESCE(m.subject, '-') || ' ' || m.annotations || ' ' || m.revision || ' ' || m.pushed_at AS shown
                     FROM manifests m JOIN repositories r ON r.id = m.repository_id
                     UNION ALL
                     SELECT 'tag ' || r.name || ':' || t.name || ' ' || t.digest || ' ' || t.revision || ' ' || t.updated_at
                     FROM tags t JOIN repositories r ON r.id = t.repository_id
                     UNION ALL
                     SELECT 'edge ' || r.name || ' ' || e.parent || ' ' || e.position || ' ' || e.child
                     FROM manifest_edges e JOIN repositories r ON r.id = e.repository_id
                     UNION ALL
                     SELECT 'referrer ' || r.name || ' ' || f.subject || ' ' || f.digest
                     FROM referrers f JOIN repositories r ON r.id = f.repository_id
                 ) AS all_shown ORDER BY shown",
            )
            .await
    }
}
