use std::time::{Duration, Instant};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jiff::Timestamp;
use longshore_fleet::NodeId;
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use serde_json::json;
use uuid::Uuid;

/// What stands before an Ed25519 key in its public form (RFC 8410).
const PUBLIC_HEAD: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// How long a token holds, in seconds.
const LIFETIME_S: i64 = 60;
/// How long one is shown before another is signed. An agent signs one for each call; thousands in one process would do little else.
const SHOWN: Duration = Duration::from_secs(40);

/// A node's own key, and the token that it shows.
pub(super) struct Identity {
    key: Ed25519KeyPair,
    shown: Option<(Instant, String)>,
    /// By how many seconds the orchestrator's clock is ahead.
    apart: i64,
}

impl Identity {
    pub(super) fn new() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("the system gives randomness");
        let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("it was just made");
        Self { key, shown: None, apart: 0 }
    }

    pub(super) fn public_pem(&self) -> String {
        let der = [PUBLIC_HEAD, self.key.public_key().as_ref()].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    /// Goes by the orchestrator's clock from now on, as the agent does, where it is another than it was taken for.
    pub(super) fn goes_by(&mut self, date: i64) -> bool {
        let apart = date - Timestamp::now().as_second();
        let is_other = (apart - self.apart).abs() > 5;
        if is_other {
            (self.apart, self.shown) = (apart, None);
        }
        is_other
    }

    pub(super) fn token(&mut self, node: NodeId) -> String {
        if let Some((signed, token)) = &self.shown
            && signed.elapsed() < SHOWN
        {
            return token.clone();
        }
        let iat = Timestamp::now().as_second() + self.apart;
        let claims = json!({"sub": node, "aud": "longshore-orchestrator", "iat": iat, "exp": iat + LIFETIME_S, "jti": Uuid::new_v4().to_string()});
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(json!({"alg": "EdDSA", "typ": "JWT"})), part(claims));
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes())));
        self.shown = Some((Instant::now(), token.clone()));
        token
    }
}
