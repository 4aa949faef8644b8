use std::ops::Range;

use aws_sdk_s3::{error::SdkError, primitives::ByteStream};
use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use longshore_oci::ByteRange;

use super::{ObjectKey, S3Store, StorageError, error::failed};

impl S3Store {
    /// Opens a range of an object, and holds the server to its length.
    pub(super) async fn download(
        &self,
        key: &ObjectKey,
        size_bytes: u64,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, StorageError>>, StorageError> {
        if range.is_empty() && size_bytes > 0 {
            return Ok(stream::empty().boxed());
        }
        let is_whole = range == (0..size_bytes);
        let mut request = self.client.get_object().bucket(&*self.bucket).key(self.key(key));
        if !is_whole {
            request = request.range(ByteRange::from(&range).to_string());
        }
        let wrong = |actual_bytes| StorageError::Length { key: key.to_string(), expected_bytes: size_bytes, actual_bytes };
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(SdkError::ServiceError(refusal)) if refusal.raw().status().as_u16() == 416 => {
                return Err(wrong(refusal.raw().headers().get("content-range").and_then(total_bytes).unwrap_or(0)));
            }
            Err(error) => return Err(failed("GetObject", key, &error)),
        };
        let length_bytes = answer.content_length().and_then(|bytes| u64::try_from(bytes).ok());
        let (actual_bytes, promised_bytes) =
            if is_whole { (length_bytes, size_bytes) } else { (answer.content_range().and_then(total_bytes), size_bytes) };
        match actual_bytes {
            Some(actual_bytes) if actual_bytes != promised_bytes => Err(wrong(actual_bytes)),
            Some(_) => Ok(counted(key.to_string(), answer.body, range.end - range.start)),
            None => Err(ended(key.to_string(), "the answer has no length".to_owned())),
        }
    }
}

/// The length of the whole object out of `bytes 0-9/10` or `bytes */10`.
fn total_bytes(content_range: &str) -> Option<u64> {
    content_range.rsplit_once('/')?.1.parse().ok()
}

fn ended(key: String, message: String) -> StorageError {
    StorageError::S3 { operation: "GetObject", key, message, is_transient: true }
}

/// A body's chunks, with an error where it breaks off or ends before its time.
fn counted(key: String, body: ByteStream, size_bytes: u64) -> BoxStream<'static, Result<Bytes, StorageError>> {
    let open = Some((body, key, size_bytes));
    stream::unfold(open, |open| async {
        let (mut body, key, left_bytes) = open?;
        match body.next().await {
            Some(Ok(chunk)) if chunk.len() as u64 <= left_bytes => {
                let left_bytes = left_bytes - chunk.len() as u64;
                Some((Ok(chunk), Some((body, key, left_bytes))))
            }
            Some(Ok(_)) => Some((Err(ended(key, "the body is longer than the range".to_owned())), None)),
            Some(Err(error)) => Some((Err(ended(key, format!("the body broke off: {error}"))), None)),
            None if left_bytes > 0 => Some((Err(ended(key, format!("the body ended {left_bytes} bytes early"))), None)),
            None => None,
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_whole_length() {
        assert_eq!(total_bytes("bytes 0-9/10"), Some(10));
        assert_eq!(total_bytes("bytes */12"), Some(12));
        assert_eq!(total_bytes("bytes 0-9/*"), None);
    }

    #[tokio::test]
    async fn tells_a_short_body_from_a_whole_one() {
        let body = || ByteStream::from_static(b"hello");
        let outcomes = |size_bytes| counted("k".to_owned(), body(), size_bytes).map(|chunk| chunk.is_ok()).collect::<Vec<_>>();
        assert_eq!(outcomes(5).await, [true]);
        assert_eq!(outcomes(6).await, [true, false]);
        assert_eq!(outcomes(4).await, [false]);
    }
}
