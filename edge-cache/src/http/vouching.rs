//! `GET /v2/_longshore/keys` and `GET /v2/<name>/_longshore/metainfo/<digest>`: what blobs are made of, and by whose word. A registry of
//! ours vouches for its own, and its word is passed on; for blobs of others that were hashed here, and that anybody may have, the edge
//! does by itself.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderValue, Response, header};
use jiff::Timestamp;
use longshore_oci::{Digest, RepositoryName, Route};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Call, Outcome, held, pass};
use crate::{
    Origin,
    edge::Edge,
    error::Error,
    grants::{Denied, What},
    store::Entry,
    upstream::{Ask, Identity, UpstreamError},
    vouching::{self, EDGE_KEY, edge_key},
};

/// The longest set of keys of an upstream.
const MOST_BYTES: usize = 1 << 20;

/// A JSON Web Key Set (RFC 7517), whatever its keys are.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Published {
    keys: Vec<Value>,
}

/// The keys of the registry of ours that the request means, if it means one, and the edge's own, which a header names.
pub async fn keys(edge: &Edge, call: &Call) -> Outcome {
    let is_ours = call.upstream.find_kind().await.map_err(Denied::Upstream)?;
    let mut published = if is_ours { published(call).await? } else { Published::default() };
    published.keys.push(serde_json::to_value(edge.vouching.public()).expect("a key is JSON"));
    let body = serde_json::to_vec(&published).expect("keys are JSON");
    let mut response = json(edge, body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// A registry's own keys, as it publishes them now.
async fn published(call: &Call) -> Result<Published, Denied> {
    let upstream = &call.upstream;
    let answer = upstream.ask(&Identity::Anonymous, Ask::get(Route::Keys)).await.map_err(Denied::Upstream)?;
    // The upstream may be an edge too. What that one signs by itself it says itself, and nobody for it.
    let its_own = edge_key(&answer.headers).map(str::to_owned);
    let body = answer.read(MOST_BYTES).await.map_err(Denied::Upstream)?;
    let read = serde_json::from_slice::<Published>(&body).map_err(|error| {
        let reason = format!("its keys can't be read: {error}");
        Denied::Upstream(UpstreamError::Malformed { upstream: upstream.name().into(), reason })
    });
    let mut published = read?;
    published.keys.retain(|key| its_own.is_none() || key.get("kid").and_then(Value::as_str) != its_own.as_deref());
    Ok(published)
}

/// A blob's pieces. `asked` is the repository as the client calls it, `name` as the upstream does.
pub async fn metainfo(
    edge: &Arc<Edge>,
    call: &Call,
    asked: Option<&RepositoryName>,
    name: RepositoryName,
    digest: Digest,
) -> Outcome {
    if call.upstream.is_longshore().await {
        let route = Route::Metainfo(name.clone(), digest.clone());
        match pass::pass(call, route, asked, Some(name.clone())).await {
            // While the registry says nothing, what was seen here holds.
            Err(Error::Denied(denied)) if denied.is_down() => {}
            passed => return passed,
        }
    }
    let what = What::Blob(digest.clone());
    let granted = edge.grants.allowed(&call.upstream, &name, &call.client, &what).await?;
    let source = edge.source(Origin { upstream: call.upstream.clone(), repository: name, who: granted.identity });
    // Of what is not open to all it is not told, as it would tell what others have pulled.
    let entry = edge.blobs.checked_whole(&digest, &source).filter(|_| granted.is_open).ok_or(Error::NotVouched(digest))?;
    let signs = edge.clone();
    let make = move |entry: &Entry| {
        let metainfo = signs.vouching.metainfo(entry, Timestamp::now().as_second());
        (serde_json::to_vec(&metainfo).expect("a metainfo is JSON"), ())
    };
    let (list, (), room) = vouching::written(edge.vouching.room(), entry, make).await.map_err(|_| Error::Overloaded)?;
    let length = list.len();
    let mut response = json(edge, if call.is_head() { Body::empty() } else { held::body(list, room) });
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    Ok(response)
}

fn json(edge: &Edge, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(EDGE_KEY, edge.vouching.header());
    response
}
