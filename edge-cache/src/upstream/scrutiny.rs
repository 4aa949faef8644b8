//! Whether an answer is what was asked for.

use std::ops::Range;

use http::{HeaderMap, HeaderName, StatusCode, header};
use longshore_oci::{ByteRange, Digest, RangeRequest, Reference, Route, SentRange, media_type};

use super::Ask;

const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// What an answer's headers promise of its body, where they are the answer to what was asked; an error says what is wrong.
///
/// The length in bytes; `None` where it is not told.
pub(super) fn promised(ask: &Ask, status: StatusCode, headers: &HeaderMap) -> Result<Option<u64>, String> {
    if status == StatusCode::NOT_MODIFIED {
        let is_asked = ask.headers.contains_key(header::IF_NONE_MATCH);
        return if is_asked { Ok(Some(0)) } else { Err("it says that nothing has changed, which nobody asked".to_owned()) };
    }
    let kind = text(headers, &header::CONTENT_TYPE).map(media_type::essence).unwrap_or_default();
    check_digest(&ask.route, headers)?;
    let is_page = matches!(kind.as_str(), "text/html" | "application/xhtml+xml");
    if is_page && !headers.contains_key(DOCKER_CONTENT_DIGEST) {
        return Err("it sends a page for people; is there a proxy or a portal between?".to_owned());
    }
    let is_json = kind.is_empty() || kind == "application/json" || kind.ends_with("+json");
    let wants_json = !matches!(ask.route, Route::Base | Route::Token | Route::Events | Route::Manifest(..) | Route::Blob(..));
    if wants_json && !is_json {
        return Err(format!("it sends {kind} where JSON should be"));
    }
    let length = text(headers, &header::CONTENT_LENGTH).and_then(|length| length.trim().parse().ok());
    if status != StatusCode::PARTIAL_CONTENT {
        return Ok(length);
    }
    let sent = sent_range(ask, headers)?;
    let sent_bytes = sent.end - sent.start;
    if length.is_some_and(|length| length != sent_bytes) {
        return Err("its Content-Length is not that of its Content-Range".to_owned());
    }
    Ok(Some(sent_bytes))
}

/// A registry that names the digest of what it sends names the one that was asked for.
fn check_digest(route: &Route, headers: &HeaderMap) -> Result<(), String> {
    let (Route::Blob(_, asked) | Route::Manifest(_, Reference::Digest(asked))) = route else { return Ok(()) };
    let Some(sent) = text(headers, &DOCKER_CONTENT_DIGEST).and_then(|sent| sent.parse::<Digest>().ok()) else { return Ok(()) };
    if sent.algorithm() == asked.algorithm() && sent != *asked {
        return Err(format!("it sends {sent} where {asked} was asked for"));
    }
    Ok(())
}

/// The bytes that are sent, which are what was asked for or less.
fn sent_range(ask: &Ask, headers: &HeaderMap) -> Result<Range<u64>, String> {
    let asked = text(&ask.headers, &header::RANGE).map_or(RangeRequest::Whole, RangeRequest::parse);
    let RangeRequest::Part(asked) = asked else { return Err("it sends a part where the whole was asked for".to_owned()) };
    let told = text(headers, &header::CONTENT_RANGE).ok_or("it sends a part, and not which")?;
    let sent: SentRange = told.parse().map_err(|_| "its Content-Range can't be read".to_owned())?;
    let Range { start, end } = sent.bytes;
    let is_asked = match (asked, sent.size_bytes) {
        (_, Some(size_bytes)) => asked.of(size_bytes).is_some_and(|asked| start == asked.start && end <= asked.end),
        (ByteRange::Between(first, last), None) => start == first && end - 1 <= last,
        (ByteRange::From(first), None) => start == first,
        (ByteRange::Last(count), None) => end - start <= count,
        (ByteRange::Empty, None) => false,
    };
    if is_asked { Ok(start..end) } else { Err(format!("it sends {sent}, which were not asked for")) }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Method};
    use longshore_oci::Algorithm;

    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let lines = lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
        lines.collect()
    }

    fn ask(path: &str, lines: &[(&'static str, &str)]) -> Ask {
        Ask { method: Method::GET, route: Route::parse(path).unwrap(), query: None, headers: headers(lines) }
    }

    fn blob() -> String {
        format!("/v2/a/blobs/{}", Digest::of(Algorithm::Sha256, b"x"))
    }

    #[test]
    fn takes_the_part_that_was_asked_for() {
        let of = |asked: &str, sent: &[(&'static str, &str)]| {
            promised(&ask(&blob(), &[("range", asked)]), StatusCode::PARTIAL_CONTENT, &headers(sent)).ok()
        };
        let range = |range: &'static str| [("content-range", range)];
        assert_eq!(of("bytes=2-5", &range("bytes 2-5/10")), Some(Some(4)));
        assert_eq!(of("bytes=2-50", &range("bytes 2-9/10")), Some(Some(8)));
        assert_eq!(of("bytes=2-5", &range("bytes 2-4/*")), Some(Some(3)));
        assert_eq!(of("bytes=-3", &range("bytes 7-9/10")), Some(Some(3)));
        assert_eq!(of("bytes=2-", &range("bytes 2-9/10")), Some(Some(8)));
        for (asked, sent) in [
            ("bytes=2-5", "bytes 1-4/10"),
            ("bytes=2-5", "bytes 2-6/10"),
            ("bytes=2-5", "bytes 2-5/4"),
            ("bytes=-3", "bytes 0-2/10"),
            ("bytes=2-5", "nonsense"),
            ("bytes=0-", "bytes 0-18446744073709551615/*"),
            ("bytes=0-1,3-4", "bytes 0-1/10"),
        ] {
            assert_eq!(of(asked, &[("content-range", sent)]), None, "{asked}: {sent}");
        }
        assert_eq!(of("bytes=2-5", &[]), None);
        assert_eq!(of("bytes=2-5", &[("content-range", "bytes 2-5/10"), ("content-length", "10")]), None);
        let whole = promised(&ask(&blob(), &[]), StatusCode::PARTIAL_CONTENT, &headers(&range("bytes 0-9/10")));
        assert!(whole.is_err());
    }

    #[test]
    fn takes_no_page_for_an_answer() {
        let digest = Digest::of(Algorithm::Sha256, b"x").to_string();
        let other = Digest::of(Algorithm::Sha256, b"y").to_string();
        let ok = |path: &str, sent: &[(&'static str, &str)]| promised(&ask(path, &[]), StatusCode::OK, &headers(sent)).is_ok();
        let html = [("content-type", "text/html; charset=utf-8")];
        for path in [blob().as_str(), "/v2/a/manifests/1", "/v2/a/tags/list", "/v2/", "/v2/_longshore/keys"] {
            assert!(!ok(path, &html), "{path}");
            assert!(ok(path, &[]) && ok(path, &[("content-type", "application/x+json")]), "{path}");
        }
        assert!(ok(&blob(), &[html[0], ("docker-content-digest", &digest)]), "a blob may be a page");
        assert!(!ok(&blob(), &[("docker-content-digest", &other)]));
        assert!(ok("/v2/a/manifests/1", &[("docker-content-digest", &other)]));
        assert!(ok("/v2/a/manifests/1", &[("content-type", "text/plain")]) && ok("/v2/", &[("content-type", "text/plain")]));
        assert!(!ok("/v2/a/tags/list", &[("content-type", "text/plain")]));
    }

    #[test]
    fn nothing_is_unchanged_that_nobody_knew() {
        let of = |lines: &[_]| promised(&ask("/v2/a/manifests/1", lines), StatusCode::NOT_MODIFIED, &HeaderMap::new());
        assert_eq!(of(&[("if-none-match", "\"x\"")]), Ok(Some(0)));
        assert!(of(&[]).is_err());
    }
}
