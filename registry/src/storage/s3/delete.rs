use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use super::{
    ObjectKey, S3Store, StorageError,
    error::{answered, failed, failed_bucket},
};

impl S3Store {
    pub(super) async fn delete_one(&self, key: &ObjectKey) -> Result<(), StorageError> {
        let sent = self.client.delete_object().bucket(&*self.bucket).key(self.key(key)).send().await;
        match sent.map_err(|error| failed("DeleteObject", key, &error)) {
            Ok(_) | Err(StorageError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn delete_many(&self, keys: &[ObjectKey]) -> Result<(), StorageError> {
        let identifiers = keys.iter().map(|key| ObjectIdentifier::builder().key(self.key(key)).build().expect("a key is given"));
        let delete = Delete::builder().quiet(true).set_objects(Some(identifiers.collect())).build().expect("objects are given");
        let sent = self.client.delete_objects().bucket(&*self.bucket).delete(delete).send().await;
        let answer = sent.map_err(|error| failed_bucket("DeleteObjects", &self.bucket, &error))?;
        let refusal = answer.errors().iter().find(|error| error.code() != Some("NoSuchKey"));
        refusal.map_or(Ok(()), |error| {
            let key = error.key().unwrap_or_default().to_owned();
            Err(answered("DeleteObjects", key, error.code().unwrap_or_default(), error.message().unwrap_or_default()))
        })
    }
}
