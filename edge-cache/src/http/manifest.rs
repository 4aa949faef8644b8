//! `GET` and `HEAD /v2/<name>/manifests/<tag-or-digest>`: the bytes as they were pushed.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use jiff::Timestamp;
use longshore_oci::{Digest, ManifestVoucher, Reference, RepositoryName, Route, VerdictLifetime, media_type};

use super::{Call, Outcome, reply};
use crate::{
    Origin,
    edge::Edge,
    error::Error,
    grants::{Denied, Granted, MANIFESTS, Place, What},
    statements::tag_topic,
    upstream::{Ask, Identity, UpstreamError},
};

/// What a reference names, for a client that may see it.
struct Found {
    digest: Digest,
    granted: Granted,
    /// Of a tag: how long ago its upstream named it so, and whether that is too long.
    age: Option<(Duration, bool)>,
}

pub async fn manifest(edge: &Arc<Edge>, call: &Call, name: RepositoryName, reference: Reference) -> Outcome {
    let found = match find(edge, call, &name, &reference).await {
        Ok(found) => found,
        Err(denied) => return Err(explained(call, name, reference, denied).await.into()),
    };
    let Found { digest, granted, age } = found;
    let (is_open, lifetime) = (granted.is_open, granted.lifetime);
    let manifest = edge.tags.manifest(&edge.grants, &call.upstream, &name, &digest, &granted.identity).await?;
    edge.sources.shares_manifest(&edge.grants, &call.upstream, &name, &digest, &reference);
    let voucher = voucher(edge, call, &name, &digest, &reference);
    if !call.is_head() {
        let origin = Origin { upstream: call.upstream.clone(), repository: name, who: granted.identity };
        edge.look_ahead(&origin, &manifest);
        edge.prewarm.follow(&digest, &manifest.media_type, &manifest.bytes, edge.source(origin));
    }
    let accept = call.parts.headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if !media_type::is_accepted(accept, &manifest.media_type) {
        return Err(Error::NotAcceptable(manifest.media_type.to_string()));
    }
    let is_known = reply::is_known(&call.parts.headers, &digest);
    let mut response = if is_known {
        reply::status(StatusCode::NOT_MODIFIED)
    } else if call.is_head() {
        reply::status(StatusCode::OK)
    } else {
        Response::new(Body::from(manifest.bytes.clone()))
    };
    if !is_known {
        response.headers_mut().insert(header::CONTENT_LENGTH, manifest.bytes.len().into());
        let kind = HeaderValue::from_str(&manifest.media_type).unwrap_or(HeaderValue::from_static("application/json"));
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    reply::name(&mut response, &digest);
    if let Some(lifetime) = lifetime {
        // What is left of it: a cache behind this one goes by the same verdict, and by no longer one.
        response.headers_mut().insert(VerdictLifetime::HEADER, lifetime.to_header());
    }
    response.headers_mut().extend(voucher.map(|voucher| (HeaderName::from_static(ManifestVoucher::HEADER), voucher)));
    let is_stale = age.is_some_and(|(_, is_stale)| is_stale);
    let was = if is_stale {
        reply::STALE
    } else if manifest.was_here {
        reply::HIT
    } else {
        reply::MISS
    };
    // That it is stale tells of the upstream; else how old it is would tell when others have asked.
    let is_told = is_open || is_stale;
    reply::tell(response.headers_mut(), was, is_told);
    if let Some((age, is_stale)) = age.filter(|_| is_told) {
        reply::aged(&mut response, age, is_stale);
    }
    Ok(response)
}

async fn find(edge: &Edge, call: &Call, name: &RepositoryName, reference: &Reference) -> Result<Found, Denied> {
    match reference {
        Reference::Digest(digest) => {
            let what = What::Manifest(digest.clone());
            let granted = match edge.grants.allowed(&call.upstream, name, &call.client, &what).await {
                Err(denied) => despite(edge, call, name, reference, &what, denied).await?,
                granted => granted?,
            };
            Ok(Found { digest: digest.clone(), granted, age: None })
        }
        Reference::Tag(tag) => {
            let named = edge.tags.resolve(&edge.grants, &call.upstream, name, tag, &call.client).await?;
            Ok(Found { digest: named.digest, granted: named.granted, age: Some((named.age, named.is_stale)) })
        }
    }
}

/// What a client may have of a manifest though the upstream does not say so, as it is away: where it is remembered that the client may pull
/// from the repository, and a neighbour has the upstream's word for the manifest.
async fn despite(
    edge: &Edge,
    call: &Call,
    name: &RepositoryName,
    reference: &Reference,
    what: &What,
    denied: Denied,
) -> Result<Granted, Denied> {
    let (grants, upstream) = (&edge.grants, &call.upstream);
    if !grants.may_pull_from(upstream, name, &call.client).await
        || edge.tags.ask_neighbours(grants, &denied, upstream, name, reference).await.is_none()
    {
        return Err(denied);
    }
    grants.allowed_despite(&denied, upstream, name, &call.client, what).await.ok_or(denied)
}

/// The upstream's word for a manifest, for a cache that asks for it.
fn voucher(edge: &Edge, call: &Call, name: &RepositoryName, digest: &Digest, reference: &Reference) -> Option<HeaderValue> {
    call.parts.headers.get(ManifestVoucher::HEADER)?;
    let (place, now) = (Place::new(&call.upstream, name.clone()), Timestamp::now());
    let about = match reference {
        Reference::Digest(digest) => digest.clone(),
        Reference::Tag(tag) => tag_topic(tag),
    };
    let vouched = edge.grants.statements().counting(&place, &about, now).filter(|vouched| vouched.said.digest == *digest)?;
    HeaderValue::from_str(&vouched.text).ok()
}

/// A refusal in the upstream's own words. A HEAD is refused without any, so where a policy refuses a client that may pull, it is asked
/// once more, in that client's name, for why; what comes of it is told and nothing else of it is taken.
async fn explained(call: &Call, name: RepositoryName, reference: Reference, denied: Denied) -> Denied {
    let is_wordless = matches!(
        &denied,
        Denied::Upstream(UpstreamError::Refused { status: StatusCode::FORBIDDEN, errors, .. }) if errors.is_empty()
    );
    if !is_wordless || call.is_head() {
        return denied;
    }
    let identity = match &call.client.shown {
        Some(shown) => Identity::Caller(shown.header.clone()),
        None if call.client.shares(&call.upstream) => Identity::Edge,
        None => Identity::Anonymous,
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static(MANIFESTS));
    let ask = Ask { method: Method::GET, route: Route::Manifest(name, reference), query: None, headers };
    match call.upstream.ask(&identity, ask).await {
        Err(error @ UpstreamError::Refused { status: StatusCode::FORBIDDEN, .. }) => Denied::Upstream(error),
        _ => denied,
    }
}
