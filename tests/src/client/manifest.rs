use bytes::Bytes;
use http::Method;
use longshore_oci::{Algorithm, Digest};

use super::{Answer, Client};
use crate::Image;

impl Client {
    /// PUTs a manifest to a tag or digest.
    pub async fn put_manifest(&self, repository: &str, reference: &str, media_type: &str, content: &Bytes) -> Answer {
        Answer::to(self.manifest_request(repository, reference, media_type, content)).await
    }

    /// The request of [`Self::put_manifest`].
    pub fn manifest_request(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        content: &Bytes,
    ) -> reqwest::RequestBuilder {
        let request = self.request(Method::PUT, &format!("/v2/{repository}/manifests/{reference}"));
        request.header("content-type", media_type).body(content.clone())
    }

    /// GETs a manifest, taking any media type.
    pub async fn get_manifest(&self, repository: &str, reference: &str) -> Answer {
        self.get(&format!("/v2/{repository}/manifests/{reference}")).await
    }

    /// Pushes an image's blobs, and then its manifest under `tag`.
    pub async fn push_image(&self, repository: &str, tag: &str, image: &Image) -> Digest {
        self.try_push_image(repository, tag, image).await.unwrap_or_else(|reason| panic!("the push failed: {reason}"))
    }

    /// Like [`Self::push_image`]; the error says what went wrong. `Ok` means that the registry said 201 to all of it.
    pub async fn try_push_image(&self, repository: &str, tag: &str, image: &Image) -> Result<Digest, String> {
        for blob in &image.blobs {
            self.try_push_blob(repository, blob).await?;
        }
        let request = self.manifest_request(repository, tag, &image.media_type, &image.manifest);
        let answer = Answer::attempt(request).await.map_err(|error| format!("{error:?}"))?;
        if answer.status.as_u16() == 201 { Ok(image.digest.clone()) } else { Err(format!("{answer:?}")) }
    }

    /// Pulls an image by tag or digest with all that it is made of, checks all of it, and gives back the manifest's digest.
    pub async fn pull_image(&self, repository: &str, reference: &str) -> Digest {
        let answer = self.get_manifest(repository, reference).await.expect(200);
        let digest = Digest::of(Algorithm::Sha256, &answer.body);
        assert_eq!(answer.required("docker-content-digest"), digest.as_str(), "wrong bytes were served");
        let manifest = answer.json();
        let layers = manifest["layers"].as_array().cloned().unwrap_or_default();
        for descriptor in layers.iter().chain([&manifest["config"]]).filter(|descriptor| !descriptor.is_null()) {
            let blob = descriptor["digest"].as_str().expect("a descriptor has a digest").parse().expect("and it is one");
            let content = self.pull_blob(repository, &blob).await;
            assert_eq!(descriptor["size"], content.len(), "{blob} has another length than its manifest says");
        }
        digest
    }
}
