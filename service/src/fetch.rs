//! Getting a short document from somebody else's server.

use std::{error::Error, net::IpAddr, time::Duration};

use http::{StatusCode, Uri, header::ACCEPT, uri::Scheme};
use reqwest::{Certificate, Client, redirect::Policy};
use rustls::{
    RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

/// How long it may take from the first byte to the last.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a document could not be had.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FetchError {
    /// What is sent could be read, or changed, on its way.
    #[error("{0} is neither https nor on this machine's loopback")]
    Insecure(String),
    /// The authorities are no certificates in PEM.
    #[error("the CA certificates can't be read: they must be PEM")]
    Authorities,
    /// The server can't be reached, or does not answer in time, or has a certificate of nobody who is trusted.
    #[error("{url} can't be had: {reason}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why not.
        reason: String,
    },
    /// It answers something else.
    #[error("{url} answers {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The answer.
        status: StatusCode,
    },
    /// It sends more than is taken.
    #[error("{url} has more than {limit_bytes} bytes")]
    TooLong {
        /// What was asked for.
        url: String,
        /// What is taken.
        limit_bytes: usize,
    },
}

/// Whether what comes from a URL comes from its server: over TLS, or from this machine.
pub fn is_secure(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => uri.host().is_some_and(|host| !host.is_empty()),
        Some(scheme) if *scheme == Scheme::HTTP => is_on_loopback(url),
        _ => false,
    }
}

/// Whether a URL's host is this machine, by its own word.
pub fn is_on_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

fn is_plain(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| uri.scheme() == Some(&Scheme::HTTP))
}

/// Whether a text is one or more certificates in PEM that can vouch for servers.
pub fn are_certificates(pem: &str) -> bool {
    let mut authorities = RootCertStore::empty();
    let mut add = |certificate: CertificateDer<'static>| authorities.add(certificate).is_ok();
    let are_good = CertificateDer::pem_slice_iter(pem.as_bytes()).all(|certificate| certificate.is_ok_and(&mut add));
    are_good && !authorities.is_empty()
}

fn certificates(pem: &str) -> Result<Vec<Certificate>, FetchError> {
    let certificates = Certificate::from_pem_bundle(pem.as_bytes()).ok();
    certificates.filter(|certificates| !certificates.is_empty()).ok_or(FetchError::Authorities)
}

/// The document at a URL, of so many bytes at most; `authorities`, certificates in PEM, are trusted in place of the machine's. No
/// redirection is followed.
pub async fn fetch(url: &str, authorities: Option<&str>, limit_bytes: usize) -> Result<Vec<u8>, FetchError> {
    if !is_secure(url) {
        return Err(FetchError::Insecure(url.to_owned()));
    }
    let failed = |error: &reqwest::Error| FetchError::Unreachable { url: url.to_owned(), reason: innermost(error) };
    let client = client(url, authorities)?;
    let mut answer = client.get(url).header(ACCEPT, "application/json").send().await.map_err(|error| failed(&error))?;
    if answer.status() != StatusCode::OK {
        return Err(FetchError::Status { url: url.to_owned(), status: answer.status() });
    }
    let mut document = Vec::new();
    while let Some(bytes) = answer.chunk().await.map_err(|error| failed(&error))? {
        if document.len() + bytes.len() > limit_bytes {
            return Err(FetchError::TooLong { url: url.to_owned(), limit_bytes });
        }
        document.extend_from_slice(&bytes);
    }
    Ok(document)
}

fn client(url: &str, authorities: Option<&str>) -> Result<Client, FetchError> {
    // Whoever is first in the process sets it; that it is set is all that counts.
    let _ = ring::default_provider().install_default();
    let mut builder = Client::builder().timeout(TIMEOUT).redirect(Policy::none()).tls_backend_rustls();
    if is_plain(url) {
        // It is on this machine, which a proxy could not reach, and needs none of the machine's authorities.
        builder = builder.no_proxy().tls_certs_only(Vec::new());
    } else if let Some(pem) = authorities {
        builder = builder.tls_certs_only(certificates(pem)?);
    }
    builder.build().map_err(|error| FetchError::Unreachable { url: url.to_owned(), reason: innermost(&error) })
}

/// The last cause, which is the one that says something.
fn innermost(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer in {} s", TIMEOUT.as_secs());
    }
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tls_and_the_loopback_are_secure() {
        for url in
            ["https://a.example", "https://a.example:8443/x", "http://127.0.0.1:1/x", "HTTP://[::1]/", "http://localhost:80"]
        {
            assert!(is_secure(url), "{url}");
        }
        for url in
            ["http://a.example", "ftp://127.0.0.1", "127.0.0.1", "", "http://127.0.0.1.a.example", "http://localhost.a.example"]
        {
            assert!(!is_secure(url), "{url}");
        }
    }

    #[test]
    fn this_machine_is_known_however_it_is_written() {
        for url in ["HTTP://127.0.0.1:8500/x", "https://LocalHost", "http://[::ffff:127.0.0.1]/", "https://[::1]:1"] {
            assert!(is_on_loopback(url), "{url}");
        }
        assert!(!is_on_loopback("https://issuer.example") && !is_on_loopback("no url at all"));
        assert!(!are_certificates("") && !are_certificates("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
    }

    #[tokio::test]
    async fn tells_what_is_wrong() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let answers = ["200 OK\r\nContent-Length: 5\r\n\r\n12345", "404 Not Found\r\nContent-Length: 0\r\n\r\n"];
        let serving = tokio::spawn(async move {
            for answer in answers.into_iter().chain([answers[0]]) {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = [0; 1024];
                tokio::io::AsyncReadExt::read(&mut stream, &mut head).await.unwrap();
                let answer = format!("HTTP/1.1 {answer}").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
                tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await.unwrap();
            }
        });
        assert_eq!(fetch(&url, None, 5).await, Ok(b"12345".to_vec()));
        assert_eq!(fetch(&url, None, 5).await, Err(FetchError::Status { url: url.clone(), status: StatusCode::NOT_FOUND }));
        assert_eq!(fetch(&url, None, 4).await, Err(FetchError::TooLong { url: url.clone(), limit_bytes: 4 }));
        serving.await.unwrap();
        assert!(matches!(fetch(&url, None, 5).await, Err(FetchError::Unreachable { .. })));
        assert_eq!(fetch("https://a.example", Some("no PEM"), 5).await, Err(FetchError::Authorities));
        assert!(matches!(fetch("http://a.example", None, 5).await, Err(FetchError::Insecure(_))));
    }
}
