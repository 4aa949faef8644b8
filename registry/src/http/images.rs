//! `GET /v2/_longshore/images`: every tagged image with what it holds and shares.

use std::sync::Arc;

use longshore_oci::{RepositoryName, RouteError};
use serde_json::json;

use super::{Call, Outcome, page, page::Page, reply, visible};
use crate::{registry::Registry, state::ImageFilter};

/// The longest page: each of its images takes several look-ups.
const MAX_PAGE: u32 = 100;

pub async fn images<B>(registry: &Arc<Registry>, call: &Call<B>) -> Outcome {
    let query = call.query();
    let mut page = Page::of(registry, query)?;
    page.length = page.length.min(MAX_PAGE);
    let repository: Option<RepositoryName> =
        query.get("repository").map(|name| name.parse()).transpose().map_err(RouteError::from)?;
    // A tag has no colon, so the last one parts it from its repository.
    let after = page.after.rsplit_once(':').unwrap_or((&page.after, ""));
    let filter = ImageFilter {
        repository: repository.clone(),
        after: (after.0.to_owned(), after.1.to_owned()),
        limit: page.probe(),
        sharing: call.caller.sharing(),
    };
    let mut images = visible::images(registry, &call.caller, filter).await?;
    let has_more = page.cut(&mut images);
    let mut response = reply::json(&json!({ "images": images }));
    if let (true, Some(last)) = (has_more, images.last()) {
        let last = format!("{}:{}", last.repository, last.tag);
        let more = repository.map(|name| format!("repository={}&", page::encode(name.as_str()))).unwrap_or_default();
        page::link(&mut response, "/v2/_longshore/images", &more, page.length, &last);
    }
    Ok(response)
}
