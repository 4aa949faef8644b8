use std::collections::BTreeMap;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

use crate::asked_bytes::asked_bytes;

/// The longest head that is read, in bytes.
const MOST_HEAD_BYTES: usize = 64 << 10;

/// A request's head.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: BTreeMap<String, String>,
}

impl Request {
    /// The next one on a connection; none where that ends.
    pub(super) async fn read(connection: &mut (impl AsyncBufRead + Unpin)) -> Option<Self> {
        let first = line(connection).await?;
        let mut words = first.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut request = Self { method, path: decoded(path), query: query.into(), headers: BTreeMap::new() };
        let mut head_bytes = first.len();
        loop {
            let line = line(connection).await?;
            head_bytes += line.len();
            if line.is_empty() {
                return Some(request);
            }
            if head_bytes > MOST_HEAD_BYTES {
                return None;
            }
            let (name, value) = line.split_once(':')?;
            request.headers.insert(name.to_ascii_lowercase(), value.trim().into());
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The range of so many bytes that is asked for, if it can be had: the first byte, and the one after the last.
    pub(super) fn range(&self, size_bytes: usize) -> Option<(usize, usize)> {
        let asked = asked_bytes(self.header("range")?, size_bytes)?;
        Some((asked.start, asked.end))
    }
}

fn decoded(path: &str) -> String {
    percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned()
}

async fn line(connection: &mut (impl AsyncBufRead + Unpin)) -> Option<String> {
    let mut line = String::new();
    connection.read_line(&mut line).await.ok().filter(|count| *count > 0)?;
    Some(line.trim_end().to_owned())
}
