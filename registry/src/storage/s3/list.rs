use aws_sdk_s3::types::{MultipartUpload, Object};

use super::{super::Listed, ObjectKey, Page, PartsId, S3Store, StorageError, Unfinished, error::failed_bucket};

impl S3Store {
    pub(super) async fn list_objects(&self, prefix: &str, after: Option<&str>) -> Result<Page, StorageError> {
        let request = self.client.list_objects_v2().bucket(&*self.bucket).prefix(format!("{}{prefix}", self.prefix));
        let after = after.map(|after| format!("{}{after}", self.prefix));
        let sent = request.set_start_after(after).send().await;
        let answer = sent.map_err(|error| failed_bucket("ListObjectsV2", &self.bucket, &error))?;
        let objects = answer.contents().iter().filter_map(|object| self.listed(object)).collect();
        Ok(Page { objects, has_more: answer.is_truncated().unwrap_or(false) })
    }

    fn listed(&self, object: &Object) -> Option<Listed> {
        let key = object.key()?.strip_prefix(&*self.prefix)?.to_owned();
        let size_bytes = u64::try_from(object.size().unwrap_or(0)).ok()?;
        let modified = object.last_modified()?;
        let nanoseconds = i32::try_from(modified.subsec_nanos()).ok()?;
        let modified_at = jiff::Timestamp::new(modified.secs(), nanoseconds).ok()?;
        Some(Listed { key, size_bytes, modified_at })
    }

    /// A page goes on after a key and not after an upload of it: servers differ in what the marker of an upload means. Two uploads of
    /// one key, of a `begin` that was repeated, may be cut apart so; the second is found once the first is dropped.
    pub(super) async fn list_uploads(&self, after: Option<&Unfinished>) -> Result<Vec<Unfinished>, StorageError> {
        let mut marker = after.map(|after| self.key(&after.key));
        // A page may hold nothing of ours and still not be the last.
        loop {
            let request = self.client.list_multipart_uploads().bucket(&*self.bucket);
            let request = request.prefix(format!("{}{}", self.prefix, ObjectKey::PREFIX)).set_key_marker(marker.clone());
            let sent = request.send().await;
            let answer = sent.map_err(|error| failed_bucket("ListMultipartUploads", &self.bucket, &error))?;
            let page: Vec<_> = answer.uploads().iter().filter_map(|upload| self.unfinished(upload)).collect();
            let next = answer.next_key_marker().filter(|next| marker.as_deref() != Some(*next));
            if !page.is_empty() || !answer.is_truncated().unwrap_or(false) || next.is_none() {
                return Ok(page);
            }
            marker = next.map(str::to_owned);
        }
    }

    fn unfinished(&self, upload: &MultipartUpload) -> Option<Unfinished> {
        let key = ObjectKey::parse(upload.key()?.strip_prefix(&*self.prefix)?)?;
        Some(Unfinished { key, id: PartsId(upload.upload_id()?.to_owned()) })
    }
}
