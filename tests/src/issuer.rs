use std::sync::Arc;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jiff::Timestamp;
use ring::{
    rand::SystemRandom,
    rsa::{KeyPair, PublicKeyComponents},
    signature::RSA_PKCS1_SHA256,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{Namespace, run_ok, temporary_folder};

/// Somebody who says who is who, in OpenID Connect's terms, and says whatever it is asked to.
///
/// Its tokens are by RS256: of those that are handed to it, cosign reads no others.
pub struct Issuer {
    url: String,
    key: KeyPair,
}

impl Issuer {
    /// One that answers on a port of a namespace for as long as the test's runtime runs.
    pub async fn start(namespace: &Namespace, port: u16) -> Self {
        let (folder, url) = (temporary_folder("issuer"), format!("http://localhost:{port}"));
        let file = folder.path().join("key").to_str().expect("our folders' names are ASCII").to_owned();
        // ring signs with such keys, and makes none.
        run_ok("openssl", ["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", &file]).await;
        let pem = std::fs::read_to_string(&file).expect("openssl has written it");
        let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let key = KeyPair::from_pkcs8(&STANDARD.decode(der).expect("PEM is base64")).expect("it is an RSA key");
        let documents =
            Arc::new([("/.well-known/openid-configuration", discovery(&url)), ("/keys", json!({ "keys": [public_key(&key)] }))]);
        let listener = namespace.listen(port);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let documents = documents.clone();
                tokio::spawn(async move { answer(stream, &*documents).await });
            }
        });
        Self { url, key }
    }

    /// What it calls itself.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A token for whoever has these claims. An `email` counts as verified.
    pub fn token(&self, claims: &Value) -> String {
        let now = Timestamp::now().as_second();
        let mut said = json!({
            "iss": self.url, "aud": "sigstore", "sub": "somebody", "iat": now, "nbf": now, "exp": now + 600, "email_verified": true,
        });
        for (name, value) in claims.as_object().expect("claims are an object") {
            said[name] = value.clone();
        }
        let header = json!({ "alg": "RS256", "kid": KEY_ID, "typ": "JWT" });
        let text = format!("{}.{}", encoded(header.to_string()), encoded(said.to_string()));
        let mut signature = vec![0; self.key.public().modulus_len()];
        let signed = self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature);
        signed.expect("the system gives randomness");
        format!("{text}.{}", encoded(signature))
    }
}

const KEY_ID: &str = "the-issuers-key";

fn discovery(url: &str) -> Value {
    json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/auth"),
        "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/keys"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    })
}

fn public_key(key: &KeyPair) -> Value {
    let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(key.public());
    json!({ "kty": "RSA", "alg": "RS256", "use": "sig", "kid": KEY_ID, "n": encoded(n), "e": encoded(e) })
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Answers one request, whose head fits into one read; who asks is Fulcio, with a GET.
async fn answer(mut stream: TcpStream, documents: &[(&str, Value)]) {
    let mut head = [0; 4096];
    let Ok(length) = stream.read(&mut head).await else { return };
    let head = String::from_utf8_lossy(&head[..length]);
    let path = head.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match documents.iter().find(|(name, _)| *name == path) {
        Some((_, document)) => ("200 OK", document.to_string()),
        None => ("404 Not Found", String::new()),
    };
    let head = "Content-Type: application/json\r\nConnection: close";
    let answer = format!("HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    // Who does not wait for it has no use for it.
    let _ = stream.write_all(answer.as_bytes()).await;
}
