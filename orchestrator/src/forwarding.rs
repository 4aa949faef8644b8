//! Passing on to the leader what only it can tell.

use std::{net::IpAddr, path::Path, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, request::Parts};
use longshore_service::request_id;
use reqwest::{Certificate, Client, redirect::Policy};

use crate::error::Error;

/// Says that another replica has passed a request on, so that it is passed on once.
pub(crate) const PASSED_ON: HeaderName = HeaderName::from_static("longshore-passed-on");
/// The address of whoever has asked the replica that passes a request on.
const CALLER: HeaderName = HeaderName::from_static("longshore-caller-address");
/// What of a request's headers is passed on.
const ASKED: [HeaderName; 6] = [
    header::ACCEPT,
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    HeaderName::from_static("x-operation-id"),
    request_id::HEADER,
];
/// What of an answer's headers is passed back.
const ANSWERED: [HeaderName; 7] = [
    header::CACHE_CONTROL,
    header::CONTENT_TYPE,
    header::ETAG,
    header::LOCATION,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("x-accel-buffering"),
];
/// How long to wait for a connection to the leader.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Passes requests on.
#[derive(Clone, Debug)]
pub(crate) struct Forwarder {
    client: Client,
    timeout: Duration,
}

/// Why nothing can be passed on.
#[derive(Debug, thiserror::Error)]
pub enum ForwarderError {
    /// The authorities can't be read.
    #[error("the certificates in {path} can't be read")]
    Authorities {
        /// The file.
        path: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The client can't be set up.
    #[error("the HTTP client can't be set up")]
    Setup(#[from] reqwest::Error),
}

impl Forwarder {
    /// One that trusts these authorities beside the machine's, and waits so long for an answer to begin. Reads a file, so this blocks.
    pub(crate) fn new(ca_file: Option<&Path>, timeout: Duration) -> Result<Self, ForwarderError> {
        // Whoever is first in the process sets it; that it is set is all that counts.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder =
            Client::builder().connect_timeout(CONNECT_TIMEOUT).redirect(Policy::none()).no_proxy().tls_backend_rustls();
        if let Some(path) = ca_file {
            let read = std::fs::read(path);
            let pem = read.map_err(|source| ForwarderError::Authorities { path: path.display().to_string(), source })?;
            builder = builder.tls_certs_merge(Certificate::from_pem_bundle(&pem)?);
        }
        Ok(Self { client: builder.build()?, timeout })
    }

    /// What the leader at an address answers to a request of a caller.
    pub(crate) async fn pass_on(
        self,
        address: String,
        parts: Parts,
        body: Bytes,
        caller: IpAddr,
    ) -> Result<Response<Body>, Error> {
        let path = parts.uri.path_and_query().map_or_else(|| parts.uri.path(), |path| path.as_str());
        let url = format!("{}{path}", address.trim_end_matches('/'));
        let mut request =
            self.client.request(parts.method, url).header(PASSED_ON, "1").header(CALLER, caller.to_string()).body(body);
        for name in ASKED {
            if let Some(value) = parts.headers.get(&name) {
                request = request.header(name, value.clone());
            }
        }
        let answer = match tokio::time::timeout(self.timeout, request.send()).await {
            Ok(Ok(answer)) if answer.status() != StatusCode::MISDIRECTED_REQUEST => answer,
            Ok(Err(error)) => {
                tracing::warn!(address, error = &error as &dyn std::error::Error, "the leader can't be reached");
                return Err(if error.is_connect() { Error::NoLeader } else { Error::LeaderBrokeOff });
            }
            Ok(Ok(_)) => return Err(Error::NoLeader),
            // It may do it yet, or have done it.
            Err(_) => return Err(Error::TimedOut(self.timeout)),
        };
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut response = Response::new(Body::from_stream(answer.bytes_stream().map_err(std::io::Error::other)));
        *response.status_mut() = status;
        for name in ANSWERED {
            if let Some(value) = headers.get(&name) {
                response.headers_mut().insert(name, HeaderValue::clone(value));
            }
        }
        Ok(response)
    }
}

/// From where a request comes, as the audit log has it. Where it says that another replica has passed it on, both are named: who says so need
/// not be one.
pub(crate) fn told_address(headers: &HeaderMap, peer: IpAddr) -> String {
    let caller = headers.get(PASSED_ON).and(headers.get(CALLER)).and_then(|caller| caller.to_str().ok());
    match caller.and_then(|caller| caller.parse::<IpAddr>().ok()) {
        Some(caller) => format!("{caller} by way of {peer}"),
        None => peer.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_the_caller_and_who_passes_on_are_named() {
        let told = |headers: &[(HeaderName, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
            told_address(&headers.collect(), IpAddr::from([10, 0, 0, 2]))
        };
        assert_eq!(told(&[(PASSED_ON, "1"), (CALLER, "192.0.2.7")]), "192.0.2.7 by way of 10.0.0.2");
        assert_eq!(told(&[(CALLER, "192.0.2.7")]), "10.0.0.2");
        assert_eq!(told(&[(PASSED_ON, "1"), (CALLER, "somebody")]), "10.0.0.2");
    }
}
