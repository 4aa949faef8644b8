//! What members of a site say to each other, by a secret that they share: HMAC-SHA256 (RFC 2104) over all of a request that counts, and
//! over an answer that says what a blob's pieces are, or what a manifest is.

use std::fmt;

use http::HeaderValue;
use ring::{
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};

/// The least that a secret has, in bytes.
const LEAST_BYTES: usize = 16;
/// What a signed request begins with, and nothing else that is signed with the secret.
const REQUEST: &str = "longshore-site-request.v2";
/// What a signed answer begins with.
const ANSWER: &str = "longshore-site-answer.v1";

/// What members of a site know and nobody else does.
#[derive(Clone)]
pub struct SiteSecret(hmac::Key);

/// The secret could be guessed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the secret of a site has {LEAST_BYTES} bytes at least: take one of `openssl rand -hex 32`, the same for all its edges")]
pub struct ShortSecret;

/// What a signature is, in bytes.
pub type Tag = [u8; 32];

/// All of a request that counts. No part holds a line feed, as nothing in a request's head does.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    /// The request's method.
    pub method: &'a str,
    /// Its path, as it is sent.
    pub path: &'a str,
    /// Its `Range`; empty for none.
    pub range: &'a str,
    /// The address of the upstream that its path names.
    pub upstream: &'a str,
    /// Who asks.
    pub from: &'a str,
    /// Who is asked, so that nobody else can be asked with it.
    pub to: &'a str,
    /// As whom the upstream is to be asked.
    pub identity: &'a str,
    /// The `Authorization` for that; empty for none.
    pub authorization: &'a str,
    /// How many edges it has come through, who asks included.
    pub hop: &'a str,
    /// When it was sent, in seconds since 1970.
    pub time: &'a str,
    /// What makes it unlike any other.
    pub nonce: &'a str,
}

impl SiteSecret {
    /// A secret, which is a text of [`LEAST_BYTES`] bytes at least.
    pub fn new(text: &str) -> Result<Self, ShortSecret> {
        if text.len() < LEAST_BYTES {
            return Err(ShortSecret);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes())))
    }

    /// A request's signature.
    pub fn sign(&self, statement: &Statement<'_>) -> Tag {
        tag(hmac::sign(&self.0, statement.message().as_bytes()))
    }

    /// Whether it is; compared in constant time.
    pub fn is_of(&self, statement: &Statement<'_>, tag: &Tag) -> bool {
        hmac::verify(&self.0, statement.message().as_bytes(), tag).is_ok()
    }

    /// The signature of what answers a request: its content type, and its body.
    pub fn sign_answer(&self, request: &Tag, kind: &HeaderValue, body: &[u8]) -> Tag {
        tag(hmac::sign(&self.0, &answer(request, kind, body)))
    }

    /// Whether it is; compared in constant time.
    pub fn is_of_answer(&self, request: &Tag, kind: &HeaderValue, body: &[u8], tag: &Tag) -> bool {
        hmac::verify(&self.0, &answer(request, kind, body), tag).is_ok()
    }
}

impl fmt::Debug for SiteSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SiteSecret(…)")
    }
}

impl Statement<'_> {
    fn message(&self) -> String {
        let Self { method, path, range, upstream, from, to, identity, authorization, hop, time, nonce } = self;
        [REQUEST, method, path, range, upstream, from, to, identity, authorization, hop, time, nonce].join("\n")
    }
}

fn answer(request: &Tag, kind: &HeaderValue, body: &[u8]) -> Vec<u8> {
    [ANSWER.as_bytes(), b"\n", hex::encode(request).as_bytes(), b"\n", kind.as_bytes(), b"\n", body].concat()
}

fn tag(signed: hmac::Tag) -> Tag {
    signed.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// What makes a request unlike any other.
pub fn nonce() -> String {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).expect("the system gives random bytes");
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATEMENT: Statement<'static> = Statement {
        method: "GET",
        path: "/v2/_longshore/site/docker.io/library/alpine/blobs/sha256:00",
        range: "bytes=0-9",
        upstream: "docker.io https://registry-1.docker.io",
        from: "https://a.example",
        to: "https://b.example",
        identity: "caller",
        authorization: "Bearer x",
        hop: "1",
        time: "1700000000",
        nonce: "00",
    };

    #[test]
    fn nothing_that_counts_can_be_altered() {
        let secret = SiteSecret::new("a secret that is long").unwrap();
        let tag = secret.sign(&STATEMENT);
        assert!(secret.is_of(&STATEMENT, &tag));
        let altered = [
            Statement { method: "HEAD", ..STATEMENT },
            Statement { path: "/v2/_longshore/site/docker.io/library/alpine/blobs/sha256:01", ..STATEMENT },
            Statement { range: "", ..STATEMENT },
            Statement { upstream: "docker.io https://c.example", ..STATEMENT },
            Statement { from: "https://c.example", ..STATEMENT },
            Statement { to: "https://c.example", ..STATEMENT },
            Statement { identity: "edge", ..STATEMENT },
            Statement { authorization: "Bearer y", ..STATEMENT },
            Statement { hop: "0", ..STATEMENT },
            Statement { time: "1700000001", ..STATEMENT },
            Statement { nonce: "01", ..STATEMENT },
        ];
        assert!(altered.iter().all(|altered| !secret.is_of(altered, &tag)));
        assert!(!SiteSecret::new("a secret that is other").unwrap().is_of(&STATEMENT, &tag));
        let mut other = tag;
        other[31] ^= 1;
        assert!(!secret.is_of(&STATEMENT, &other));
    }

    #[test]
    fn an_answer_is_to_its_request() {
        let secret = SiteSecret::new("a secret that is long").unwrap();
        let (one, other) = (secret.sign(&STATEMENT), secret.sign(&Statement { nonce: "01", ..STATEMENT }));
        let [kind, another] = ["a/b", "a/c"].map(HeaderValue::from_static);
        let tag = secret.sign_answer(&one, &kind, b"body");
        assert!(secret.is_of_answer(&one, &kind, b"body", &tag));
        assert!(!secret.is_of_answer(&one, &kind, b"Body", &tag) && !secret.is_of_answer(&other, &kind, b"body", &tag));
        assert!(!secret.is_of_answer(&one, &another, b"body", &tag));
    }

    #[test]
    fn a_secret_is_long_and_is_not_told() {
        assert_eq!(SiteSecret::new("fifteen bytes..").unwrap_err(), ShortSecret);
        let told = format!("{:?}", SiteSecret::new("sixteen bytes...").unwrap());
        assert!(!told.contains("sixteen"), "{told}");
        assert_ne!(nonce(), nonce());
    }
}
