use std::{sync::Arc, time::Instant};

use bytes::{Bytes, BytesMut};
use longshore_oci::{Reference, RepositoryName, Route};
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;

use crate::challenge::{Challenge, challenge_header};
use crate::elsewhere::Elsewhere;
use crate::retry_after::retry_after;
use crate::token::{Purpose, Token, Tokens};
use crate::{ClientError, ClientOptions, Credentials, ImageDetail, ImageSummary, Pages, Refusal, RegistryUrl};

/// The longest body that is read into memory: far over what a page or a manifest needs.
const MAX_BODY_BYTES: usize = 64 << 20;

/// The longest body of a refusal that is read; past it the words are cut.
const MAX_REFUSAL_BYTES: usize = 64 << 10;

/// One registry, and the connections to it. Clones share the connections, and the tokens that it gave.
#[derive(Clone, Debug)]
pub struct RegistryClient {
    pub(crate) registry: RegistryUrl,
    pub(crate) credentials: Option<Credentials>,
    tokens: Arc<Tokens>,
    pub(crate) http: Client,
    /// Other servers that it may go to; none for a client that stays.
    pub(crate) elsewhere: Option<Arc<Elsewhere>>,
}

impl RegistryClient {
    /// A client; nothing is asked of the registry yet. Reads the files of certificates, so this blocks.
    pub fn new(options: ClientOptions) -> Result<Self, ClientError> {
        let http = options.build()?;
        Ok(Self { registry: options.registry, credentials: options.credentials, tokens: Arc::default(), http, elsewhere: None })
    }

    /// The same with other credentials, over the same connections.
    pub(crate) fn with_credentials(&self, credentials: Option<Credentials>) -> Self {
        Self { credentials, tokens: Arc::default(), ..self.clone() }
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
        self.http.request(method, url)
    }

    /// Sends a request as the credentials' owner; an answer other than 2xx is an error.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        self.accepted(self.exchange(request).await?).await
    }

    /// Sends a request as the credentials' owner. Where the registry asks for a token one is fetched, and the request sent once
    /// more with it. Any answer is handed out; that of a token service which gives none is an error.
    pub(crate) async fn exchange(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let request = request.build().map_err(|error| self.unreachable(error))?;
        let purpose = Purpose::of(request.method(), request.url());
        let repeated = request.try_clone();
        let known = self.tokens.of_purpose(&purpose, Instant::now());
        let with = |request| RequestBuilder::from_parts(self.http.clone(), request);
        let response = self.answer(self.signed(with(request), known.as_ref())).await?;
        let (Some(repeated), Some(challenge)) = (repeated, self.challenge(&response)) else {
            return Ok(response);
        };
        let asked = challenge_header(response.headers());
        drop(response);
        let token = self.token_for(&challenge, known.as_ref()).await.map_err(|error| error.after_challenge(asked))?;
        self.tokens.remember(purpose, &challenge.scope, &token, Instant::now());
        let response = self.answer(self.signed(with(repeated), Some(&token))).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            self.tokens.forget(&challenge.scope);
        }
        Ok(response)
    }

    /// A token of this scope, fetched where there is none. Whoever wants one that is on its way waits for it.
    async fn token_for(&self, challenge: &Challenge, refused: Option<&Token>) -> Result<Token, ClientError> {
        let _turn = self.tokens.turn(&challenge.scope).await;
        // A token that was just refused is of no more use to anybody.
        let is_another = |token: &Token| refused.is_none_or(|refused| refused.reveal() != token.reveal());
        if let Some(token) = self.tokens.of_scope(&challenge.scope, Instant::now()).filter(is_another) {
            return Ok(token);
        }
        let token = self.fetch_token(challenge).await?;
        self.tokens.keep(&challenge.scope, &token, Instant::now());
        Ok(token)
    }

    pub(crate) fn signed(&self, request: RequestBuilder, token: Option<&Token>) -> RequestBuilder {
        match (token, &self.credentials) {
            (Some(token), _) => request.bearer_auth(token.reveal()),
            (None, Some(credentials)) => credentials.sign(request),
            (None, None) => request,
        }
    }

    /// What token the registry asks for, where one can be had: a caller who brought a token has nothing to get another for.
    pub(crate) fn challenge(&self, response: &Response) -> Option<Challenge> {
        let is_asked = response.status() == StatusCode::UNAUTHORIZED && !matches!(self.credentials, Some(Credentials::Bearer(_)));
        if is_asked { Challenge::of(response.headers()) } else { None }
    }

    /// Whatever the registry answers to a request that is complete.
    pub(crate) async fn answer(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        request.send().await.map_err(|error| self.unreachable(error))
    }

    /// The answer if it is 2xx.
    pub(crate) async fn accepted(&self, response: Response) -> Result<Response, ClientError> {
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
        let retry_after = retry_after(response.headers());
        let is_asked = status == StatusCode::UNAUTHORIZED;
        let challenge = is_asked.then(|| challenge_header(response.headers())).flatten().map(Box::new);
        // What the registry wanted to say is extra; that its words broke off does not hide the status.
        let (body, _) = self.read_up_to(response, MAX_REFUSAL_BYTES).await.unwrap_or_default();
        let errors = Refusal::parse(&body);
        Err(ClientError::Refused { registry: self.registry.clone(), status, errors, request_id, retry_after, challenge })
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

    pub(crate) fn unreachable(&self, error: reqwest::Error) -> ClientError {
        ClientError::unreachable(&self.registry, error)
    }

    pub(crate) fn malformed(&self, reason: impl Into<String>) -> ClientError {
        ClientError::Malformed { registry: self.registry.clone(), reason: reason.into() }
    }
}

pub(crate) fn text_header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
