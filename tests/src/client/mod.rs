mod accounts;
mod answer;
mod issuers;
mod manifest;
mod push;
mod take;
mod token;

use std::time::Duration;

use http::Method;
use reqwest::RequestBuilder;

pub use accounts::Account;
pub use answer::Answer;
pub use push::Upload;
pub use take::Taken;

/// A caller of a registry that says what it wants in the protocol's own terms, and checks what it gets.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    credentials: Credentials,
}

/// How a caller says who it is.
#[derive(Clone, Debug)]
enum Credentials {
    /// It does not.
    None,
    /// An account's name and secret.
    Basic(String, String),
    /// A token.
    Bearer(String),
}

impl Client {
    /// A caller of the registry at `url`. Redirects are not followed: they are answers to look at.
    pub fn new(url: &str) -> Self {
        Self::configured(url, |builder| builder)
    }

    /// Like [`Self::new`], with options of its own.
    pub fn configured(url: &str, configure: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> Self {
        // Fails from the second time on, when there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        let http = configure(builder).build().expect("a client with these options can be made");
        Self { http, url: url.into(), credentials: Credentials::None }
    }

    /// The same caller, who shows an account's name and secret with each request.
    pub fn as_basic(&self, name: &str, secret: &str) -> Self {
        Self { credentials: Credentials::Basic(name.into(), secret.into()), ..self.clone() }
    }

    /// The same caller, who shows a token with each request.
    pub fn as_bearer(&self, token: &str) -> Self {
        Self { credentials: Credentials::Bearer(token.into()), ..self.clone() }
    }

    /// The same caller, who says not who it is.
    pub fn as_anonymous(&self) -> Self {
        Self { credentials: Credentials::None, ..self.clone() }
    }

    /// Waits until whoever it calls answers again.
    pub async fn until_back(&self) {
        // `until` is for tasks that stay on their thread.
        for _ in 0..6000 {
            if Answer::attempt(self.request(Method::GET, "/v2/")).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nobody answers at {} after a minute", self.url);
    }

    /// A request for a path, or for the URL that a `Location` or a `Link` gave, absolute or not.
    pub fn request(&self, method: Method, location: &str) -> RequestBuilder {
        let url = if location.starts_with('/') { format!("{}{location}", self.url) } else { location.to_owned() };
        // Where another server is meant, a store for one, it is none of its business who calls.
        let is_ours = url.strip_prefix(&self.url).is_some_and(|path| path.starts_with('/'));
        let request = self.http.request(method, url);
        match &self.credentials {
            Credentials::Basic(name, secret) if is_ours => request.basic_auth(name, Some(secret)),
            Credentials::Bearer(token) if is_ours => request.bearer_auth(token),
            _ => request,
        }
    }

    /// GET.
    pub async fn get(&self, location: &str) -> Answer {
        Answer::to(self.request(Method::GET, location)).await
    }

    /// HEAD.
    pub async fn head(&self, location: &str) -> Answer {
        Answer::to(self.request(Method::HEAD, location)).await
    }

    /// DELETE.
    pub async fn delete(&self, location: &str) -> Answer {
        Answer::to(self.request(Method::DELETE, location)).await
    }

    /// POST without a body.
    pub async fn post(&self, location: &str) -> Answer {
        Answer::to(self.request(Method::POST, location).header("content-length", "0")).await
    }
}
