use super::Call;

/// How the end of a message's body is told (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Body {
    /// So many bytes.
    Length(u64),
    /// Chunks, and a last one of length 0.
    Chunked,
    /// All until the connection ends.
    UntilClosed,
}

/// The first line and the headers of a message, as they came.
pub(super) struct Head {
    text: String,
}

impl Head {
    /// The length in bytes of the head that `received` begins with, once it is whole.
    pub(super) fn end(received: &[u8]) -> Option<usize> {
        received.windows(4).position(|window| window == b"\r\n\r\n").map(|position| position + 4)
    }

    pub(super) fn new(bytes: &[u8]) -> Self {
        Self { text: String::from_utf8_lossy(bytes).into_owned() }
    }

    fn first_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.text.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.header(name).is_some_and(|found| found.to_ascii_lowercase().contains(value))
    }

    pub(super) fn call(&self) -> Call {
        let mut words = self.first_line().split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let target = words.next().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Call { method, path: path.into(), query: query.into(), range: self.header("range").map(str::to_owned) }
    }

    pub(super) fn status(&self) -> u16 {
        self.first_line().split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }

    pub(super) fn expects_continue(&self) -> bool {
        self.has("expect", "100-continue")
    }

    pub(super) fn closes(&self) -> bool {
        self.has("connection", "close")
    }

    /// A request without a length has no body.
    pub(super) fn request_body(&self) -> Body {
        self.declared().unwrap_or(Body::Length(0))
    }

    pub(super) fn response_body(&self, method: &str) -> Body {
        match self.status() {
            100..200 | 204 | 304 => Body::Length(0),
            _ if method == "HEAD" => Body::Length(0),
            _ => self.declared().unwrap_or(Body::UntilClosed),
        }
    }

    fn declared(&self) -> Option<Body> {
        if self.has("transfer-encoding", "chunked") {
            return Some(Body::Chunked);
        }
        self.header("content-length").and_then(|length| length.parse().ok()).map(Body::Length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_where_messages_end() {
        let put = Head::new(b"PUT /b/k?partNumber=2 HTTP/1.1\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n");
        let call = Call { method: "PUT".into(), path: "/b/k".into(), query: "partNumber=2".into(), range: None };
        assert_eq!(put.call(), call);
        assert_eq!(put.request_body(), Body::Length(12));
        assert!(put.expects_continue());
        let answer = Head::new(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        assert_eq!((answer.status(), answer.response_body("GET")), (200, Body::Chunked));
        assert_eq!(answer.response_body("HEAD"), Body::Length(0));
        assert_eq!(Head::end(b"HTTP/1.1 200 OK\r\n\r\nbody"), Some(19));
    }
}
