//! Requests to an API server.

use std::{path::Path, time::Duration};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{Certificate, Client, Method, Response, header::CONTENT_TYPE};
use serde_json::Value;

use crate::error::BenchError;

/// How many requests are on their way at once.
const AT_ONCE: usize = 16;
const TIMEOUT: Duration = Duration::from_mins(1);
/// How much of a refusal is shown.
const SHOWN_BYTES: usize = 600;

/// A caller who may do everything.
#[derive(Clone, Debug)]
pub(super) struct Api {
    base: String,
    token: String,
    client: Client,
}

/// A request that is to be made.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<Value>,
}

impl Call {
    /// Makes an object in a collection.
    pub(super) fn create(collection: &str, object: Value) -> Self {
        Self { method: Method::POST, path: collection.to_owned(), body: Some(object) }
    }
}

impl Api {
    /// Calls the server at `base`, which shows the certificate in this file.
    pub(super) fn new(base: String, token: String, certificate: &Path) -> Result<Self, BenchError> {
        // Another part of the program may have installed it before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let pem = std::fs::read(certificate).map_err(BenchError::io(format!("read {}", certificate.display())))?;
        let asked = || format!("calls to {base}");
        let certificate = Certificate::from_pem(&pem).map_err(BenchError::http(asked()))?;
        // A proxy that the environment names could not reach this machine's loopback.
        let builder = Client::builder().no_proxy().http1_only().tls_backend_rustls().tls_certs_only([certificate]);
        let client = builder.connect_timeout(TIMEOUT).build().map_err(BenchError::http(asked()))?;
        Ok(Self { base, token, client })
    }

    /// Asks for something that is read on and on, for as long as it comes.
    pub(super) async fn open(&self, path: &str) -> Result<Response, BenchError> {
        let call = Call { method: Method::GET, path: path.to_owned(), body: None };
        self.send(&call, None).await
    }

    /// The text of an answer.
    pub(super) async fn text(&self, path: &str) -> Result<String, BenchError> {
        let call = Call { method: Method::GET, path: path.to_owned(), body: None };
        self.send(&call, Some(TIMEOUT)).await?.text().await.map_err(BenchError::http(format!("GET {path}")))
    }

    /// Makes a request, and reads its answer.
    pub(super) async fn call(&self, call: &Call) -> Result<Value, BenchError> {
        let asked = || format!("{} {}", call.method, call.path);
        self.send(call, Some(TIMEOUT)).await?.json().await.map_err(BenchError::http(asked()))
    }

    /// Makes requests, begun in their order.
    pub(super) async fn call_all(&self, calls: impl IntoIterator<Item = Call>) -> Result<(), BenchError> {
        let answers = stream::iter(calls).map(async |call| {
            let answer = self.send(&call, Some(TIMEOUT)).await?;
            // What it says is not needed, but the connection is for the next.
            answer.bytes().await.map_err(BenchError::http(format!("{} {}", call.method, call.path)))
        });
        answers.buffered(AT_ONCE).try_for_each(async |_| Ok(())).await
    }

    async fn send(&self, call: &Call, limit: Option<Duration>) -> Result<Response, BenchError> {
        let asked = || format!("{} {}", call.method, call.path);
        let mut request =
            self.client.request(call.method.clone(), format!("{}{}", self.base, call.path)).bearer_auth(&self.token);
        if let Some(limit) = limit {
            request = request.timeout(limit);
        }
        if let Some(body) = &call.body {
            let kind = if call.method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
            request = request.header(CONTENT_TYPE, kind).body(body.to_string());
        }
        let answer = request.send().await.map_err(BenchError::http(asked()))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let mut said = answer.text().await.unwrap_or_default();
        said.truncate(said.floor_char_boundary(SHOWN_BYTES));
        Err(BenchError::Refused { asked: asked(), status, said })
    }
}
