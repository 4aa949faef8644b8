use std::time::Duration;

use bytes::{Bytes, BytesMut};
use longshore_oci::{Reference, RepositoryName, Route};
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;

use crate::{ClientError, ClientOptions, Credentials, Fault, ImageDetail, ImageSummary, Pages, Refusal, RegistryUrl};

/// The longest body that is read into memory: far over what a page or a manifest needs.
const MAX_BODY_BYTES: usize = 64 << 20;

/// The longest body of a refusal that is read; past it the words are cut.
const MAX_REFUSAL_BYTES: usize = 64 << 10;

/// One registry, and the connections to it. Clones share the connections.
#[derive(Clone, Debug)]
pub struct RegistryClient {
    registry: RegistryUrl,
    credentials: Option<Credentials>,
    http: Client,
}

impl RegistryClient {
    /// A client; nothing is asked of the registry yet. Reads the CA file, so this blocks.
    pub fn new(options: ClientOptions) -> Result<Self, ClientError> {
        let http = options.build()?;
        Ok(Self { registry: options.registry, credentials: options.credentials, http })
    }

    /// Where the registry is.
    pub fn registry(&self) -> &RegistryUrl {
        &self.registry
    }

    /// Every tagged image, or one repository's, by repository and tag, `page_size` at a time where the registry allows as many.
    pub fn images(&self, repository: Option<&RepositoryName>, page_size: u32) -> Pages<'_, ImageSummary> {
        let mut url = self.url(&Route::Images);
        url.query_pairs_mut().append_pair("n", &page_size.to_string());
        if let Some(repository) = repository {
            url.query_pairs_mut().append_pair("repository", repository.as_str());
        }
        Pages::new(self, url)
    }

    /// A repository's tags in ASCII order (distribution-spec, "Listing tags").
    pub fn tags(&self, repository: &RepositoryName, page_size: u32) -> Pages<'_, String> {
        let mut url = self.url(&Route::Tags(repository.clone()));
        url.query_pairs_mut().append_pair("n", &page_size.to_string());
        Pages::new(self, url)
    }

    /// One image, manifest by manifest and layer by layer.
    pub async fn image(&self, repository: &RepositoryName, reference: &Reference) -> Result<ImageDetail, ClientError> {
        let url = self.url(&Route::Image(repository.clone(), reference.clone()));
        let response = self.send(self.request(Method::GET, url)).await?;
        self.read_json(response).await
    }

    pub(crate) fn url(&self, route: &Route) -> Url {
        let mut url = self.registry.as_url().clone();
        url.set_path(&route.to_string());
        url
    }

    pub(crate) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.request(method, url);
        match &self.credentials {
            Some(credentials) => credentials.sign(request),
            None => request,
        }
    }

    /// Sends a request; an answer other than 2xx is an error.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let header = |name| text_header(response.headers(), name);
        if status.is_redirection()
            && let Some(location) = header(LOCATION.as_str())
        {
            return Err(ClientError::Redirected { registry: self.registry.clone(), location });
        }
        let request_id = header("x-request-id");
        let retry_after = header(RETRY_AFTER.as_str()).and_then(|text| text.parse().ok()).map(Duration::from_secs);
        // What the registry wanted to say is extra; that its words broke off does not hide the status.
        let (body, _) = self.read_up_to(response, MAX_REFUSAL_BYTES).await.unwrap_or_default();
        Err(ClientError::Refused { status, errors: Refusal::parse(&body), request_id, retry_after })
    }

    pub(crate) async fn read_json<T: DeserializeOwned>(&self, response: Response) -> Result<T, ClientError> {
        let body = self.read(response).await?;
        serde_json::from_slice(&body).map_err(|error| self.malformed(format!("its JSON can't be read: {error}")))
    }

    pub(crate) async fn read(&self, response: Response) -> Result<Bytes, ClientError> {
        let (body, is_whole) = self.read_up_to(response, MAX_BODY_BYTES).await?;
        if is_whole { Ok(body) } else { Err(self.malformed(format!("its answer is longer than {MAX_BODY_BYTES} bytes"))) }
    }

    /// At most `limit` bytes of the body, and whether that is all of it.
    async fn read_up_to(&self, mut response: Response, limit: usize) -> Result<(Bytes, bool), ClientError> {
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(error))? {
            let room = limit - body.len();
            body.extend_from_slice(&chunk[..room.min(chunk.len())]);
            if chunk.len() > room {
                return Ok((body.freeze(), false));
            }
        }
        Ok((body.freeze(), true))
    }

    fn unreachable(&self, error: reqwest::Error) -> ClientError {
        ClientError::Unreachable { registry: self.registry.clone(), fault: Fault::of(&error), source: Box::new(error) }
    }

    pub(crate) fn malformed(&self, reason: impl Into<String>) -> ClientError {
        ClientError::Malformed { registry: self.registry.clone(), reason: reason.into() }
    }
}

pub(crate) fn text_header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
