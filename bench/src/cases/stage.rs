//! What must be in a server before a case can run, and putting it there.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Ask, sizes};
use crate::candidate::Candidate;
use crate::content::{Blob, Noise, Template};
use crate::error::BenchError;
use crate::image::Image;
use crate::load::connection::Connection;
use crate::load::push::{REPOSITORY, bare_request, blob_path, manifest_path, push_blob, push_manifest};
use crate::load::read_back::read_back;
use crate::load::work::Work;

const CONFIG_BYTES: u64 = 1500;
const MANIFEST_LAYERS: usize = 5;
const MIXED_IMAGES: usize = 8;

/// The content of a case: the same for every server.
#[derive(Debug)]
pub struct Stage {
    ask: Ask,
    blobs: Vec<Blob>,
    images: Vec<Image>,
    templates: BTreeMap<u64, Rc<Template>>,
}

impl Stage {
    /// Makes the content; hashes what is large once.
    pub fn new(ask: Ask, noise: &Rc<Noise>) -> Self {
        let mut stage = Self { ask, blobs: Vec::new(), images: Vec::new(), templates: BTreeMap::new() };
        let sizes: &[u64] = match &ask {
            Ask::Version => &[],
            Ask::ManifestByTag | Ask::ManifestByDigest => &[4096],
            Ask::Blob(size_bytes) | Ask::Push(size_bytes) => std::slice::from_ref(size_bytes),
            Ask::PushImage => &sizes::IMAGE_LAYERS_BYTES,
            Ask::Mixed | Ask::MixedPaced => &sizes::WILD_BYTES,
        };
        for size_bytes in sizes.iter().chain(&[CONFIG_BYTES]) {
            stage.templates.insert(*size_bytes, Rc::new(Template::new(noise, *size_bytes)));
        }
        match ask {
            Ask::Version | Ask::Push(_) | Ask::PushImage => {}
            Ask::Blob(size_bytes) => stage.add_blobs(&[size_bytes]),
            Ask::ManifestByTag | Ask::ManifestByDigest => {
                stage.add_blobs(&[4096; MANIFEST_LAYERS]);
                stage.add_images(1);
            }
            Ask::Mixed | Ask::MixedPaced => {
                stage.add_blobs(sizes);
                stage.add_images(MIXED_IMAGES);
            }
        }
        stage
    }

    fn add_blobs(&mut self, sizes: &[u64]) {
        let blobs: Vec<Blob> = sizes.iter().map(|size_bytes| self.templates[size_bytes].stamp()).collect();
        self.blobs.extend(blobs);
    }

    /// Images over the blobs that are there, each over a few of them.
    fn add_images(&mut self, count: usize) {
        let layers_there = self.blobs.len();
        for number in 0..count {
            let layers = self.blobs[..layers_there].iter().cycle().skip(number).take(MANIFEST_LAYERS).cloned().collect();
            let config = self.templates[&CONFIG_BYTES].stamp();
            self.blobs.push(config.clone());
            self.images.push(Image::new(format!("v{number}"), config, layers));
        }
    }

    /// Puts the content into a server, and reads every byte back to see that it is right (which also warms its caches).
    pub async fn fill(&self, candidate: &Candidate) -> Result<(), BenchError> {
        if let Some(files) = &candidate.files {
            self.write(&files.join("v2").join(REPOSITORY))?;
        } else {
            let (mut connection, host) = (Connection::open(candidate.address).await?, candidate.host());
            for blob in &self.blobs {
                push_blob(&mut connection, &host, blob).await?;
            }
            for image in &self.images {
                push_manifest(&mut connection, &host, image).await?;
            }
        }
        self.verify(candidate).await
    }

    fn write(&self, repository: &std::path::Path) -> Result<(), BenchError> {
        let (blobs, manifests) = (repository.join("blobs"), repository.join("manifests"));
        for folder in [&blobs, &manifests] {
            std::fs::create_dir_all(folder).map_err(BenchError::io(format!("make {}", folder.display())))?;
        }
        for blob in &self.blobs {
            blob.write(&blobs.join(&blob.digest))?;
        }
        for image in &self.images {
            for reference in [&image.tag, &image.digest] {
                std::fs::write(manifests.join(reference), &image.manifest).map_err(BenchError::io("write a manifest"))?;
            }
        }
        Ok(())
    }

    async fn verify(&self, candidate: &Candidate) -> Result<(), BenchError> {
        let blobs = self.blobs.iter().map(|blob| (blob_path(&blob.digest), blob.digest.as_str()));
        let by_tag = self.images.iter().map(|image| (manifest_path(&image.tag), image.digest.as_str()));
        let by_digest = self.images.iter().map(|image| (manifest_path(&image.digest), image.digest.as_str()));
        read_back(&candidate.name, candidate.address, blobs.chain(by_tag).chain(by_digest)).await
    }

    /// What the clients of a turn do, prepared for a server that has been filled.
    pub fn work(&self, candidate: &Candidate) -> Work {
        let host = candidate.host();
        let get = |path: &str| bare_request("GET", path, &host);
        match self.ask {
            Ask::Version => Work::Fetch { request: get("/v2/") },
            Ask::ManifestByTag => Work::Fetch { request: get(&manifest_path(&self.images[0].tag)) },
            Ask::ManifestByDigest => Work::Fetch { request: get(&manifest_path(&self.images[0].digest)) },
            Ask::Blob(_) => Work::Fetch { request: get(&blob_path(&self.blobs[0].digest)) },
            Ask::Push(size_bytes) => Work::PushBlob { template: Rc::clone(&self.templates[&size_bytes]), host },
            Ask::PushImage => Work::PushImage {
                layers: sizes::IMAGE_LAYERS_BYTES.iter().map(|size_bytes| Rc::clone(&self.templates[size_bytes])).collect(),
                config: Rc::clone(&self.templates[&CONFIG_BYTES]),
                host,
            },
            Ask::Mixed | Ask::MixedPaced => Work::Mixed {
                manifests: self.images.iter().map(|image| get(&manifest_path(&image.tag))).collect(),
                // The images' configurations follow the layers and are left out, so that the sizes keep their shares.
                blobs: self.blobs.iter().take(sizes::WILD_BYTES.len()).map(|blob| get(&blob_path(&blob.digest))).collect(),
                templates: sizes::WILD_BYTES.iter().map(|size_bytes| Rc::clone(&self.templates[size_bytes])).collect(),
                host,
            },
        }
    }
}
