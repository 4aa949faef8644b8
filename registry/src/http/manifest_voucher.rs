//! The registry's word for a manifest, for a cache that will be asked for it while the registry is away.

use http::HeaderValue;
use jiff::Timestamp;
use longshore_oci::{Manifest, ManifestVoucher, Reference, RepositoryName, VerdictLifetime};

use crate::{
    error::Error,
    registry::Registry,
    state::{StoredManifest, references},
};

/// What there is to be said of a manifest that anybody may have who may pull from its repository, for so long; `None` where nothing is, as
/// while there is no key to sign with.
pub async fn voucher(
    registry: &Registry,
    (name, reference): &(RepositoryName, Reference),
    manifest: &StoredManifest,
    lifetime: VerdictLifetime,
) -> Result<Option<HeaderValue>, Error> {
    let Some(key) = registry.keys.current() else { return Ok(None) };
    let issued_at = Timestamp::now().as_second();
    let stale_seconds = i64::try_from(lifetime.stale_if_error.as_secs()).unwrap_or(i64::MAX);
    let said = ManifestVoucher {
        issued_at,
        repository: name.clone(),
        digest: manifest.digest.clone(),
        media_type: manifest.media_type.clone(),
        tag: match reference {
            Reference::Tag(tag) => Some(tag.clone()),
            Reference::Digest(_) => None,
        },
        is_whole: is_whole(registry, name, manifest).await?,
        stale_until: issued_at.saturating_add(stale_seconds),
    };
    let signed = key.sign(ManifestVoucher::KIND, &said);
    Ok(HeaderValue::try_from(signed).ok().filter(|signed| signed.len() <= ManifestVoucher::MOST_BYTES))
}

/// Whether the repository has all blobs that a manifest names. One that was pushed while references could be missing may lack some.
async fn is_whole(registry: &Registry, name: &RepositoryName, manifest: &StoredManifest) -> Result<bool, Error> {
    let Ok(parsed) = Manifest::parse(&manifest.content, Some(&manifest.media_type)) else { return Ok(false) };
    let (blobs, _) = references(&parsed);
    Ok(registry.state.missing(name, &blobs, &[]).await?.is_empty())
}
