mod answer;
mod manifest;
mod push;

use http::Method;
use reqwest::RequestBuilder;

pub use answer::Answer;
pub use push::Upload;

/// A caller of a registry that says what it wants in the protocol's own terms, and checks what it gets.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: String,
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
        Self { http: configure(builder).build().expect("a client with these options can be made"), url: url.into() }
    }

    /// A request for a path, or for the URL that a `Location` or a `Link` gave, absolute or not.
    pub fn request(&self, method: Method, location: &str) -> RequestBuilder {
        let url = if location.starts_with('/') { format!("{}{location}", self.url) } else { location.to_owned() };
        self.http.request(method, url)
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
