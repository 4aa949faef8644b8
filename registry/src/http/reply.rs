//! Answers, as far as several operations give the same.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use longshore_oci::Digest;
use serde::Serialize;

use crate::policy::Violation;

/// The most that all warnings of an answer may have together, in bytes, by the specification.
const MOST_WARNING_BYTES: usize = 4096;
const MOST_WARNING_CHARACTERS: usize = 500;

/// 200 with JSON.
pub fn json(value: &impl Serialize) -> Response<Body> {
    json_bytes(serde_json::to_vec(value).expect("what we answer is always JSON").into())
}

/// 200 with bytes that are JSON.
pub fn json_bytes(bytes: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// 200 with JSON of what is at a revision, which is its entity tag.
pub fn json_at(revision: u64, value: &impl Serialize) -> Response<Body> {
    let mut response = json(value);
    response.headers_mut().insert(header::ETAG, entity_tag(revision));
    response
}

/// A status alone.
pub fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// 201: content is where the location says.
pub fn created(location: HeaderValue, digest: &Digest) -> Response<Body> {
    let mut response = status(StatusCode::CREATED);
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert("docker-content-digest", digest_value(digest));
    response
}

/// Says in an answer what is wrong with what was done all the same, as far as there is room (OCI distribution-spec, "Warnings").
pub fn warn(response: &mut Response<Body>, warnings: &[Violation]) {
    let mut left = MOST_WARNING_BYTES;
    for warning in warnings {
        let text: String = warning.to_string().chars().take(MOST_WARNING_CHARACTERS).map(plain).collect();
        let value = format!("299 - \"{text}\"");
        let Some(rest) = left.checked_sub(value.len()) else { return };
        left = rest;
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
}

/// What a character is in a quoted string of a header.
fn plain(character: char) -> char {
    match character {
        '"' | '\\' => '\'',
        ' '..='~' => character,
        _ => '?',
    }
}

/// A digest as a header's value.
pub fn digest_value(digest: &Digest) -> HeaderValue {
    HeaderValue::from_str(digest.as_str()).expect("a digest is plain ASCII")
}

/// A digest or a revision as an entity tag.
pub fn entity_tag(content: impl std::fmt::Display) -> HeaderValue {
    HeaderValue::try_from(format!("\"{content}\"")).expect("a digest or a number is plain ASCII")
}

/// Whether an `If-None-Match` names this content (RFC 9110, 13.1.2).
pub fn is_known(if_none_match: Option<&str>, digest: &Digest) -> bool {
    let Some(tags) = if_none_match else { return false };
    tags.split(',').map(str::trim).any(|tag| {
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        tag == "*" || tag.trim_matches('"') == digest.as_str()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_plain_and_bounded() {
        let mut response = status(StatusCode::CREATED);
        let hostile = Violation { policy: "p".into(), reason: format!("\"a\\b\"\r\n\u{7f}\u{e9}{}", "x".repeat(10_000)) };
        warn(&mut response, &vec![hostile; 10_000]);
        let values: Vec<&str> = response.headers().get_all(header::WARNING).iter().map(|value| value.to_str().unwrap()).collect();
        assert!(values[0].starts_with("299 - \"policy 'p': 'a'b'????xxx"), "{}", values[0]);
        assert!(values.len() > 1 && values.iter().map(|value| value.len()).sum::<usize>() <= MOST_WARNING_BYTES);
    }
}
