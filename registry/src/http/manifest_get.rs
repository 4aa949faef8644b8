//! `GET` and `HEAD /v2/<name>/manifests/<tag-or-digest>`: the bytes as they were pushed.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use jiff::Timestamp;
use longshore_oci::{ManifestVoucher, Reference, RepositoryName, VerdictLifetime, media_type};

use super::{Call, Outcome, admission, manifest_voucher, reply};
use crate::{
    error::Error,
    policy::{self, Violation},
    registry::Registry,
    state::{Author, StoredManifest},
    verdicts,
};

/// That the policies let somebody have a manifest.
struct Leave {
    /// What they warn of.
    warnings: Vec<Violation>,
    /// For how long that stands; `None` where the time alone does not change it.
    stands_for: Option<Duration>,
    /// Whether whoever may pull from the repository has the same leave.
    is_for_all: bool,
}

pub async fn manifest_get<B>(registry: &Arc<Registry>, name: RepositoryName, reference: Reference, call: &Call<B>) -> Outcome {
    let key = (name, reference);
    let Some(manifest) = registry.memory.manifest(key.clone()).await? else {
        return Err(Error::ManifestUnknown(key.1.to_string()));
    };
    let accept = call.parts.headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if !media_type::is_accepted(accept, &manifest.media_type) {
        return Err(Error::NotAcceptable(manifest.media_type.clone()));
    }
    let Leave { warnings, stands_for, is_for_all } = require_policies(registry, &key.0, &manifest, call).await?;
    let is_known = reply::is_known(call.header(header::IF_NONE_MATCH), &manifest.digest);
    let mut response = if is_known {
        reply::status(StatusCode::NOT_MODIFIED)
    } else if call.parts.method == Method::HEAD {
        reply::status(StatusCode::OK)
    } else {
        registry.traffic.sent.inc_by(manifest.content.len() as u64);
        Response::new(Body::from(manifest.content.clone()))
    };
    let headers = response.headers_mut();
    if !is_known {
        headers.insert(header::CONTENT_LENGTH, manifest.content.len().into());
        let content_type = HeaderValue::from_str(&manifest.media_type);
        headers.insert(header::CONTENT_TYPE, content_type.unwrap_or(HeaderValue::from_static("application/json")));
    }
    headers.insert("docker-content-digest", reply::digest_value(&manifest.digest));
    headers.insert(header::ETAG, reply::entity_tag(&manifest.digest));
    headers.insert(VerdictLifetime::HEADER, registry.limits.verdicts.header(stands_for));
    if is_for_all && call.parts.headers.contains_key(ManifestVoucher::HEADER) {
        let lifetime = registry.limits.verdicts.lifetime_of(stands_for);
        let voucher = Box::pin(manifest_voucher::voucher(registry, &key, &manifest, lifetime)).await?;
        headers.extend(voucher.map(|voucher| (HeaderName::from_static(ManifestVoucher::HEADER), voucher)));
    }
    reply::warn(&mut response, &warnings);
    Ok(response)
}

/// What the policies say. A HEAD is answered as a GET would be: clients that are refused one ask again, for the reason.
async fn require_policies<B>(
    registry: &Registry,
    name: &RepositoryName,
    manifest: &StoredManifest,
    call: &Call<B>,
) -> Result<Leave, Error> {
    let document = registry.policies.current();
    let is_for_all = !document.asks_of_pulls(name);
    if is_for_all || call.caller.may_pull_unsigned(name) {
        return Ok(Leave { warnings: Vec::new(), stands_for: None, is_for_all });
    }
    Author::concerning(&manifest.digest);
    // Most requests have no need of it, and would have to make room.
    let judged = Box::pin(verdicts::judge(registry, &document, name, &manifest.digest)).await?;
    let stands_for = judged.stands_for(Timestamp::now());
    if judged.is_evidence {
        return Ok(Leave { warnings: Vec::new(), stands_for, is_for_all: true });
    }
    let warnings = registry.policies.settle(policy::verdict(&judged.judgements, admission::authority(registry, &call.parts)))?;
    Ok(Leave { warnings, stands_for, is_for_all: true })
}
