use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use longshore_oci::{RepositoryName, Route};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method, RequestBuilder, Url};
use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::challenge::Challenge;
use crate::elsewhere::Elsewhere;
use crate::{ClientError, Credentials, RegistryClient, Secret};

/// How long before its end a token is no longer used: enough for a request on its way.
const MARGIN: Duration = Duration::from_secs(10);

/// How long a token lasts whose registry does not say (Docker registry token specification, "Token Response Fields").
const DEFAULT_LIFETIME_SECONDS: u64 = 60;

/// The longest time that a token is kept, whatever its registry says.
const MAX_LIFETIME_SECONDS: u64 = 24 * 60 * 60;

/// How many tokens are kept, and how many purposes; far more than a command needs.
const MAX_REMEMBERED: usize = 512;

/// How many tokens can be on their way at once.
const TURNS: usize = 16;

/// What this program is to a token service.
const CLIENT_ID: &str = "longshore";

/// What a registry gave to show with further requests. Shown in no message.
#[derive(Clone)]
pub(crate) struct Token {
    text: String,
    lasts_until: Instant,
}

/// What kind of request a token is good for: a registry asks for the same scope for all of one kind.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Purpose {
    method: Method,
    route: &'static str,
    repository: Option<RepositoryName>,
}

/// The tokens of a registry by scope, until shortly before they end.
#[derive(Debug)]
pub(crate) struct Tokens {
    remembered: Mutex<Remembered>,
    /// Who fetches a token has its scope's turn meanwhile, so that many who want the same ask for one.
    turns: [Semaphore; TURNS],
}

#[derive(Debug, Default)]
struct Remembered {
    scopes: HashMap<Purpose, String>,
    tokens: HashMap<String, Token>,
}

/// A token service's answer; registries write one of the names, or both.
#[derive(Deserialize)]
struct TokenBody {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
    refresh_token: Option<String>,
}

impl Token {
    pub(crate) fn reveal(&self) -> &str {
        &self.text
    }

    fn holds(&self, now: Instant) -> bool {
        now + MARGIN < self.lasts_until
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token")
    }
}

impl Purpose {
    pub(crate) fn of(method: &Method, url: &Url) -> Self {
        let route = Route::parse(url.path()).ok();
        let label = route.as_ref().map_or("", Route::label);
        Self { method: method.clone(), route: label, repository: route.as_ref().and_then(Route::repository).cloned() }
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self { remembered: Mutex::default(), turns: std::array::from_fn(|_| Semaphore::new(1)) }
    }
}

impl Tokens {
    /// The turn to fetch a token of this scope; scopes may share one.
    pub(crate) async fn turn(&self, scope: &str) -> Option<SemaphorePermit<'_>> {
        let place = BuildHasherDefault::<DefaultHasher>::default().hash_one(scope) % TURNS as u64;
        let turn = &self.turns[usize::try_from(place).expect("it is less than there are turns")];
        turn.acquire().await.ok()
    }

    /// The token that such a request was last asked for.
    pub(crate) fn of_purpose(&self, purpose: &Purpose, now: Instant) -> Option<Token> {
        let remembered = self.lock();
        remembered.of_scope(remembered.scopes.get(purpose)?, now)
    }

    pub(crate) fn of_scope(&self, scope: &str, now: Instant) -> Option<Token> {
        self.lock().of_scope(scope, now)
    }

    /// Keeps a token for its scope.
    pub(crate) fn keep(&self, scope: &str, token: &Token, now: Instant) {
        let tokens = &mut self.lock().tokens;
        tokens.retain(|_, token| token.holds(now));
        // What is dropped is asked for again, so a full memory costs requests and nothing else.
        if tokens.len() >= MAX_REMEMBERED {
            tokens.clear();
        }
        tokens.insert(scope.to_owned(), token.clone());
    }

    /// Keeps a token for its scope, and the scope for such requests.
    pub(crate) fn remember(&self, purpose: Purpose, scope: &str, token: &Token, now: Instant) {
        self.keep(scope, token, now);
        let scopes = &mut self.lock().scopes;
        if scopes.len() >= MAX_REMEMBERED {
            scopes.clear();
        }
        scopes.insert(purpose, scope.to_owned());
    }

    pub(crate) fn forget(&self, scope: &str) {
        self.lock().tokens.remove(scope);
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    fn of_scope(&self, scope: &str, now: Instant) -> Option<Token> {
        self.tokens.get(scope).filter(|token| token.holds(now)).cloned()
    }
}

impl RegistryClient {
    /// Gets a token where the registry says, which has to be on the registry itself but for a client that goes elsewhere; without
    /// credentials an anonymous one.
    pub(crate) async fn fetch_token(&self, challenge: &Challenge) -> Result<Token, ClientError> {
        let realm = self.realm(challenge)?;
        self.ask_for_token(realm, challenge, None).await.map(|(token, _)| token)
    }

    /// The same, to be shown in a swarm by the peer of this id alone.
    pub(crate) async fn fetch_peer_token(&self, challenge: &Challenge, peer_id: &str) -> Result<Token, ClientError> {
        let realm = self.realm(challenge)?;
        self.ask_for_token(realm, challenge, Some(peer_id)).await.map(|(token, _)| token)
    }

    /// The same, and a refresh token by which to get further ones, where the registry gives one to such a caller (Docker registry
    /// token specification, "Requesting a Token").
    pub(crate) async fn fetch_session(&self, challenge: &Challenge) -> Result<(Token, Option<Secret>), ClientError> {
        let mut realm = self.realm(challenge)?;
        realm.query_pairs_mut().append_pair("offline_token", "true").append_pair("client_id", CLIENT_ID);
        self.ask_for_token(realm, challenge, None).await
    }

    async fn ask_for_token(
        &self,
        realm: Url,
        challenge: &Challenge,
        peer_id: Option<&str>,
    ) -> Result<(Token, Option<Secret>), ClientError> {
        let asked_at = Instant::now();
        let service = self.registry.of_server(&realm)?;
        let http = match &self.elsewhere {
            Some(elsewhere) if service != self.registry => elsewhere.client(&realm).await?,
            _ => self.http.clone(),
        };
        let response = self.token_request(&http, realm, challenge, peer_id).send().await;
        let response = response.map_err(|error| ClientError::unreachable(&service, error))?;
        let body = self.read(self.accepted(response).await?).await?;
        // The parser's words could hold the token.
        let body: TokenBody = serde_json::from_slice(&body).map_err(|_| self.malformed("its token can't be read"))?;
        let given = [body.token, body.access_token].into_iter().flatten().find(|text| !text.is_empty());
        let text = given.ok_or_else(|| self.malformed("its token service answers without a token"))?;
        let session = body.refresh_token.filter(|text| !text.is_empty());
        let is_token = |text: &String| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_token(&text) || session.as_ref().is_some_and(|session| !is_token(session)) {
            return Err(self.malformed("its token has characters that no token has"));
        }
        let lifetime_seconds = body.expires_in.unwrap_or(DEFAULT_LIFETIME_SECONDS).min(MAX_LIFETIME_SECONDS);
        let token = Token { text, lasts_until: asked_at + Duration::from_secs(lifetime_seconds) };
        Ok((token, session.map(Secret::new)))
    }

    /// Where tokens are: on the registry itself, or where a client that goes elsewhere may go, with its credentials where it has any.
    fn realm(&self, challenge: &Challenge) -> Result<Url, ClientError> {
        let registry = self.registry.as_url();
        let realm = registry.join(&challenge.realm).map_err(|_| self.malformed("the realm of its tokens is not a URL"))?;
        let is_bare = realm.username().is_empty() && realm.password().is_none();
        let is_own = || realm.origin() == registry.origin();
        let is_open = |elsewhere: &Elsewhere| elsewhere.is_realm(&realm, self.credentials.is_some());
        if is_bare && (is_own() || self.elsewhere.as_deref().is_some_and(is_open)) {
            return Ok(realm);
        }
        let realm = challenge.realm.replace(char::is_control, " ");
        Err(ClientError::ForeignRealm { registry: self.registry.clone(), realm })
    }

    /// A refresh token is exchanged as OAuth has it; anything else goes with a GET (Docker registry token specification,
    /// "Requesting a Token"; Docker registry `OAuth2` specification, "Getting a token").
    fn token_request(&self, http: &Client, mut realm: Url, challenge: &Challenge, peer_id: Option<&str>) -> RequestBuilder {
        let peer_id = peer_id.map(|peer| ("peer_id", peer));
        if let Some(Credentials::Identity(identity)) = &self.credentials {
            let mut form = realm.clone();
            form.query_pairs_mut().clear().append_pair("grant_type", "refresh_token").append_pair("refresh_token", identity);
            form.query_pairs_mut().append_pair("client_id", CLIENT_ID).append_pair("scope", &challenge.scope);
            if let Some(service) = &challenge.service {
                form.query_pairs_mut().append_pair("service", service);
            }
            form.query_pairs_mut().extend_pairs(peer_id);
            let body = form.query().unwrap_or_default().to_owned();
            let request = http.request(Method::POST, realm);
            return request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        }
        if let Some(service) = &challenge.service {
            realm.query_pairs_mut().append_pair("service", service);
        }
        for scope in challenge.scope.split_ascii_whitespace() {
            realm.query_pairs_mut().append_pair("scope", scope);
        }
        if peer_id.is_some() {
            realm.query_pairs_mut().extend_pairs(peer_id);
        }
        let request = http.request(Method::GET, realm);
        match &self.credentials {
            Some(credentials) => credentials.sign(request),
            None => request,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purpose(method: &Method, path: &str) -> Purpose {
        Purpose::of(method, &format!("http://h{path}").parse().expect("a URL"))
    }

    fn token(lasts_until: Instant) -> Token {
        Token { text: "t".to_owned(), lasts_until }
    }

    #[test]
    fn remembers_until_shortly_before_the_end() {
        let tokens = Tokens::default();
        let now = Instant::now();
        let pull = purpose(&Method::GET, "/v2/team/app/manifests/1");
        tokens.remember(pull.clone(), "s", &token(now + Duration::from_mins(1)), now);
        assert!(tokens.of_purpose(&pull, now).is_some());
        assert!(tokens.of_purpose(&purpose(&Method::GET, "/v2/team/app/manifests/2"), now).is_some());
        assert!(tokens.of_purpose(&purpose(&Method::DELETE, "/v2/team/app/manifests/1"), now).is_none());
        assert!(tokens.of_purpose(&purpose(&Method::GET, "/v2/team/b/manifests/1"), now).is_none());
        assert!(tokens.of_scope("s", now).is_some());
        assert!(tokens.of_scope("s", now + Duration::from_secs(51)).is_none());
        tokens.forget("s");
        assert!(tokens.of_purpose(&pull, now).is_none());
    }

    #[test]
    fn remembers_no_more_than_it_should() {
        let tokens = Tokens::default();
        let now = Instant::now();
        for number in 0..3 * MAX_REMEMBERED {
            let scope = number.to_string();
            tokens.remember(purpose(&Method::GET, &format!("/v2/a{number}/tags/list")), &scope, &token(now + MARGIN * 2), now);
            assert!(tokens.of_scope(&scope, now).is_some());
        }
        let remembered = tokens.lock();
        assert!(remembered.tokens.len() <= MAX_REMEMBERED && remembered.scopes.len() <= MAX_REMEMBERED);
    }

    #[test]
    fn is_shown_nowhere() {
        assert_eq!(format!("{:?}", token(Instant::now())), "Token");
    }
}
