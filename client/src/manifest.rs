use bytes::Bytes;
use longshore_oci::{Algorithm, Digest, Reference, RepositoryName, Route, media_type};
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, Response};

use crate::client::text_header;
use crate::{ClientError, RegistryClient};

/// A manifest whose bytes are those that its digest names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FetchedManifest {
    /// Its digest.
    pub digest: Digest,
    /// The `Content-Type` it came with.
    pub media_type: String,
    /// Its bytes, as they were pushed.
    pub content: Bytes,
}

/// What a registry says of a manifest without sending it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ManifestHead {
    /// Its digest; absent where the registry does not say.
    pub digest: Option<Digest>,
    /// Its media type.
    pub media_type: String,
    /// Its length in bytes; absent where the registry does not say.
    pub size_bytes: Option<u64>,
}

impl RegistryClient {
    /// A manifest by tag or digest (distribution-spec, "Pulling manifests"). Bytes that are not those of the digest asked for,
    /// or of the one that the registry announces, are an error.
    pub async fn manifest(&self, repository: &RepositoryName, reference: &Reference) -> Result<FetchedManifest, ClientError> {
        let response = self.ask_manifest(Method::GET, repository, reference).await?;
        let head = self.read_head(&response)?;
        let content = self.read(response).await?;
        let asked = match reference {
            Reference::Digest(digest) => Some(digest.clone()),
            Reference::Tag(_) => None,
        };
        let expected = asked.or(head.digest).unwrap_or_else(|| Digest::of(Algorithm::Sha256, &content));
        let actual = Digest::of(expected.algorithm(), &content);
        if actual != expected {
            return Err(ClientError::Damaged { expected, actual });
        }
        Ok(FetchedManifest { digest: expected, media_type: head.media_type, content })
    }

    /// Whether a manifest is there, and what it is (distribution-spec, "Checking if content exists in the registry").
    /// `None` where it is not.
    pub async fn manifest_head(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<ManifestHead>, ClientError> {
        match self.ask_manifest(Method::HEAD, repository, reference).await {
            Ok(response) => Ok(Some(self.read_head(&response)?)),
            Err(error) if error.status() == Some(reqwest::StatusCode::NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes a tag, or with a digest the manifest and every tag at it (distribution-spec, "Content Management").
    pub async fn delete_manifest(&self, repository: &RepositoryName, reference: &Reference) -> Result<(), ClientError> {
        let url = self.url(&Route::Manifest(repository.clone(), reference.clone()));
        self.send(self.request(Method::DELETE, url)).await.map(drop)
    }

    async fn ask_manifest(
        &self,
        method: Method,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Response, ClientError> {
        let mut request = self.request(method, self.url(&Route::Manifest(repository.clone(), reference.clone())));
        for accepted in
            [media_type::OCI_MANIFEST, media_type::OCI_INDEX, media_type::DOCKER_MANIFEST, media_type::DOCKER_MANIFEST_LIST]
        {
            request = request.header(ACCEPT, accepted);
        }
        self.send(request).await
    }

    fn read_head(&self, response: &Response) -> Result<ManifestHead, ClientError> {
        let header = |name| text_header(response.headers(), name);
        let digest = header("docker-content-digest").map(|text| text.parse());
        let digest = digest.transpose().map_err(|error| self.malformed(format!("Docker-Content-Digest: {error}")))?;
        let media_type = header(CONTENT_TYPE.as_str()).ok_or_else(|| self.malformed("a manifest came without a Content-Type"))?;
        let size_bytes = header(CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
        Ok(ManifestHead { digest, media_type: media_type::essence(&media_type), size_bytes })
    }
}
