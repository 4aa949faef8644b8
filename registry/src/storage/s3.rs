//! Objects in a bucket of S3, or of a server that speaks its protocol.
//!
//! One method is one call, but for [`Store::reopen`]. The SDK's own retries and checksums are off: [`super::Retrying`] decides about
//! retries, and not every server knows the checksums. All parts but the last are equally long, which R2 asks for.

mod body;
mod client;
mod delete;
mod download;
mod error;
mod list;
mod parts;
mod settings;

use std::{ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_s3::{Client, presigning::PresigningConfig};
use bytes::Bytes;

use super::{Content, ObjectKey, Page, PartTag, PartsId, Reopened, StorageError, Store, Unfinished};
use error::failed;
pub use settings::S3Settings;

/// A store of objects in one bucket, below a prefix.
#[derive(Clone, Debug)]
pub struct S3Store {
    client: Client,
    bucket: Arc<str>,
    /// Empty, or ending in `/`.
    prefix: Arc<str>,
    part_bytes: u64,
}

impl S3Store {
    /// Makes the client; no call is made. Credentials that the settings leave empty are taken from the environment's
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
    pub fn new(settings: S3Settings) -> Self {
        let prefix = settings.prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self {
            client: client::client(&settings),
            bucket: settings.bucket.into(),
            prefix: prefix.into(),
            part_bytes: settings.part_bytes,
        }
    }

    /// The key of the bucket.
    fn key(&self, key: &ObjectKey) -> String {
        format!("{}{key}", self.prefix)
    }
}

#[async_trait]
impl Store for S3Store {
    fn part_bytes(&self) -> u64 {
        self.part_bytes
    }

    fn chunk_min_bytes(&self) -> Option<u64> {
        Some(self.part_bytes)
    }

    async fn put(&self, key: &ObjectKey, content: Vec<Bytes>) -> Result<(), StorageError> {
        let (body, size_bytes) = body::of(content);
        let request = self.client.put_object().bucket(&*self.bucket).key(self.key(key)).content_length(size_bytes).body(body);
        let sent = request.customize().disable_payload_signing().send().await;
        sent.map(drop).map_err(|error| failed("PutObject", key, &error))
    }

    async fn read(&self, key: &ObjectKey, size_bytes: u64, range: Range<u64>) -> Result<Content, StorageError> {
        self.download(key, size_bytes, range).await.map(Content::Stream)
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), StorageError> {
        match keys {
            [] => Ok(()),
            [key] => self.delete_one(key).await,
            keys => self.delete_many(keys).await,
        }
    }

    async fn begin(&self, key: &ObjectKey) -> Result<PartsId, StorageError> {
        self.begin_parts(key).await
    }

    async fn put_part(&self, key: &ObjectKey, id: &PartsId, number: u32, content: Vec<Bytes>) -> Result<PartTag, StorageError> {
        self.upload_part(key, id, number, content).await
    }

    async fn complete(&self, key: &ObjectKey, id: &PartsId, parts: &[PartTag]) -> Result<(), StorageError> {
        self.complete_parts(key, id, parts).await
    }

    async fn abort(&self, key: &ObjectKey, id: &PartsId) -> Result<(), StorageError> {
        self.abort_parts(key, id).await
    }

    async fn reopen(
        &self,
        unfinished: &Unfinished,
        parts: &[PartTag],
        tail_bytes: u64,
        new_key: &ObjectKey,
    ) -> Result<Reopened, StorageError> {
        self.reopen_parts(unfinished, parts, tail_bytes, new_key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, StorageError> {
        self.list_objects(prefix, after).await
    }

    async fn list_unfinished(&self, after: Option<&Unfinished>) -> Result<Vec<Unfinished>, StorageError> {
        self.list_uploads(after).await
    }

    async fn presign(&self, key: &ObjectKey, valid_for: Duration) -> Result<Option<String>, StorageError> {
        let refused =
            |message: String| StorageError::S3 { operation: "presign", key: key.to_string(), message, is_transient: false };
        let presigning = PresigningConfig::expires_in(valid_for).map_err(|error| refused(error.to_string()))?;
        let request = self.client.get_object().bucket(&*self.bucket).key(self.key(key));
        let presigned = request.presigned(presigning).await.map_err(|error| failed("presign", key, &error))?;
        Ok(Some(presigned.uri().to_owned()))
    }

    async fn probe(&self) -> Result<(), StorageError> {
        let sent = self.client.head_bucket().bucket(&*self.bucket).send().await;
        sent.map(drop).map_err(|error| error::failed_bucket("HeadBucket", &self.bucket, &error))
    }
}
