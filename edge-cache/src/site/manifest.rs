//! Manifests of the site: each by its homes, as a blob is, and by the upstream where none of them has it.

use longshore_oci::Digest;

use super::{
    Site, SiteRepository,
    peer::{Question, ToldManifest},
};
use crate::{upstream::Identity, via::Way};

impl Site {
    /// A manifest, for who was found to may have it: its bytes, which are what its digest names, and what a home says that it is. `None`
    /// where the upstream is to be asked.
    pub async fn manifest(&self, place: &SiteRepository, digest: &Digest, identity: &Identity) -> Option<ToldManifest> {
        let own = self.own()?;
        let (way, mut homes) = (Way::now(), self.homes(digest));
        while let Some(home) = homes.pop() {
            match home.manifest(Question { own: &own, place, digest, identity, way: &way }).await {
                Ok(manifest) => {
                    self.note(&home, digest, None);
                    return Some(manifest);
                }
                Err(missed) => {
                    self.note(&home, digest, Some(&missed));
                    homes.missed(&missed);
                }
            }
        }
        None
    }
}
