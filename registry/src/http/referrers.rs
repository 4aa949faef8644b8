//! `GET /v2/<name>/referrers/<digest>`: the manifests about another, as an image index. One about nothing is an empty index.

use std::sync::Arc;

use http::{HeaderValue, header};
use longshore_oci::{Descriptor, Digest, RepositoryName, Route, media_type};
use serde_json::json;

use super::{Call, Outcome, page, page::Page, reply};
use crate::{registry::Registry, state::Referrer};

/// How large a page's JSON may grow, in bytes: clients refuse manifests past 4 MiB, and this is read as one.
const MAX_PAGE_BYTES: usize = 4_000_000;

pub async fn referrers<B>(registry: &Arc<Registry>, name: RepositoryName, subject: Digest, call: &Call<B>) -> Outcome {
    let query = call.query();
    let page = Page::of(registry, query)?;
    let artifact_type = query.get("artifactType").filter(|kind| !kind.is_empty());
    let kind = artifact_type.as_deref();
    let mut referrers = registry.state.referrers(&name, &subject, kind, &page.after, page.probe()).await?;
    let mut has_more = page.cut(&mut referrers);
    let mut descriptors = Vec::with_capacity(referrers.len());
    let mut size_bytes = 0;
    for referrer in referrers {
        let descriptor = serde_json::to_value(descriptor(referrer)).expect("a descriptor is always JSON");
        size_bytes += descriptor.to_string().len();
        if size_bytes > MAX_PAGE_BYTES && !descriptors.is_empty() {
            has_more = true;
            break;
        }
        descriptors.push(descriptor);
    }
    let mut response = reply::json(&json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": descriptors,
    }));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type::OCI_INDEX));
    let mut filter = String::new();
    if let Some(kind) = kind {
        response.headers_mut().insert("oci-filters-applied", HeaderValue::from_static("artifactType"));
        filter = format!("artifactType={}&", page::encode(kind));
    }
    if let (true, Some(last)) = (has_more, descriptors.last()) {
        let last = last["digest"].as_str().unwrap_or_default();
        page::link(&mut response, &Route::Referrers(name, subject).to_string(), &filter, page.length, last);
    }
    Ok(response)
}

fn descriptor(referrer: Referrer) -> Descriptor {
    let Referrer { digest, media_type, size_bytes, artifact_type, annotations } = referrer;
    Descriptor { media_type, digest, size: size_bytes, urls: Vec::new(), annotations, artifact_type, platform: None }
}
