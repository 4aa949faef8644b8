//! Who the node is to the orchestrator: its Ed25519 key, by which it signs each call.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use longshore_fleet::NodeId;
use longshore_p2p::plane::NodeKey;
use longshore_service::signing::SigningKey;
use serde::Serialize;
use uuid::Uuid;

/// Whom the tokens are for.
const AUDIENCE: &str = "longshore-orchestrator";
/// What they are.
const KIND: &str = "JWT";
/// How long one holds, in seconds.
const LIFETIME_S: i64 = 60;
/// What stands before an Ed25519 key in its DER forms (RFC 8410): of the public half, and of both (its section 7, version 2).
const PUBLIC_HEAD: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const PRIVATE_HEAD: &[u8] = &[0x30, 0x51, 0x02, 0x01, 0x01, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
const PRIVATE_MIDDLE: &[u8] = &[0x81, 0x21, 0x00];
/// How long a line of PEM is (RFC 7468).
const PEM_LINE: usize = 64;

/// A key is not of the one kind that is used.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the node's key is no Ed25519 key")]
pub struct NotEd25519;

/// Who the node is.
#[derive(Debug)]
pub struct Identity {
    key: SigningKey,
    pem: String,
}

#[derive(Serialize)]
struct Claims {
    sub: NodeId,
    aud: &'static str,
    iat: i64,
    exp: i64,
    jti: String,
}

impl Identity {
    /// Who has this key.
    pub fn new(key: &NodeKey) -> Result<Self, NotEd25519> {
        let pair = key.keypair().clone().try_into_ed25519().map_err(|_| NotEd25519)?;
        let bytes = pair.to_bytes();
        let (seed, public) = bytes.split_at(32);
        let pkcs8 = [PRIVATE_HEAD, seed, PRIVATE_MIDDLE, public].concat();
        let key = SigningKey::from_pkcs8(&pkcs8).map_err(|_| NotEd25519)?;
        Ok(Self { key, pem: pem(&[PUBLIC_HEAD, public].concat()) })
    }

    /// The public half, as PEM.
    pub fn public_pem(&self) -> &str {
        &self.pem
    }

    /// What is shown with a call at this time.
    pub fn token(&self, node: NodeId, now: Timestamp) -> String {
        let iat = now.as_second();
        let claims = Claims { sub: node, aud: AUDIENCE, iat, exp: iat + LIFETIME_S, jti: Uuid::new_v4().to_string() };
        self.key.sign(KIND, &claims)
    }
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END PUBLIC KEY-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use libp2p_identity::{Keypair, PublicKey, ed25519};

    use super::*;

    #[test]
    fn what_it_signs_is_checked_with_the_key_it_shows() {
        let identity = Identity::new(&NodeKey::from(Keypair::generate_ed25519())).unwrap();
        let body: String = identity.public_pem().lines().filter(|line| !line.starts_with('-')).collect();
        let public = &STANDARD.decode(body).unwrap()[PUBLIC_HEAD.len()..];
        let public: PublicKey = ed25519::PublicKey::try_from_bytes(public).unwrap().into();
        let node: NodeId = format!("node_{:032x}", 3).parse().unwrap();
        let token = identity.token(node, Timestamp::from_second(1_000).unwrap());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        assert!(public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()));
        let (header, claims) = signed.split_once('.').unwrap();
        let read = |part: &str| serde_json::from_slice::<serde_json::Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(read(header)["alg"], "EdDSA");
        let claims = read(claims);
        assert_eq!(
            (claims["sub"].as_str().unwrap(), &claims["aud"]),
            (node.to_string().as_str(), &"longshore-orchestrator".into())
        );
        assert_eq!((claims["iat"].as_i64(), claims["exp"].as_i64()), (Some(1_000), Some(1_060)));
        let other = identity.token(node, Timestamp::from_second(1_000).unwrap());
        assert_ne!(token, other, "each is another");
    }
}
