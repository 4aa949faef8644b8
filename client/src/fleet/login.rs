//! Who asks: an orchestrator has its callers get tokens from the registry that knows them, so that one login serves both.

use std::time::Instant;

use longshore_oci::Scope;
use reqwest::{Client, Request, Response, StatusCode, Url};

use super::{FleetClient, FleetError};
use crate::{
    CertificateFolders, ClientOptions, Credentials, RegistryClient, RegistryUrl,
    challenge::Challenge,
    token::{Purpose, Token},
};

/// How many tokens are fetched for one request.
const MOST_TOKENS: usize = 2;

/// Credentials, and the registry that they are for.
#[derive(Clone, Debug)]
pub struct KnownLogin {
    /// The registry.
    pub registry: RegistryUrl,
    /// What is shown to it, and to no other.
    pub credentials: Credentials,
}

impl FleetClient {
    /// Sends a request with the token that such requests are asked for; where another is asked for that is fetched, and the request
    /// sent once more. So it is with a second one, which whoever is asked may want once it knows that somebody asks: for the namespace
    /// that something turns out to be in.
    pub(super) async fn signed(&self, http: &Client, request: Request) -> Result<Response, FleetError> {
        let purpose = Purpose::of(request.method(), request.url());
        let known = self.tokens.of_purpose(&purpose, Instant::now());
        let mut repeated = request.try_clone();
        let mut response = self.execute(http, self.with_token(http, request, known.as_ref())?).await?;
        let mut shown: Option<String> = None;
        for _ in 0..MOST_TOKENS {
            let Some(challenge) = self.challenge(&response).filter(|challenge| shown.as_ref() != Some(&challenge.scope)) else {
                break;
            };
            let Some(request) = repeated else { return Ok(response) };
            repeated = request.try_clone();
            drop(response);
            let token = self.token(&challenge).await?;
            self.tokens.remember(purpose.clone(), &challenge.scope, &token, Instant::now());
            response = self.execute(http, self.with_token(http, request, Some(&token))?).await?;
            shown = Some(challenge.scope);
        }
        if let (Some(scope), StatusCode::UNAUTHORIZED) = (shown, response.status()) {
            self.tokens.forget(&scope);
        }
        Ok(response)
    }

    fn with_token(&self, http: &Client, request: Request, token: Option<&Token>) -> Result<Request, FleetError> {
        let request = reqwest::RequestBuilder::from_parts(http.clone(), request);
        let request = match (token, &self.options.connection.credentials) {
            (Some(token), _) => request.bearer_auth(token.reveal()),
            (None, Some(credentials)) => credentials.sign(request),
            (None, None) => request,
        };
        request.build().map_err(|error| self.unreachable(error))
    }

    /// What token it asks for; a caller who brought one has nothing to get another for.
    fn challenge(&self, response: &Response) -> Option<Challenge> {
        let is_asked = response.status() == StatusCode::UNAUTHORIZED && self.options.connection.credentials.is_none();
        if is_asked { Challenge::of(response.headers()) } else { None }
    }

    /// A token of the registry that the orchestrator names, with the credentials that are for that registry.
    async fn token(&self, challenge: &Challenge) -> Result<Token, FleetError> {
        let registry = self.realm(challenge)?;
        let _turn = self.tokens.turn(&challenge.scope).await;
        let credentials = self.credentials(&registry).await?;
        let client = self.registry(registry.clone(), credentials).await?;
        let token = client.fetch_token(challenge).await;
        token.map_err(|source| FleetError::Login { registry, source: Box::new(source) })
    }

    async fn credentials(&self, registry: &RegistryUrl) -> Result<Option<Credentials>, FleetError> {
        if let Some(given) = self.options.given.as_ref().filter(|given| given.registry == *registry) {
            return Ok(Some(given.credentials.clone()));
        }
        let Some(store) = &self.options.kept else { return Ok(None) };
        store.get(registry).await.map_err(|source| FleetError::Kept { registry: registry.clone(), source })
    }

    /// A client for the registry, reached as the orchestrator is, without the certificate that is for the orchestrator alone.
    async fn registry(&self, registry: RegistryUrl, credentials: Option<Credentials>) -> Result<RegistryClient, FleetError> {
        let is_same = registry == *self.url();
        let mut options = ClientOptions { registry, credentials, ..self.options.connection.clone() };
        if !is_same {
            options.certificate = None;
            options.certificate_folders = CertificateFolders::default();
        }
        let built = tokio::task::spawn_blocking(move || RegistryClient::new(options)).await;
        Ok(built.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?)
    }

    /// The registry that gives tokens; an error where credentials must not go there.
    fn realm(&self, challenge: &Challenge) -> Result<RegistryUrl, FleetError> {
        let url = self.url();
        let realm = url.as_url().join(&challenge.realm);
        let realm: Url = realm.map_err(|_| self.malformed("the realm of its tokens is not a URL"))?;
        let server = url.of_server(&realm).map_err(|_| self.malformed("the realm of its tokens is no server"))?;
        let refused = |reason| FleetError::ForeignRealm { url: url.clone(), realm: server.to_string(), reason };
        if server == *url {
            return Ok(server);
        }
        if url.is_https() && !server.is_https() {
            return Err(refused("which is plain HTTP, where anyone between can read and change what is sent"));
        }
        if server.is_loopback() && !url.is_loopback() {
            return Err(refused("which is this machine, and not the orchestrator's"));
        }
        // Whoever pretends to be an orchestrator could use such a token at the registry.
        let is_of_images = |scope: &str| scope.parse::<Scope>().is_ok_and(|scope| scope.kind == Scope::REPOSITORY);
        if challenge.scope.split_ascii_whitespace().any(is_of_images) {
            return Err(refused("and one that is good for images"));
        }
        Ok(server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::FleetOptions;

    fn realm(orchestrator: &str, realm: &str, scope: &str) -> Result<String, String> {
        let mut connection = ClientOptions::new(RegistryUrl::parse(orchestrator, true).expect("a URL"));
        connection.allow_plain_http = true;
        let client = FleetClient::new(FleetOptions::new(connection)).expect("a client");
        let challenge = Challenge { realm: realm.to_owned(), service: None, scope: scope.to_owned() };
        client.realm(&challenge).map(|server| server.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn tokens_come_from_where_credentials_may_go() {
        let scope = "fleet:default:deploy";
        assert_eq!(realm("http://127.0.0.1:5300", "http://127.0.0.1:5000/token", scope).as_deref(), Ok("http://127.0.0.1:5000"));
        assert_eq!(realm("http://127.0.0.1:5300", "/token", scope).as_deref(), Ok("http://127.0.0.1:5300"));
        assert_eq!(realm("http://o.example", "https://r.example/token", scope).as_deref(), Ok("https://r.example"));
        let error = realm("https://o.example", "http://r.example/token", scope).expect_err("plain HTTP");
        assert!(error.contains("plain HTTP"), "{error}");
        let error = realm("http://o.example", "http://127.0.0.1:5000/token", scope).expect_err("this machine");
        assert!(error.contains("which is this machine"), "{error}");
        let error = realm("http://o.example", "https://r.example/token", "repository:app:push").expect_err("a foreign right");
        assert!(error.contains("good for images"), "{error}");
    }
}
