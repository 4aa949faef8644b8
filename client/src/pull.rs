//! Pulling for others: what a registry answers, as it comes.

mod answer;
mod trail;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Arc, LazyLock};

use longshore_oci::{ManifestVoucher, RepositoryName, Route, Scope};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, IF_RANGE, LOCATION, RANGE, VIA};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};

use crate::challenge::{Challenge, challenge_header};
use crate::client::text_header;
use crate::elsewhere::Elsewhere;
use crate::retry_after::retry_after;
use crate::{ClientError, ClientOptions, Credentials, RegistryClient, RegistryUrl, Secret, SwarmRecord};
pub use answer::PullAnswer;
use trail::Trail;

/// What of a caller's headers is sent on; the rest is between it and whoever pulls for it.
const CARRIED: [HeaderName; 6] = [ACCEPT, IF_NONE_MATCH, IF_RANGE, RANGE, VIA, HeaderName::from_static(ManifestVoucher::HEADER)];

/// One registry, for whoever passes its answers on. Clones share the connections, and the tokens that it gave.
///
/// It goes where the registry sends it, five times at most, never from TLS to plain HTTP, and to no place twice. Another server
/// is shown no credentials, no certificate and no cookie, and neither is the registry itself once the way led away from it.
#[derive(Clone, Debug)]
pub struct PullClient {
    registry: RegistryClient,
}

/// What is asked of a registry.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// GET or HEAD.
    pub method: Method,
    /// What for.
    pub route: Route,
    /// The query, as it stands in a URL.
    pub query: Option<String>,
    /// `Accept`, `If-None-Match`, `If-Range`, `Range`, `Via` and that which asks for a manifest's voucher; others are not sent.
    pub headers: HeaderMap,
    /// What the registry is shown.
    pub shown: Shown,
}

/// What a registry is shown of who asks.
#[derive(Clone, Debug)]
pub enum Shown {
    /// The client's credentials, and the token that the registry asks for; an anonymous one where there are no credentials.
    Own,
    /// Nothing, and no token is fetched.
    Nothing,
    /// This `Authorization`, as it is.
    This(HeaderValue),
}

impl PullClient {
    /// A client; nothing is asked of the registry yet. Reads the files of certificates, so this blocks.
    ///
    /// A token service on another server is asked for anonymous tokens, and is shown credentials where `token_realms` names its
    /// host, with the port where it is not the scheme's own. Docker's own is known.
    pub fn new(options: ClientOptions, token_realms: Vec<String>) -> Result<Self, ClientError> {
        let elsewhere = Arc::new(Elsewhere::new(&options, token_realms));
        let mut registry = RegistryClient::new(options)?;
        registry.elsewhere = Some(elsewhere);
        Ok(Self { registry })
    }

    /// The same with other credentials, over the same connections.
    #[must_use]
    pub fn with_credentials(&self, credentials: Option<Credentials>) -> Self {
        Self { registry: self.registry.with_credentials(credentials) }
    }

    /// Where the registry is.
    pub fn registry(&self) -> &RegistryUrl {
        self.registry.registry()
    }

    /// Asks, and hands out an answer of 200, 206 or 304; any other is an error, which keeps the registry's own words.
    pub async fn ask(&self, request: &PullRequest) -> Result<PullAnswer, ClientError> {
        let mut url = self.registry.url(&request.route);
        url.set_query(request.query.as_deref());
        let mut trail = Trail::new(url.clone());
        let mut response = self.at_home(request, url).await?;
        while let Some(location) = target(&response) {
            let next = trail.follow(&location).map_err(|reason| self.astray(&location, reason))?;
            response =
                if trail.is_at_home() { self.at_home(request, next).await? } else { self.elsewhere(request, next).await? };
        }
        let is_one = matches!(response.status(), StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED);
        if is_one {
            let place = self.registry().of_server(response.url())?;
            return Ok(PullAnswer::of(place, response));
        }
        if !trail.is_at_home() {
            let place = self.registry().of_server(response.url())?;
            let (status, retry_after) = (response.status(), retry_after(response.headers()));
            return Err(ClientError::Elsewhere { registry: self.registry().clone(), place, status, retry_after });
        }
        let status = response.status();
        self.registry.accepted(response).await?;
        Err(self.registry.malformed(format!("it answers {status}")))
    }

    /// Who answers there is in the swarm: a tracker beside the registry, or a node. `None` where there is neither.
    pub async fn swarm_record(&self) -> Result<Option<SwarmRecord>, ClientError> {
        match self.registry.swarm_record().await {
            Ok(record) => Ok(Some(record)),
            Err(ClientError::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A token by which the peer of this id shows its neighbours in a swarm that the client's account may pull from a repository, or that
    /// anybody may. `None` where the registry gives no tokens; what one that it gives is for, its claims say.
    pub async fn peer_token(&self, repository: &RepositoryName, peer_id: &str) -> Result<Option<Secret>, ClientError> {
        let base = self.registry.request(Method::GET, self.registry.url(&Route::Base));
        let response = self.registry.answer(carrying(&HeaderMap::new(), base)).await?;
        let Some(challenge) = self.registry.challenge(&response) else {
            if response.status() != StatusCode::UNAUTHORIZED {
                self.registry.accepted(response).await?;
            }
            return Ok(None);
        };
        let asked = challenge_header(response.headers());
        drop(response);
        let scope = Scope::new(Scope::REPOSITORY, repository.as_str(), &["pull"]).to_string();
        let token = self.registry.fetch_peer_token(&Challenge { scope, ..challenge }, peer_id).await;
        let token = token.map_err(|error| without_token(error.after_challenge(asked)))?;
        Ok(Some(Secret::new(token.reveal())))
    }

    async fn at_home(&self, request: &PullRequest, url: Url) -> Result<Response, ClientError> {
        let asked = carrying(&request.headers, self.registry.request(request.method.clone(), url));
        match &request.shown {
            Shown::Own => self.registry.exchange(asked).await.map_err(without_token),
            Shown::Nothing => self.registry.answer(asked).await,
            Shown::This(authorization) => {
                let mut authorization = authorization.clone();
                authorization.set_sensitive(true);
                self.registry.answer(asked.header(AUTHORIZATION, authorization)).await
            }
        }
    }

    async fn elsewhere(&self, request: &PullRequest, url: Url) -> Result<Response, ClientError> {
        let place = self.registry().of_server(&url)?;
        let elsewhere = self.registry.elsewhere.as_ref().expect("`new` gives it, and nothing takes it");
        let asked = elsewhere.client(&url).await?.request(request.method.clone(), url);
        let response = carrying(&request.headers, asked).send().await;
        // The way may hold a secret that was given to this caller.
        response.map_err(|error| ClientError::unreachable(&place, error.without_url()))
    }

    fn astray(&self, location: &str, reason: &'static str) -> ClientError {
        let location = location.split(['?', '#']).next().unwrap_or_default().replace(char::is_control, " ");
        ClientError::Astray { registry: self.registry().clone(), location, reason }
    }
}

/// Where the answer sends its caller, if it does.
fn target(response: &Response) -> Option<String> {
    let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    is_redirect.then(|| text_header(response.headers(), LOCATION.as_str())).flatten()
}

/// What this process calls itself in the `Via` of what it asks (RFC 9110, 7.6.3): by chance another name each time that it starts, so that
/// it knows what comes back to it.
pub fn pseudonym() -> &'static str {
    static PSEUDONYM: LazyLock<String> =
        LazyLock::new(|| format!("longshore-{:016x}", RandomState::new().build_hasher().finish()));
    &PSEUDONYM
}

/// The `Via` says that somebody else stands behind the request: one that a redirect leads back to this machine is not of this machine.
fn carrying(headers: &HeaderMap, mut request: RequestBuilder) -> RequestBuilder {
    for name in CARRIED {
        for value in headers.get_all(&name) {
            request = request.header(name.clone(), value);
        }
    }
    request.header(VIA, format!("1.1 {}", pseudonym()))
}

/// Who gets no token is where it was before it asked for one: the registry wants to know who asks.
fn without_token(error: ClientError) -> ClientError {
    match error {
        ClientError::Refused { registry, status, errors, request_id, retry_after, challenge: challenge @ Some(_) }
            if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS =>
        {
            let status = StatusCode::UNAUTHORIZED;
            ClientError::Refused { registry, status, errors, request_id, retry_after, challenge }
        }
        other => other,
    }
}
