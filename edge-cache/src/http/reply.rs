//! Answers, as far as several operations give the same.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use longshore_oci::Digest;

/// The header that tells where an answer is from.
pub const CACHE: HeaderName = HeaderName::from_static("x-longshore-cache");
/// It was here.
pub const HIT: HeaderValue = HeaderValue::from_static("hit");
/// It was fetched, all or a part.
pub const MISS: HeaderValue = HeaderValue::from_static("miss");
/// It was here, and the upstream could not be asked whether it still is so.
pub const STALE: HeaderValue = HeaderValue::from_static("stale");

/// Tells where an answer is from, where anybody may have it: of what only some may have it would tell what others have pulled.
pub fn tell(headers: &mut HeaderMap, was: HeaderValue, is_open: bool) {
    if is_open {
        headers.insert(CACHE, was);
    }
}

/// A status alone.
pub fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Names an answer's content.
pub fn name(response: &mut Response<Body>, digest: &Digest) {
    let plain = HeaderValue::from_str(digest.as_str()).expect("a digest is plain ASCII");
    let tag = HeaderValue::try_from(format!("\"{digest}\"")).expect("a digest is plain ASCII");
    response.headers_mut().insert("docker-content-digest", plain);
    response.headers_mut().insert(header::ETAG, tag);
}

/// Tells how old an answer is, and whether it is older than it should be (RFC 9111, 5.1; RFC 7234, 5.5.1).
pub fn aged(response: &mut Response<Body>, age: Duration, is_stale: bool) {
    response.headers_mut().insert(header::AGE, age.as_secs().into());
    if is_stale {
        let warning = HeaderValue::from_static("110 - \"Response is Stale\"");
        response.headers_mut().append(header::WARNING, warning);
    }
}

/// Whether an `If-None-Match` names this content (RFC 9110, 13.1.2).
pub fn is_known(headers: &HeaderMap, digest: &Digest) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).any(|tag| {
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        tag == "*" || tag.trim_matches('"') == digest.as_str()
    })
}

#[cfg(test)]
mod tests {
    use longshore_oci::Algorithm;

    use super::*;

    #[test]
    fn of_what_is_closed_nobody_is_told_whether_it_was_here() {
        for (was, is_open) in [(HIT, true), (MISS, true), (HIT, false), (MISS, false)] {
            let mut headers = HeaderMap::new();
            tell(&mut headers, was.clone(), is_open);
            assert_eq!(headers.get("x-longshore-cache"), is_open.then_some(&was));
        }
    }

    #[test]
    fn content_is_known_by_its_tag() {
        let digest = Digest::of(Algorithm::Sha256, b"1");
        let known = |value: String| is_known(&[(header::IF_NONE_MATCH, value.parse().unwrap())].into_iter().collect(), &digest);
        assert!(known(format!("\"{digest}\"")) && known(format!("\"x\", W/\"{digest}\"")) && known("*".into()));
        assert!(!known("\"sha256:0\"".into()) && !is_known(&HeaderMap::new(), &digest));
    }
}
