use bytes::Bytes;
use futures_util::{StreamExt as _, stream::BoxStream};

use crate::source::SourceError;

/// A stream, cut anew.
pub(super) struct Coming {
    stream: BoxStream<'static, Result<Bytes, SourceError>>,
    rest: Bytes,
}

impl Coming {
    /// This one, from its start.
    pub(super) fn new(stream: BoxStream<'static, Result<Bytes, SourceError>>) -> Self {
        Self { stream, rest: Bytes::new() }
    }

    /// The next so many bytes; `None` where it ends before.
    pub(super) async fn take(&mut self, count: usize) -> Result<Option<Vec<u8>>, SourceError> {
        let mut bytes = Vec::with_capacity(count);
        while bytes.len() < count {
            if self.rest.is_empty() {
                match self.stream.next().await {
                    Some(chunk) => self.rest = chunk?,
                    None => return Ok(None),
                }
            }
            let more = self.rest.split_to((count - bytes.len()).min(self.rest.len()));
            bytes.extend_from_slice(&more);
        }
        Ok(Some(bytes))
    }
}
