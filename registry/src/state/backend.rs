//! The one implementation of [`super::State`], for each database by a macro: it hands every call to the statements, in a transaction
//! of the database's own kind.

/// Implements `State` for a backend that has `read` and `write`, in a module that has `statements`.
macro_rules! implement_state {
    ($backend:ty, is_exclusive: $is_exclusive:literal) => {
        #[async_trait::async_trait]
        impl $crate::state::State for $backend {
            fn is_exclusive(&self) -> bool {
                $is_exclusive
            }
            async fn probe(&self) -> Result<(), StateError> {
                self.require()?;
                read!(self, |connection| statements::lists::repositories(connection, "", 1)).map(|_| ())
            }
            fn connections(&self) -> (u32, usize) {
                (self.pool().size(), self.pool().num_idle())
            }
            async fn create_upload(&self, upload: NewUpload) -> Result<(), StateError> {
                write!(self, Light, [upload], |connection| statements::uploads::create(connection, &upload))
            }
            async fn claim_upload(&self, wish: ClaimWish) -> Result<Claim, StateError> {
                write!(self, Light, [wish], |connection| statements::uploads::claim(connection, &wish))
            }
            async fn renew_claim(&self, id: Uuid, claim: Uuid, lease_us: i64) -> Result<bool, StateError> {
                write!(self, Light, [], |connection| statements::uploads::renew(connection, id, claim, lease_us))
            }
            async fn release_claim(&self, id: Uuid, claim: Uuid, has_written: bool) -> Result<(), StateError> {
                write!(self, Light, [], |connection| statements::uploads::release(connection, id, claim, has_written))
            }
            async fn checkpoint_upload(&self, id: Uuid, claim: Uuid, checkpoint: Checkpoint) -> Result<bool, StateError> {
                if checkpoint.is_one_statement() {
                    write!(self, Light, [checkpoint], |connection| statements::uploads::checkpoint(
                        connection,
                        id,
                        claim,
                        &checkpoint
                    ))
                } else {
                    write!(self, Passing, [checkpoint], |connection| statements::uploads::checkpoint(
                        connection,
                        id,
                        claim,
                        &checkpoint
                    ))
                }
            }
            async fn finish_upload(&self, finish: FinishUpload) -> Result<Finished, StateError> {
                write!(self, Durable, [finish], |connection| statements::blobs::finish(connection, &finish))
            }
            async fn commit_blob(&self, commit: BlobCommit) -> Result<bool, StateError> {
                write!(self, Durable, [commit], |connection| statements::blobs::commit(connection, &commit))
            }
            async fn upload_status(&self, repository: &RepositoryName, id: Uuid) -> Result<Option<UploadStatus>, StateError> {
                read!(self, |connection| statements::uploads::status(connection, repository, id))
            }
            async fn cancel_upload(
                &self,
                repository: &RepositoryName,
                id: Uuid,
                claim: Option<Uuid>,
            ) -> Result<Cancelled, StateError> {
                write!(self, Passing, [repository], |connection| statements::uploads::cancel(connection, &repository, id, claim))
            }
            async fn expire_uploads(&self, before: Timestamp, limit: u32) -> Result<u64, StateError> {
                write!(self, Passing, [], |connection| statements::uploads::expire(connection, before, limit))
            }
            async fn count_uploads(&self) -> Result<u64, StateError> {
                read!(self, |connection| statements::uploads::count(connection))
            }
            async fn is_upload_open(&self, id: Uuid) -> Result<bool, StateError> {
                read!(self, |connection| statements::uploads::is_open(connection, id))
            }
            async fn blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<Option<StoredBlob>, StateError> {
                read!(self, |connection| statements::blobs::find(connection, repository, digest))
            }
            async fn mount_blob(
                &self,
                repository: &RepositoryName,
                from: Option<&RepositoryName>,
                digest: &Digest,
            ) -> Result<bool, StateError> {
                let from = from.cloned();
                write!(self, Durable, [repository, from, digest], |connection| {
                    statements::blobs::mount(connection, &repository, (*from).as_ref(), &digest)
                })
            }
            async fn blob_objects(
                &self,
                repository: &RepositoryName,
                digest: &Digest,
            ) -> Result<Option<Vec<ObjectKey>>, StateError> {
                read!(self, |connection| statements::blobs::objects(connection, repository, digest))
            }
            async fn delete_blob(&self, deletion: DeleteBlob) -> Result<(), StateError> {
                write!(self, Durable, [deletion], |connection| statements::blobs::delete(connection, &deletion))
            }
            async fn unrecorded_links(
                &self,
                before: Timestamp,
                limit: u32,
            ) -> Result<Vec<(RepositoryName, Vec<Digest>)>, StateError> {
                read!(self, |connection| statements::blobs::unrecorded(connection, before, limit))
            }
            async fn record_links(
                &self,
                repository: &RepositoryName,
                digests: &[Digest],
                revision: u64,
            ) -> Result<(), StateError> {
                let digests = digests.to_vec();
                write!(self, Durable, [repository, digests], |connection| {
                    statements::blobs::record(connection, &repository, &digests, revision)
                })
            }
            async fn begin_change(&self, repository: &RepositoryName) -> Result<u64, StateError> {
                Self::begin_change(self, repository).await
            }
            async fn drop_change(&self, revision: u64) -> Result<(), StateError> {
                write!(self, Light, [], |connection| statements::records::discard(connection, revision)).map(drop)
            }
            async fn abandon_changes(&self, before: Timestamp, limit: u32) -> Result<u64, StateError> {
                write!(self, Durable, [], |connection| statements::records::abandon(connection, before, limit))
            }
            async fn manifest(
                &self,
                repository: &RepositoryName,
                reference: &Reference,
            ) -> Result<Option<StoredManifest>, StateError> {
                read!(self, |connection| statements::manifests::find(connection, repository, reference))
            }
            async fn evidence(&self, repository: &RepositoryName, image: &Digest) -> Result<EvidenceIndex, StateError> {
                read!(self, |connection| statements::evidence::about(connection, repository, image))
            }
            async fn missing(
                &self,
                repository: &RepositoryName,
                blobs: &[Digest],
                manifests: &[Digest],
            ) -> Result<Vec<Digest>, StateError> {
                read!(self, |connection| statements::manifests::missing(connection, repository, blobs, manifests))
            }
            async fn put_manifest(&self, put: PutManifest) -> Result<(), StateError> {
                write!(self, Durable, [put], |connection| statements::manifests::put(connection, &put))
            }
            async fn tags_of(&self, repository: &RepositoryName, digest: &Digest) -> Result<Option<Vec<Tag>>, StateError> {
                read!(self, |connection| statements::manifests::tags_of(connection, repository, digest))
            }
            async fn delete_manifest(&self, deletion: DeleteManifest) -> Result<(), StateError> {
                write!(self, Durable, [deletion], |connection| statements::manifests::delete(connection, &deletion))
            }
            async fn delete_tag(&self, repository: &RepositoryName, tag: &Tag, revision: u64) -> Result<(), StateError> {
                write!(self, Durable, [repository, tag], |connection| {
                    statements::manifests::delete_tag(connection, &repository, &tag, revision)
                })
            }
            async fn tags(
                &self,
                repository: &RepositoryName,
                after: &str,
                limit: u32,
            ) -> Result<Option<Vec<String>>, StateError> {
                read!(self, |connection| statements::lists::tags(connection, repository, after, limit))
            }
            async fn tagged(
                &self,
                repository: &RepositoryName,
                after: &str,
                limit: u32,
            ) -> Result<Vec<(Tag, Digest)>, StateError> {
                read!(self, |connection| statements::lists::tagged(connection, repository, after, limit))
            }
            async fn repositories(&self, after: &str, limit: u32) -> Result<Vec<String>, StateError> {
                read!(self, |connection| statements::lists::repositories(connection, after, limit))
            }
            async fn referrers(
                &self,
                repository: &RepositoryName,
                subject: &Digest,
                artifact_type: Option<&str>,
                after: &str,
                limit: u32,
            ) -> Result<Vec<Referrer>, StateError> {
                read!(self, |connection| {
                    statements::lists::referrers(connection, repository, subject, artifact_type, after, limit)
                })
            }
            async fn images(&self, filter: ImageFilter) -> Result<Vec<ImageSummary>, StateError> {
                read!(self, |connection| statements::images::list(connection, &filter))
            }
            async fn image(
                &self,
                repository: &RepositoryName,
                digest: &Digest,
                sharing: Sharing,
            ) -> Result<Option<ImageDetail>, StateError> {
                read!(self, |connection| statements::images::inspect(connection, repository, digest, sharing))
            }
            async fn sync(&self) -> Result<(), StateError> {
                // Whatever was committed before this is durable when this is.
                write!(self, Durable, [], |_connection| std::future::ready(Ok(())))
            }
            async fn due_garbage(&self, limit: u32) -> Result<Vec<Garbage>, StateError> {
                read!(self, |connection| statements::garbage::due(connection, limit))
            }
            async fn forget_garbage(&self, deleted: Vec<Garbage>) -> Result<(), StateError> {
                write!(self, Passing, [deleted], |connection| statements::garbage::forget(connection, &deleted))
            }
            async fn expire_events(&self, before: Timestamp, is_audited: bool, limit: u32) -> Result<u64, StateError> {
                write!(self, Passing, [], |connection| statements::retention::expire_events(
                    connection, before, is_audited, limit
                ))
            }
            async fn expire_tag_history(&self, before: Timestamp, limit: u32) -> Result<u64, StateError> {
                write!(self, Light, [], |connection| statements::retention::expire_tag_history(connection, before, limit))
            }
            async fn retire_records(&self, limit: u32) -> Result<u64, StateError> {
                write!(self, Durable, [], |connection| statements::records::retire(connection, limit))
            }
            async fn access_version(&self) -> Result<u64, StateError> {
                read!(self, |connection| statements::accounts::version(connection))
            }
            async fn accounts(&self, after: &str, limit: u32) -> Result<Vec<StoredAccount>, StateError> {
                read!(self, |connection| statements::accounts::list(connection, after, limit))
            }
            async fn account(&self, name: &str) -> Result<Option<StoredAccount>, StateError> {
                read!(self, |connection| statements::accounts::find(connection, name))
            }
            async fn add_account(&self, new: NewAccount) -> Result<Made, StateError> {
                write!(self, Durable, [new], |connection| statements::accounts::add(connection, &new))
            }
            async fn change_account(&self, name: &str, change: AccountChange) -> Result<Option<StoredAccount>, StateError> {
                let name = name.to_owned();
                write!(self, Durable, [name, change], |connection| statements::accounts::change(connection, &name, &change))
            }
            async fn delete_account(&self, name: &str) -> Result<bool, StateError> {
                let name = name.to_owned();
                write!(self, Durable, [name], |connection| statements::accounts::delete(connection, &name))
            }
            async fn note_used(&self, used: Vec<(String, Timestamp)>) -> Result<(), StateError> {
                write!(self, Passing, [used], |connection| statements::accounts::note_used(connection, &used))
            }
            async fn roles(&self, subject: Option<&str>, after: &str, limit: u32) -> Result<Vec<StoredRole>, StateError> {
                read!(self, |connection| statements::roles::list(connection, subject, after, limit))
            }
            async fn add_role(&self, role: StoredRole, most: u32) -> Result<Made, StateError> {
                write!(self, Durable, [role], |connection| statements::roles::add(connection, &role, most))
            }
            async fn delete_role(&self, id: &str) -> Result<bool, StateError> {
                let id = id.to_owned();
                write!(self, Durable, [id], |connection| statements::roles::delete(connection, &id))
            }
            async fn issuers(&self, after: &str, limit: u32) -> Result<Vec<StoredIssuer>, StateError> {
                read!(self, |connection| statements::issuers::list(connection, after, limit))
            }
            async fn issuer(&self, name: &str) -> Result<Option<StoredIssuer>, StateError> {
                read!(self, |connection| statements::issuers::find(connection, name))
            }
            async fn put_issuer(&self, put: PutIssuer) -> Result<Put, StateError> {
                write!(self, Durable, [put], |connection| statements::issuers::put(connection, &put))
            }
            async fn delete_issuer(&self, name: &str, expected: Expected) -> Result<Deletion, StateError> {
                let name = name.to_owned();
                write!(self, Durable, [name], |connection| statements::issuers::delete(connection, &name, expected))
            }
            async fn policy_version(&self) -> Result<u64, StateError> {
                read!(self, |connection| statements::policies::version(connection))
            }
            async fn policy_documents(&self) -> Result<Vec<StoredDocument>, StateError> {
                read!(self, |connection| statements::policies::list(connection))
            }
            async fn put_policy_document(&self, document: StoredDocument, seen: u64) -> Result<u64, StateError> {
                write!(self, Durable, [document], |connection| statements::policies::put(connection, &document, seen))
            }
            async fn delete_policy_document(&self, name: &str, seen: u64) -> Result<(), StateError> {
                let name = name.to_owned();
                write!(self, Durable, [name], |connection| statements::policies::delete(connection, &name, seen))
            }
            async fn note_events(&self, batch: NotedBatch) -> Result<(), StateError> {
                write!(self, Passing, [batch], |connection| statements::audit::note(connection, &batch))
            }
            async fn outbox_head(&self) -> Result<(OutboxHead, bool), StateError> {
                read!(self, |connection| statements::outbox::head(connection))
            }
            async fn order_outbox(&self, limit: u32) -> Result<(OutboxHead, u64), StateError> {
                write!(self, Durable, [], |connection| statements::outbox::order(connection, limit))
            }
            async fn outbox(&self, after: u64, upto: u64) -> Result<(OutboxHead, Vec<OutboxEvent>), StateError> {
                read!(self, |connection| statements::outbox::page(connection, after, upto))
            }
            async fn is_audit_waiting(&self) -> Result<bool, StateError> {
                read!(self, |connection| statements::audit::is_waiting(connection))
            }
            async fn chain_audit(&self, limit: u32) -> Result<u64, StateError> {
                write!(self, Passing, [], |connection| statements::audit::chain(connection, limit))
            }
            async fn audit_head(&self) -> Result<AuditHead, StateError> {
                read!(self, |connection| statements::audit::head(connection))
            }
            async fn audit_lines(&self, filter: AuditFilter) -> Result<Vec<(u64, AuditLine)>, StateError> {
                read!(self, |connection| statements::audit::lines(connection, &filter))
            }
            async fn first_audited_since(&self, since: Timestamp) -> Result<Option<u64>, StateError> {
                read!(self, |connection| statements::audit::first_since(connection, since))
            }
            async fn expire_audit(&self, before: Timestamp, limit: u32) -> Result<u64, StateError> {
                write!(self, Passing, [], |connection| statements::audit::expire(connection, before, limit))
            }
            async fn signing_keys(&self) -> Result<Vec<StoredKey>, StateError> {
                read!(self, |connection| statements::keys::list(connection))
            }
            async fn add_signing_key(&self, key: StoredKey) -> Result<bool, StateError> {
                write!(self, Durable, [key], |connection| statements::keys::add(connection, &key))
            }
            async fn drop_signing_keys(&self, before: u64) -> Result<(), StateError> {
                write!(self, Durable, [], |connection| statements::keys::drop_before(connection, before))
            }
            async fn needs_rebuilding(&self) -> Result<bool, StateError> {
                read!(self, |connection| statements::restore::needs_rebuilding(connection))
            }
            async fn clear(&self) -> Result<(), StateError> {
                write!(self, Durable, [], |connection| statements::restore::clear(connection))
            }
            async fn restore_blob(&self, blob: RestoredBlob) -> Result<(), StateError> {
                write!(self, Passing, [blob], |connection| statements::restore::blob(connection, &blob))
            }
            async fn restore_links(
                &self,
                repository: &RepositoryName,
                digests: &[Digest],
                revision: u64,
            ) -> Result<(), StateError> {
                let digests = digests.to_vec();
                write!(self, Passing, [repository, digests], |connection| {
                    statements::restore::links(connection, &repository, &digests, revision)
                })
            }
            async fn settle_blobs(&self, is_whole: bool) -> Result<(), StateError> {
                write!(self, Durable, [], |connection| statements::restore::settle(connection, is_whole))
            }
            async fn restore_record(&self, record: RestoredRecord) -> Result<(), StateError> {
                write!(self, Passing, [record], |connection| statements::restore::record(connection, &record))
            }
            async fn finish_rebuilding(&self) -> Result<(), StateError> {
                write!(self, Durable, [], |connection| statements::restore::finish(connection))
            }
            async fn resume_revisions(&self, highest: u64) -> Result<(), StateError> {
                Self::resume_revisions(self, highest).await
            }
        }
    };
}

/// Runs statements on a connection for reading, again on another where the first one broke.
macro_rules! read {
    ($self:ident, |$connection:ident| $statements:expr) => {{
        let mut attempts_left = READ_ATTEMPTS;
        loop {
            let outcome = async {
                let mut pooled = $self.reader().await?;
                let $connection = &mut *pooled;
                $statements.await
            }
            .await;
            attempts_left -= 1;
            match outcome {
                Err(StateError::Unavailable(sqlx::Error::Io(_) | sqlx::Error::Protocol(_))) if attempts_left > 0 => {}
                outcome => break outcome,
            }
        }
    }};
}

/// Runs statements in a transaction, with the named values cloned into it, since it may have to be run again, and in the name of whoever
/// is their author here: another task may run them.
macro_rules! write {
    ($self:ident, $durability:ident, [$($value:ident),*], |$connection:ident| $statements:expr) => {{
        $(let $value = std::sync::Arc::new($value.clone());)*
        let author = $crate::state::Author::current();
        $self
            .write(Durability::$durability, move |$connection| {
                $(let $value = $value.clone();)*
                Box::pin($crate::state::Author::scope(author.clone(), async move { $statements.await }))
            })
            .await
    }};
}

/// How many connections a read tries before it gives up: a server that was restarted leaves a pool of broken ones.
pub(super) const READ_ATTEMPTS: u32 = 20;

/// What a change must survive when it is acknowledged.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Durability {
    /// As `Passing`; and it is one statement, which is all or nothing without a transaction around it.
    Light,
    /// The end of this process; a power failure may undo it, and nothing acknowledged depends on it.
    Passing,
    /// A power failure.
    Durable,
}

pub(super) use {implement_state, read, write};
