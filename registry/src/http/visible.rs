//! What of a list its caller may see.

use longshore_oci::RepositoryName;

use crate::{
    access::Caller,
    error::Error,
    registry::Registry,
    state::{ImageFilter, ImageSummary},
};

/// How many names are looked through at once.
const STRETCH: u32 = 1000;

/// The first repositories after a name that the caller may pull, at most so many.
pub async fn repositories(registry: &Registry, caller: &Caller, after: &str, count: u32) -> Result<Vec<String>, Error> {
    if caller.sees_all() {
        return Ok(registry.state.repositories(after, count).await?);
    }
    if !caller.sees_any() {
        return Ok(Vec::new());
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let (mut visible, mut after) = (Vec::new(), after.to_owned());
    while visible.len() < count {
        let names = registry.state.repositories(&after, STRETCH).await?;
        let Some(last) = names.last() else { break };
        after.clone_from(last);
        visible.extend(names.into_iter().filter(|name| name.parse().is_ok_and(|name| caller.sees(&name))));
    }
    visible.truncate(count);
    Ok(visible)
}

/// The images that a filter leaves, of repositories that the caller may pull.
pub async fn images(registry: &Registry, caller: &Caller, filter: ImageFilter) -> Result<Vec<ImageSummary>, Error> {
    if caller.sees_all() {
        return Ok(registry.state.images(filter).await?);
    }
    let sees = |name: &str| name.parse::<RepositoryName>().ok().filter(|name| caller.sees(name));
    if let Some(only) = &filter.repository {
        return if caller.sees(only) { Ok(registry.state.images(filter).await?) } else { Ok(Vec::new()) };
    }
    let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let mut images = Vec::new();
    let mut after = filter.after.clone();
    let mut names = vec![after.0.clone()];
    loop {
        for name in names.iter().filter_map(|name| sees(name)) {
            if images.len() >= limit {
                return Ok(images);
            }
            let left = u32::try_from(limit - images.len()).unwrap_or(u32::MAX);
            let filter = ImageFilter { repository: Some(name), after: after.clone(), limit: left, ..filter };
            images.extend(registry.state.images(filter).await?);
        }
        let Some(last) = names.pop() else { return Ok(images) };
        after = (last, String::new());
        names = repositories(registry, caller, &after.0, STRETCH).await?;
    }
}
