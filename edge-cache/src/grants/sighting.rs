//! Whether an answer shows that a registry has something. A page of HTML with 200, which a proxy in between may send, shows nothing; with
//! a digest it is a registry's, of something that is a page.

use http::{HeaderMap, StatusCode, header};
use longshore_oci::{Digest, VerdictLifetime, media_type};

use super::What;

/// The header that names an answer's content.
pub const CONTENT_DIGEST: &str = "docker-content-digest";

/// What an answer to a HEAD tells of what was asked for: its length in bytes, where that is told. Why it tells nothing is the error.
pub fn sighting(what: &What, status: StatusCode, headers: &HeaderMap) -> Result<Option<u64>, String> {
    if status != StatusCode::OK {
        return Err(format!("it answered {status} where 200 was to come"));
    }
    let kind = kind(headers);
    let told = digest(headers)?;
    if told.is_none() && is_page(&kind) {
        return Err(format!("it answered with {kind}"));
    }
    match told {
        Some(told) if told.algorithm() == what.digest().algorithm() && told != *what.digest() => {
            return Err(format!("it told of {told} where {} was asked for", what.digest()));
        }
        // For a manifest, registries name its digest, or at least its kind.
        None if matches!(what, What::Manifest(_)) && !is_manifest(&kind) => {
            return Err(format!("it answered a manifest with {kind:?}, and no digest"));
        }
        _ => {}
    }
    Ok(text(headers, header::CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok()))
}

/// The digest that an answer names; an error where it can't be read.
pub fn digest(headers: &HeaderMap) -> Result<Option<Digest>, String> {
    let Some(value) = text(headers, CONTENT_DIGEST) else { return Ok(None) };
    value.trim().parse().map(Some).map_err(|_| format!("its {CONTENT_DIGEST} is no digest: {value:?}"))
}

/// For how long an answer says that it holds; one that can't be read says nothing.
pub fn verdict_lifetime(headers: &HeaderMap) -> Option<VerdictLifetime> {
    text(headers, VerdictLifetime::HEADER)?.parse().ok()
}

/// The media type of an answer, without parameters; empty where it has none.
pub fn kind(headers: &HeaderMap) -> String {
    media_type::essence(text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default())
}

/// Whether a media type is one of pages for people.
pub fn is_page(kind: &str) -> bool {
    matches!(kind, "text/html" | "application/xhtml+xml")
}

/// Whether a media type may be a manifest's.
pub fn is_manifest(kind: &str) -> bool {
    kind.ends_with("json") || kind.ends_with("prettyjws")
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use longshore_oci::Algorithm;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_lifetime_that_cannot_be_read_is_none() {
        let told = |value: &str| verdict_lifetime(&headers(&[(VerdictLifetime::HEADER, value)]));
        assert_eq!(told("max-age=60, stale-if-error=600"), "max-age=60, stale-if-error=600".parse().ok());
        assert!(told("max-age=60").is_some() && told("for good").is_none() && told("").is_none());
        assert_eq!(verdict_lifetime(&HeaderMap::new()), None);
    }

    #[test]
    fn a_page_shows_nothing() {
        let (this, other) = (Digest::of(Algorithm::Sha256, b"1"), Digest::of(Algorithm::Sha256, b"2"));
        let (manifest, blob) = (What::Manifest(this.clone()), What::Blob(this.clone()));
        let see = |what: &What, pairs: &[(&'static str, &str)]| sighting(what, StatusCode::OK, &headers(pairs));
        let octets = ("content-type", "application/octet-stream");
        assert_eq!(see(&blob, &[octets, ("content-length", "17")]), Ok(Some(17)));
        assert_eq!(see(&blob, &[(CONTENT_DIGEST, this.as_str())]), Ok(None));
        assert!(see(&blob, &[(CONTENT_DIGEST, other.as_str())]).is_err() && see(&blob, &[(CONTENT_DIGEST, "x")]).is_err());
        let html = ("content-type", "text/html; charset=utf-8");
        for what in [&blob, &manifest] {
            assert!(see(what, &[html]).is_err() && see(what, &[html, (CONTENT_DIGEST, other.as_str())]).is_err());
            assert!(see(what, &[html, (CONTENT_DIGEST, this.as_str())]).is_ok(), "it may be a page");
            for status in [StatusCode::NO_CONTENT, StatusCode::PARTIAL_CONTENT, StatusCode::NOT_MODIFIED] {
                assert!(sighting(what, status, &headers(&[(CONTENT_DIGEST, this.as_str())])).is_err());
            }
        }
        assert!(see(&manifest, &[octets]).is_err() && see(&manifest, &[]).is_err());
        assert!(see(&manifest, &[("content-type", media_type::OCI_INDEX)]).is_ok());
        assert!(see(&manifest, &[(CONTENT_DIGEST, this.as_str())]).is_ok());
        assert!(see(&manifest, &[(CONTENT_DIGEST, other.as_str())]).is_err());
        let other_algorithm = Digest::of(Algorithm::Sha512, b"1");
        assert!(see(&manifest, &[(CONTENT_DIGEST, other_algorithm.as_str())]).is_ok());
    }
}
