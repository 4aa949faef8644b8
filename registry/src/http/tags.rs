//! `GET /v2/<name>/tags/list`.

use std::sync::Arc;

use longshore_oci::{RepositoryName, Route};
use serde::Serialize;

use super::{Call, Outcome, page, page::Page, reply};
use crate::{error::Error, registry::Registry};

#[derive(Serialize)]
struct Tags<'a> {
    name: &'a str,
    tags: &'a [String],
}

pub async fn tags<B>(registry: &Arc<Registry>, name: RepositoryName, call: &Call<B>) -> Outcome {
    let page = Page::of(registry, call.query())?;
    let tags = registry.state.tags(&name, &page.after, page.probe()).await?;
    let mut tags = tags.ok_or_else(|| Error::RepositoryUnknown(name.clone()))?;
    let has_more = page.cut(&mut tags);
    let mut response = reply::json(&Tags { name: name.as_str(), tags: &tags });
    if let (true, Some(last)) = (has_more, tags.last()) {
        page::link(&mut response, &Route::Tags(name).to_string(), "", page.length, last);
    }
    Ok(response)
}
