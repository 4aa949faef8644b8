//! `GET /v2/<name>/_longshore/images/<tag-or-digest>`: one image, layer by layer.

use std::sync::Arc;

use longshore_oci::{Reference, RepositoryName};

use super::{Call, Outcome, reply};
use crate::{error::Error, registry::Registry};

pub async fn image<B>(registry: &Arc<Registry>, name: RepositoryName, reference: Reference, call: &Call<B>) -> Outcome {
    let unknown = || Error::ManifestUnknown(reference.to_string());
    let manifest = registry.memory.manifest((name.clone(), reference.clone())).await?.ok_or_else(unknown)?;
    let image = registry.state.image(&name, &manifest.digest, call.caller.sharing()).await?.ok_or_else(unknown)?;
    Ok(reply::json(&image))
}
