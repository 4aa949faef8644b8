use std::borrow::Cow;

use bytes::Bytes;
use serde_json::json;

use super::request::Request;

/// An answer before it is sent.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    /// Where in the whole the body begins, in bytes.
    pub(super) first_byte: usize,
    /// The length that is declared, where it is not the body's.
    pub(super) declared: Option<u64>,
    /// Whether it comes in chunks, and no length is declared (RFC 9112, 7.1).
    pub(super) is_chunked: bool,
}

impl Reply {
    pub(super) fn new(status: u16, media_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![
            ("Content-Type".to_owned(), media_type.to_owned()),
            ("Docker-Distribution-Api-Version".to_owned(), "registry/2.0".to_owned()),
        ];
        Self { status, headers, body: body.into(), first_byte: 0, declared: None, is_chunked: false }
    }

    /// A refusal as the spec's "Error Codes" section shapes it.
    pub(super) fn refusal(status: u16, code: &str) -> Self {
        let errors = json!({"errors": [{"code": code, "message": "The upstream of the tests refuses."}]});
        Self::new(status, "application/json", errors.to_string())
    }

    pub(super) fn redirect(location: &str) -> Self {
        Self::new(307, "text/plain", Bytes::new()).with("Location", location)
    }

    /// Content by its digest: all of it, the range that is asked for, or that it is what the client has.
    pub(super) fn content(request: &Request, media_type: &str, digest: &str, content: &Bytes) -> Self {
        let etag = format!("\"{digest}\"");
        if request.header("if-none-match").is_some_and(|known| known == "*" || known.contains(&etag)) {
            return Self::new(304, media_type, Bytes::new()).with("ETag", &etag);
        }
        let named = |reply: Self| reply.with("Docker-Content-Digest", digest).with("ETag", &etag).with("Accept-Ranges", "bytes");
        match request.range(content.len()).filter(|_| request.method == "GET") {
            Some((first, end)) => {
                let mut reply = named(Self::new(206, media_type, content.slice(first..end)));
                reply.first_byte = first;
                reply.with("Content-Range", &format!("bytes {first}-{}/{}", end - 1, content.len()))
            }
            None => named(Self::new(200, media_type, content.clone())),
        }
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Whether more or less is declared than is sent: what comes next on the connection could not be told from it.
    pub(super) fn is_a_lie(&self) -> bool {
        self.declared.is_some_and(|declared| declared != self.body.len() as u64)
    }

    /// Some of the body as it is sent; none of it is its end.
    pub(super) fn framed<'a>(&self, some: &'a [u8]) -> Cow<'a, [u8]> {
        if self.is_chunked { [format!("{:x}\r\n", some.len()).as_bytes(), some, b"\r\n"].concat().into() } else { some.into() }
    }

    pub(super) fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} Said\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.is_chunked {
            head.push_str("Transfer-Encoding: chunked\r\n");
        } else if self.status != 304 {
            head.push_str(&format!("Content-Length: {}\r\n", self.declared.unwrap_or(self.body.len() as u64)));
        }
        head.push_str("\r\n");
        head
    }
}
