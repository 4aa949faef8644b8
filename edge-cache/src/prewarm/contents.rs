//! What an image is made of, for the platforms that it is wanted for.

use std::collections::{HashMap, HashSet};

use longshore_client::FetchedManifest;
use longshore_oci::{Descriptor, Digest, InvalidManifest, Manifest, ManifestKind, Reference, media_type};

use super::{
    images::{Image, NoImage},
    platform::{Lacks, WantedPlatform, choose},
};

/// How deep indexes may lie in indexes.
const MOST_DEPTH: usize = 4;
/// How many entries the indexes of one image may have.
const MOST_ENTRIES: usize = 20_000;
/// How many manifests are fetched for one image.
const MOST_MANIFESTS: usize = 1000;

/// What an image is made of.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Contents {
    /// Its manifests with their lengths in bytes, the one that its name leads to first.
    pub manifests: Vec<(Digest, u64)>,
    /// Its configurations and layers, each once.
    pub blobs: Vec<(Digest, u64)>,
}

/// It is not known what an image is made of.
#[derive(Debug, thiserror::Error)]
pub enum NoContents {
    /// A manifest can't be had.
    #[error("manifest {reference} can't be had")]
    Manifest {
        /// Which.
        reference: Reference,
        /// Why.
        #[source]
        source: NoImage,
    },
    /// A manifest is none.
    #[error("manifest {digest} can't be read")]
    Invalid {
        /// Which.
        digest: Digest,
        /// Why.
        #[source]
        source: InvalidManifest,
    },
    /// See [`Lacks`].
    #[error(transparent)]
    Lacks(#[from] Lacks),
    /// It is made of more than is taken on.
    #[error("it is made of more than {0}, and that is the most that is fetched for one image")]
    TooMuch(String),
    /// Two manifests tell different lengths of one blob.
    #[error("blob {0} has two lengths by its manifests")]
    TwoLengths(Digest),
}

impl Contents {
    /// Finds out, by way of the manifests of these platforms. No more than `most_blobs` blobs.
    pub async fn of(image: &Image, wanted: &[WantedPlatform], most_blobs: usize) -> Result<Self, NoContents> {
        let mut contents = Self::default();
        let mut lengths = HashMap::new();
        let mut asked = HashSet::new();
        let mut leaves: Vec<Descriptor> = Vec::new();
        let mut indexes = vec![image.reference.clone()];
        for depth in 0.. {
            if depth == MOST_DEPTH && !indexes.is_empty() {
                return Err(NoContents::TooMuch(format!("{MOST_DEPTH} indexes within each other")));
            }
            let mut deeper = Vec::new();
            for reference in std::mem::take(&mut indexes) {
                let manifest = contents.take_manifest(image, &reference).await?;
                asked.extend(contents.manifests.last().map(|(digest, _)| digest.clone()));
                contents.take_blobs(&manifest, &mut lengths, most_blobs)?;
                for child in manifest.children() {
                    if !is_manifest(&child.media_type) {
                        continue;
                    }
                    if asked.insert(child.digest.clone()) {
                        let is_index = is_index(&child.media_type);
                        if is_index { deeper.push(Reference::Digest(child.digest.clone())) } else { leaves.push(child.clone()) }
                    }
                    if deeper.len() + leaves.len() > MOST_ENTRIES {
                        return Err(NoContents::TooMuch(format!("{MOST_ENTRIES} manifests")));
                    }
                }
            }
            if deeper.is_empty() {
                break;
            }
            indexes = deeper;
        }
        for leaf in choose(&leaves, wanted)? {
            let manifest = contents.take_manifest(image, &Reference::Digest(leaf.digest.clone())).await?;
            contents.take_blobs(&manifest, &mut lengths, most_blobs)?;
        }
        Ok(contents)
    }

    async fn take_manifest(&mut self, image: &Image, reference: &Reference) -> Result<Manifest, NoContents> {
        if self.manifests.len() >= MOST_MANIFESTS {
            return Err(NoContents::TooMuch(format!("{MOST_MANIFESTS} manifests")));
        }
        let fetched = image.repository.manifest(reference).await;
        let fetched = fetched.map_err(|source| NoContents::Manifest { reference: reference.clone(), source })?;
        let FetchedManifest { digest, media_type, content } = fetched;
        let manifest = Manifest::parse(&content, Some(&media_type));
        let manifest = manifest.map_err(|source| NoContents::Invalid { digest: digest.clone(), source })?;
        self.manifests.push((digest, content.len() as u64));
        Ok(manifest)
    }

    fn take_blobs(&mut self, manifest: &Manifest, lengths: &mut HashMap<Digest, u64>, most: usize) -> Result<(), NoContents> {
        for (digest, size_bytes) in blobs_of(manifest) {
            match lengths.insert(digest.clone(), size_bytes) {
                None => self.blobs.push((digest, size_bytes)),
                Some(other) if other != size_bytes => return Err(NoContents::TwoLengths(digest)),
                Some(_) => {}
            }
        }
        if self.blobs.len() > most {
            return Err(NoContents::TooMuch(format!("{most} blobs")));
        }
        Ok(())
    }

    /// All digests and lengths.
    pub fn all(&self) -> Vec<(Digest, u64)> {
        self.manifests.iter().chain(&self.blobs).cloned().collect()
    }
}

/// An image's configuration and layers with their lengths, as far as a registry has them.
pub fn blobs_of(manifest: &Manifest) -> Vec<(Digest, u64)> {
    if matches!(manifest.kind, ManifestKind::Index { .. }) {
        return Vec::new();
    }
    let blobs = manifest.blobs().filter(|blob| !media_type::is_nondistributable(&blob.media_type));
    blobs.map(|blob| (blob.digest.clone(), blob.size)).collect()
}

fn is_index(media_type: &str) -> bool {
    matches!(media_type, media_type::OCI_INDEX | media_type::DOCKER_MANIFEST_LIST)
}

fn is_manifest(media_type: &str) -> bool {
    is_index(media_type) || matches!(media_type, media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST)
}
