use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    ObjectKey, PartTag, PartsId, Reopened, S3Store, StorageError, Unfinished, body,
    error::{answered, failed},
};

/// What the header that names a copy's source keeps as it is.
const COPY_SOURCE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// How many parts are copied at once.
const COPIES_AT_ONCE: usize = 8;

/// What a part's tag says: how long the part is, and S3's name for its bytes.
struct UploadedPart<'a> {
    size_bytes: u64,
    e_tag: &'a str,
}

impl<'a> UploadedPart<'a> {
    fn parse(tag: &'a PartTag, key: &ObjectKey) -> Result<Self, StorageError> {
        let fields = tag.0.split_once('@').and_then(|(size_bytes, e_tag)| Some((size_bytes.parse().ok()?, e_tag)));
        let (size_bytes, e_tag) = fields.ok_or_else(|| StorageError::NotFound { key: key.to_string() })?;
        Ok(Self { size_bytes, e_tag })
    }

    fn tag(&self) -> PartTag {
        PartTag(format!("{}@{}", self.size_bytes, self.e_tag))
    }
}

/// S3's number of the part at an index.
fn number(index: usize) -> i32 {
    i32::try_from(index + 1).expect("S3 takes at most 10,000 parts")
}

impl S3Store {
    pub(super) async fn begin_parts(&self, key: &ObjectKey) -> Result<PartsId, StorageError> {
        let sent = self.client.create_multipart_upload().bucket(&*self.bucket).key(self.key(key)).send().await;
        let answer = sent.map_err(|error| failed("CreateMultipartUpload", key, &error))?;
        let id =
            answer.upload_id().ok_or_else(|| answered("CreateMultipartUpload", key.to_string(), "no id", "in the answer"))?;
        Ok(PartsId(id.to_owned()))
    }

    pub(super) async fn upload_part(
        &self,
        key: &ObjectKey,
        id: &PartsId,
        number: u32,
        content: Vec<Bytes>,
    ) -> Result<PartTag, StorageError> {
        let (body, size_bytes) = body::of(content);
        let number = i32::try_from(number).map_err(|_| answered("UploadPart", key.to_string(), "number", "past S3's 10,000"))?;
        let request = self.client.upload_part().bucket(&*self.bucket).key(self.key(key)).upload_id(&id.0).part_number(number);
        let sent = request.content_length(size_bytes).body(body).customize().disable_payload_signing().send().await;
        let answer = sent.map_err(|error| failed("UploadPart", key, &error))?;
        let e_tag = answer.e_tag().ok_or_else(|| answered("UploadPart", key.to_string(), "no ETag", "in the answer"))?;
        Ok(UploadedPart { size_bytes: size_bytes.unsigned_abs(), e_tag }.tag())
    }

    /// Completes, once however often it is called: where the upload is gone, an object of the right length is what it became. Keys
    /// are written once, so nothing else can be there.
    pub(super) async fn complete_parts(&self, key: &ObjectKey, id: &PartsId, parts: &[PartTag]) -> Result<(), StorageError> {
        let (mut completed, mut size_bytes) = (Vec::with_capacity(parts.len()), 0);
        for (index, tag) in parts.iter().enumerate() {
            let part = UploadedPart::parse(tag, key)?;
            size_bytes += part.size_bytes;
            completed.push(CompletedPart::builder().part_number(number(index)).e_tag(part.e_tag).build());
        }
        let upload = CompletedMultipartUpload::builder().set_parts(Some(completed)).build();
        let request = self.client.complete_multipart_upload().bucket(&*self.bucket).key(self.key(key)).upload_id(&id.0);
        match request.multipart_upload(upload).send().await.map_err(|error| failed("CompleteMultipartUpload", key, &error)) {
            Err(StorageError::NotFound { .. }) => self.check_length(key, size_bytes).await,
            sent => sent.map(drop),
        }
    }

    async fn check_length(&self, key: &ObjectKey, size_bytes: u64) -> Result<(), StorageError> {
        let sent = self.client.head_object().bucket(&*self.bucket).key(self.key(key)).send().await;
        let answer = sent.map_err(|error| failed("HeadObject", key, &error))?;
        let found_bytes = answer.content_length().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
        if found_bytes != size_bytes {
            return Err(StorageError::Length { key: key.to_string(), expected_bytes: size_bytes, actual_bytes: found_bytes });
        }
        Ok(())
    }

    pub(super) async fn abort_parts(&self, key: &ObjectKey, id: &PartsId) -> Result<(), StorageError> {
        let sent = self.client.abort_multipart_upload().bucket(&*self.bucket).key(self.key(key)).upload_id(&id.0).send().await;
        match sent.map_err(|error| failed("AbortMultipartUpload", key, &error)) {
            Ok(_) | Err(StorageError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// S3 hands no bytes out of an upload, so what is there is completed, its full parts are copied within S3, and its tail is read.
    /// That object is left to the caller.
    pub(super) async fn reopen_parts(
        &self,
        unfinished: &Unfinished,
        parts: &[PartTag],
        tail_bytes: u64,
        new_key: &ObjectKey,
    ) -> Result<Reopened, StorageError> {
        let key = &unfinished.key;
        if parts.is_empty() {
            return Ok(Reopened { id: self.begin_parts(new_key).await?, parts: Vec::new(), tail: Vec::new() });
        }
        self.complete_parts(key, &unfinished.id, parts).await?;
        let full_parts = parts.len() - usize::from(tail_bytes > 0);
        // As long as they were made, whatever the configuration says today.
        let part_bytes = if full_parts > 0 { UploadedPart::parse(&parts[0], key)?.size_bytes } else { 0 };
        let full_bytes = full_parts as u64 * part_bytes;
        let tail = self.tail(key, full_bytes, tail_bytes).await?;
        let id = self.begin_parts(new_key).await?;
        let copies = (0..full_parts).map(|index| self.copy_part((key, new_key), &id, index, part_bytes));
        match stream::iter(copies).buffered(COPIES_AT_ONCE).try_collect().await {
            Ok(parts) => Ok(Reopened { id, parts, tail }),
            Err(error) => {
                // The first failure is the one to tell; what stays here is found by the listing of unfinished objects.
                let _ = self.abort_parts(new_key, &id).await;
                Err(error)
            }
        }
    }

    async fn tail(&self, key: &ObjectKey, full_bytes: u64, tail_bytes: u64) -> Result<Vec<Bytes>, StorageError> {
        let size_bytes = full_bytes + tail_bytes;
        self.download(key, size_bytes, full_bytes..size_bytes).await?.try_collect().await
    }

    async fn copy_part(
        &self,
        (from, to): (&ObjectKey, &ObjectKey),
        id: &PartsId,
        index: usize,
        part_bytes: u64,
    ) -> Result<PartTag, StorageError> {
        let source = format!("{}/{}", self.bucket, self.key(from));
        let first = index as u64 * part_bytes;
        let request = self.client.upload_part_copy().bucket(&*self.bucket).key(self.key(to)).upload_id(&id.0);
        let request = request
            .part_number(number(index))
            .copy_source(utf8_percent_encode(&source, COPY_SOURCE).to_string())
            .copy_source_range(format!("bytes={first}-{}", first + part_bytes - 1));
        let answer = request.send().await.map_err(|error| failed("UploadPartCopy", from, &error))?;
        let e_tag = answer.copy_part_result().and_then(|result| result.e_tag());
        let e_tag = e_tag.ok_or_else(|| answered("UploadPartCopy", from.to_string(), "no ETag", "in the answer"))?;
        Ok(UploadedPart { size_bytes: part_bytes, e_tag }.tag())
    }
}
