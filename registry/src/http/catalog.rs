//! `GET /v2/_catalog`.

use std::sync::Arc;

use serde_json::json;

use super::{Call, Outcome, page, page::Page, reply, visible};
use crate::registry::Registry;

pub async fn catalog<B>(registry: &Arc<Registry>, call: &Call<B>) -> Outcome {
    let page = Page::of(registry, call.query())?;
    let mut repositories = visible::repositories(registry, &call.caller, &page.after, page.probe()).await?;
    let has_more = page.cut(&mut repositories);
    let mut response = reply::json(&json!({ "repositories": repositories }));
    if let (true, Some(last)) = (has_more, repositories.last()) {
        page::link(&mut response, "/v2/_catalog", "", page.length, last);
    }
    Ok(response)
}
