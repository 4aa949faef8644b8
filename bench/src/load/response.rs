//! Just enough of an HTTP/1.1 response head (RFC 9112).

use crate::error::BenchError;

/// How the body's end is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes follow.
    Length(u64),
    /// Chunks follow, up to one of length 0.
    Chunked,
}

/// What the generator needs to know of a response head.
#[derive(Debug)]
pub struct Head<'a> {
    /// The status code.
    pub status: u16,
    /// How the body's end is told; a head that tells nothing counts as an empty body.
    pub framing: Framing,
    /// The server closes the connection after this response.
    pub closes: bool,
    /// The `Location` header's value.
    pub location: Option<&'a str>,
}

/// The length of the head at the start of `bytes`, its empty line included, once all of it is there.
pub fn head_length(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|byte| *byte == b'\n') {
        let next = from + at + 1;
        match bytes.get(next..next + 2) {
            Some(b"\r\n") => return Some(next + 2),
            Some(_) => from = next,
            None => return None,
        }
    }
    None
}

/// Parses a complete head.
pub fn parse(head: &[u8]) -> Result<Head<'_>, BenchError> {
    let text = std::str::from_utf8(head).map_err(|_| BenchError::Malformed("head is not text"))?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.ok_or(BenchError::Malformed("no status line"))?;
    let mut parsed = Head { status, framing: Framing::Length(0), closes: false, location: None };
    for line in lines {
        // The length of the name decides nearly always, so most headers cost one comparison.
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        match name.len() {
            14 if name.eq_ignore_ascii_case("content-length") => {
                parsed.framing = Framing::Length(value.parse().map_err(|_| BenchError::Malformed("content-length"))?);
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                parsed.framing = Framing::Chunked;
            }
            10 if name.eq_ignore_ascii_case("connection") => {
                parsed.closes = value.eq_ignore_ascii_case("close");
            }
            8 if name.eq_ignore_ascii_case("location") => parsed.location = Some(path_of(value)),
            _ => {}
        }
    }
    Ok(parsed)
}

/// The path and query of a `Location`, whether it is absolute or not.
fn path_of(location: &str) -> &str {
    match location.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => location,
    }
}

#[cfg(test)]
mod tests {
    use super::{Framing, head_length, parse};

    #[test]
    fn a_head_is_parsed_once_it_is_whole() {
        let bytes = b"HTTP/1.1 202 Accepted\r\nLOCATION: http://127.0.0.1:1/v2/a?x=1\r\ncontent-Length: 12\r\n\r\nbody";
        assert_eq!(head_length(&bytes[..40]), None);
        let length = head_length(bytes).expect("the head is whole");
        assert_eq!(&bytes[length..], b"body");
        let head = parse(&bytes[..length]).expect("the head is well formed");
        assert_eq!((head.status, head.framing, head.location), (202, Framing::Length(12), Some("/v2/a?x=1")));
    }

    #[test]
    fn garbage_is_refused() {
        assert!(parse(b"SSH-2.0\r\n\r\n").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n").is_err());
    }
}
