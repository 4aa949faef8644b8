//! Asking an upstream what a tag names.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use longshore_oci::{Algorithm, Digest, Reference, RepositoryName, Route, Tag, VerdictLifetime};

use super::{manifest_bytes::MOST_BYTES, memo::Kept};
use crate::{
    grants::{self, Denied, MANIFESTS},
    upstream::{Answer, Ask, Identity, Upstream},
};

/// What an upstream said of a tag.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Looked {
    /// What it names.
    pub kept: Kept,
    /// For how long it holds, from when it was asked for, that whoever asked may have that; where the upstream has said so.
    pub lifetime: Option<VerdictLifetime>,
}

/// What a tag names, by a HEAD; by a GET where the upstream does not tell a digest so. What was known is asked for no more than whether
/// it holds.
pub async fn look(
    upstream: &Upstream,
    identity: &Identity,
    repository: &RepositoryName,
    tag: &Tag,
    known: Option<&Kept>,
) -> Result<Looked, Denied> {
    let asked_at = Timestamp::now();
    let malformed = |reason| Denied::NotARegistry { upstream: upstream.name().to_owned(), reason };
    let etag = known.and_then(|known| HeaderValue::try_from(known.etag.as_deref()?).ok());
    let answer = ask(upstream, identity, Method::HEAD, repository, tag, etag.clone()).await;
    let answer = match answer {
        // There are registries without this HEAD.
        Err(denied) if denied.status() == Some(StatusCode::METHOD_NOT_ALLOWED) => None,
        answer => Some(answer?),
    };
    let found = answer.map(|answer| told(&answer, known.filter(|_| etag.is_some()), asked_at)).transpose().map_err(malformed)?;
    if let Some(found) = found.flatten() {
        return Ok(found);
    }
    let answer = ask(upstream, identity, Method::GET, repository, tag, None).await?;
    let kind = grants::kind(&answer.headers);
    if answer.status != StatusCode::OK || !grants::is_manifest(&kind) {
        return Err(malformed(format!("it answered a manifest with {} and {kind:?}", answer.status)));
    }
    let told = grants::digest(&answer.headers).map_err(malformed)?;
    let etag = text(&answer.headers, header::ETAG.as_str()).map(str::to_owned);
    let lifetime = grants::verdict_lifetime(&answer.headers);
    let bytes = answer.read(MOST_BYTES).await.map_err(Denied::Upstream)?;
    let algorithm = told.as_ref().map_or(Algorithm::Sha256, Digest::algorithm);
    let digest = Digest::of(algorithm, &bytes);
    if told.as_ref().is_some_and(|told| *told != digest) {
        return Err(malformed(format!("it sent a manifest whose digest is {digest}, and told another")));
    }
    Ok(Looked { kept: Kept::new(digest, etag.as_deref(), asked_at), lifetime })
}

async fn ask(
    upstream: &Upstream,
    identity: &Identity,
    method: Method,
    repository: &RepositoryName,
    tag: &Tag,
    etag: Option<HeaderValue>,
) -> Result<Answer, Denied> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static(MANIFESTS));
    if let Some(etag) = etag {
        headers.insert(header::IF_NONE_MATCH, etag);
    }
    let route = Route::Manifest(repository.clone(), Reference::Tag(tag.clone()));
    upstream.ask(identity, Ask { method, route, query: None, headers }).await.map_err(Denied::Upstream)
}

/// What an answer to a HEAD tells; nothing where it names no digest. `known` is what its `If-None-Match` named.
fn told(answer: &Answer, known: Option<&Kept>, asked_at: Timestamp) -> Result<Option<Looked>, String> {
    let lifetime = grants::verdict_lifetime(&answer.headers);
    Ok(named(answer.status, &answer.headers, known, asked_at)?.map(|kept| Looked { kept, lifetime }))
}

fn named(status: StatusCode, headers: &HeaderMap, known: Option<&Kept>, now: Timestamp) -> Result<Option<Kept>, String> {
    let digest = grants::digest(headers)?;
    match (status, known) {
        (StatusCode::NOT_MODIFIED, Some(known)) => {
            let is_it = digest.is_none_or(|digest| digest == known.digest || digest.algorithm() != known.digest.algorithm());
            let known = Kept { checked_at: now, is_outdated: false, ..known.clone() };
            is_it.then_some(Some(known)).ok_or_else(|| "it told of another digest with 304".to_owned())
        }
        (StatusCode::OK, _) if grants::is_page(&grants::kind(headers)) => Err("it answered with a page of HTML".to_owned()),
        (StatusCode::OK, _) => Ok(digest.map(|digest| Kept::new(digest, text(headers, header::ETAG.as_str()), now))),
        _ => Err(format!("it answered {status} where 200 was to come")),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_names_the_manifest_or_says_that_it_is_the_same() {
        let (one, other) = (Digest::of(Algorithm::Sha256, b"1"), Digest::of(Algorithm::Sha256, b"2"));
        let now = Timestamp::from_second(9).unwrap();
        let told = Kept::new(one.clone(), Some("\"e\""), Timestamp::from_second(1).unwrap());
        let known = Kept { is_outdated: true, ..told.clone() };
        let see = |status, digest: Option<&Digest>, kind: &'static str, known| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            headers.insert(header::ETAG, HeaderValue::from_static("\"f\""));
            if let Some(digest) = digest {
                headers.insert(grants::CONTENT_DIGEST, HeaderValue::from_str(digest.as_str()).unwrap());
            }
            named(status, &headers, known, now)
        };
        let kind = longshore_oci::media_type::OCI_INDEX;
        assert_eq!(see(StatusCode::OK, Some(&other), kind, Some(&known)), Ok(Some(Kept::new(other.clone(), Some("\"f\""), now))));
        assert_eq!(see(StatusCode::OK, None, kind, Some(&known)), Ok(None));
        assert!(see(StatusCode::OK, Some(&one), "text/html", None).is_err());
        let same = Kept { checked_at: now, ..told };
        assert_eq!(see(StatusCode::NOT_MODIFIED, None, kind, Some(&known)), Ok(Some(same)));
        assert!(see(StatusCode::NOT_MODIFIED, Some(&other), kind, Some(&known)).is_err());
        assert!(see(StatusCode::NOT_MODIFIED, None, kind, None).is_err(), "nobody asked whether it holds");
        assert!(see(StatusCode::ACCEPTED, Some(&one), kind, None).is_err());
    }
}
