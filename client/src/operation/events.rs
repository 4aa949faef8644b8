//! Server-sent events (HTML, section 9.2.6), as far as an operation is told in them.

use reqwest::Response;

use super::Operation;
use crate::{ClientError, RegistryClient};

/// The longest event that is read, in bytes: far over what an operation of as many images as may be needs.
const MOST_EVENT_BYTES: usize = 4 << 20;

/// An operation as it goes on.
pub struct OperationEvents<'a> {
    client: &'a RegistryClient,
    response: Response,
    lines: Lines,
    data: String,
}

impl<'a> OperationEvents<'a> {
    pub(super) fn new(client: &'a RegistryClient, response: Response) -> Self {
        Self { client, response, lines: Lines::default(), data: String::new() }
    }

    /// How it is after the next change; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Operation>, ClientError> {
        loop {
            while let Some(line) = self.lines.next() {
                if let Some(data) = take(&mut self.data, &line) {
                    let operation = serde_json::from_str(&data);
                    return operation
                        .map(Some)
                        .map_err(|error| self.client.malformed(format!("an event can't be read: {error}")));
                }
            }
            if self.lines.rest.len() + self.data.len() > MOST_EVENT_BYTES {
                return Err(self.client.malformed(format!("an event is longer than {MOST_EVENT_BYTES} bytes")));
            }
            match self.response.chunk().await.map_err(|error| self.client.unreachable(error))? {
                Some(chunk) => self.lines.rest.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}

/// Takes a line; the data of an event that ends with it, if it has any.
fn take(data: &mut String, line: &[u8]) -> Option<String> {
    let line = String::from_utf8_lossy(line);
    if line.is_empty() {
        return Some(std::mem::take(data)).filter(|data| !data.is_empty());
    }
    if let Some(value) = line.strip_prefix("data:") {
        if !data.is_empty() {
            data.push('\n');
        }
        data.push_str(value.strip_prefix(' ').unwrap_or(value));
    }
    None
}

/// Bytes, cut at the ends of lines.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// The next whole line, without its end.
    fn next(&mut self) -> Option<Vec<u8>> {
        let end = self.rest.iter().position(|&byte| byte == b'\n')?;
        let mut line: Vec<u8> = self.rest.drain(..=end).collect();
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(chunks: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut data, mut events) = (Lines::default(), String::new(), Vec::new());
        for chunk in chunks {
            lines.rest.extend_from_slice(chunk);
            while let Some(line) = lines.next() {
                events.extend(take(&mut data, &line));
            }
        }
        events
    }

    #[test]
    fn reads_the_data_of_events() {
        let text = b": hello\n\nevent: operation\ndata: {\"a\":1}\n\ndata:x\r\nid: 7\r\ndata: y\r\n\r\n\n\ndata: unfinished\n";
        assert_eq!(read(&[text]), ["{\"a\":1}", "x\ny"]);
    }

    proptest! {
        #[test]
        fn where_it_is_cut_makes_no_difference(cuts in prop::collection::vec(0_usize..60, 0..6)) {
            let text = "event: operation\ndata: {\"a\":\"é\"}\n\n: x\n\ndata: 1\r\n\r\n".as_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&chunks), ["{\"a\":\"é\"}", "1"]);
        }

        #[test]
        fn never_panics(bytes: Vec<u8>) {
            read(&[&bytes]);
        }
    }
}
