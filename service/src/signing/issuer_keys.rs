use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, Validation,
    errors::{Error, ErrorKind},
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::provider;

/// The most keys of a set that are looked at.
const MOST_KEYS: usize = 100;
/// The lengths of RSA moduli that are taken, in bytes: 2048 to 8192 bits.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
/// As much of a key's name is told, in characters.
const MOST_SHOWN: usize = 64;
/// How far clocks may be apart, in seconds.
const LEEWAY: u64 = 60;
/// What an identity must say: who says it, of whom, to whom, and until when.
const REQUIRED: [&str; 4] = ["iss", "sub", "aud", "exp"];

/// The keys of somebody else who says who others are: a JSON Web Key Set (RFC 7517) of whatever keys. Those that can't check a
/// signature here are left out.
#[derive(Clone, Debug, Default)]
pub struct IssuerKeys(Vec<IssuerKey>);

#[derive(Clone, Debug)]
struct IssuerKey {
    id: Option<String>,
    /// The one algorithm that it is for, where it says so.
    only: Option<Algorithm>,
    curve: Option<EllipticCurve>,
    key: DecodingKey,
}

/// A text is no set of keys.
#[derive(Debug, thiserror::Error)]
#[error("it is no JSON Web Key Set: {0}")]
pub struct InvalidKeySet(serde_json::Error);

/// Why a token (RFC 7519) was not taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidIdentity {
    /// It is not three parts of base64url, or its header or its claims can't be read.
    #[error("it can't be read")]
    Malformed,
    /// Its algorithm is none, one of shared secrets, or one that is not known.
    #[error("it is signed in a way that is not taken: RS, PS, ES (256, 384) and EdDSA are")]
    Algorithm,
    /// Its key is not in the set.
    #[error("its issuer has no key {0:?}")]
    UnknownKey(String),
    /// Its header names no key, and more than one could be meant.
    #[error("it does not say which of its issuer's keys it is signed by")]
    NoKey,
    /// Its key did not sign this.
    #[error("its signature does not hold")]
    Signature,
    /// It does not say what it must.
    #[error("it does not say {0:?}")]
    Missing(String),
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not begun.
    #[error("it does not hold yet")]
    NotYet,
    /// It is for others.
    #[error("it is for another audience")]
    Audience,
    /// It is from another.
    #[error("it is from another issuer")]
    Issuer,
}

/// What a token says of itself before anything is checked, to find out whom to ask.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Claimed {
    /// Whoever is said to have signed it.
    #[serde(rename = "iss")]
    pub issuer: String,
}

impl Claimed {
    /// What a text says of its issuer, where it has the form of a token; `None` where it is something else, such as a password.
    pub fn of(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (Some(header), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return None;
        };
        let _: Map<String, Value> = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }
}

impl IssuerKeys {
    /// Reads a set.
    pub fn read(text: &[u8]) -> Result<Self, InvalidKeySet> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(text).map_err(InvalidKeySet)?;
        Ok(Self(set.keys.into_iter().take(MOST_KEYS).filter_map(IssuerKey::read).collect()))
    }

    /// Whether it has no key that could check anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a token says, where one of these keys has signed it, for one of these audiences, and it holds now.
    pub fn check(&self, text: &str, issuer: &str, audiences: &[String]) -> Result<Map<String, Value>, InvalidIdentity> {
        provider::install();
        let header = jsonwebtoken::decode_header(text).map_err(|_| unreadable(text))?;
        if header.crit.is_some() {
            return Err(InvalidIdentity::Malformed);
        }
        let key = self.find(header.kid.as_deref(), header.alg)?;
        let mut validation = Validation::new(header.alg);
        validation.set_required_spec_claims(&REQUIRED);
        validation.set_audience(audiences);
        validation.set_issuer(&[issuer]);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        let claims: Map<String, Value> = jsonwebtoken::decode(text, key, &validation).map_err(|error| refused(&error))?.claims;
        // A list of issuers, which some take, is of none.
        if claims.get("iss").and_then(Value::as_str) == Some(issuer) { Ok(claims) } else { Err(InvalidIdentity::Issuer) }
    }

    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<&DecodingKey, InvalidIdentity> {
        if family(algorithm).is_none() {
            return Err(InvalidIdentity::Algorithm);
        }
        let mut fitting = self.0.iter().filter(|key| key.fits(algorithm) && (id.is_none() || key.id.as_deref() == id));
        match (fitting.next(), fitting.next(), id) {
            (None, _, Some(id)) => Err(InvalidIdentity::UnknownKey(id.chars().take(MOST_SHOWN).collect())),
            (None, _, None) | (Some(_), Some(_), None) => Err(InvalidIdentity::NoKey),
            (Some(key), ..) => Ok(&key.key),
        }
    }
}

impl IssuerKey {
    fn read(key: Value) -> Option<Self> {
        let key: Jwk = serde_json::from_value(key).ok()?;
        if !matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        let only = match key.common.key_algorithm {
            None => None,
            Some(algorithm) => Some(Algorithm::try_from(algorithm).ok().filter(|algorithm| family(*algorithm).is_some())?),
        };
        let curve = match &key.algorithm {
            AlgorithmParameters::RSA(_) => None,
            AlgorithmParameters::EllipticCurve(parameters) => Some(parameters.curve.clone()),
            AlgorithmParameters::OctetKeyPair(parameters) => Some(parameters.curve.clone()),
            _ => return None,
        };
        let decoding = DecodingKey::from_jwk(&key).ok()?;
        if let DecodingKeyKind::RsaModulusExponent { n, .. } = decoding.kind()
            && !(RSA_BYTES.contains(&n.len()) && n[0] != 0)
        {
            return None;
        }
        Some(Self { id: key.common.key_id, only, curve, key: decoding })
    }

    /// Whether it can have signed by this.
    fn fits(&self, algorithm: Algorithm) -> bool {
        let curve = match algorithm {
            Algorithm::ES256 => Some(EllipticCurve::P256),
            Algorithm::ES384 => Some(EllipticCurve::P384),
            Algorithm::EdDSA => Some(EllipticCurve::Ed25519),
            _ => None,
        };
        family(algorithm) == Some(self.key.family()) && self.curve == curve && self.only.is_none_or(|only| only == algorithm)
    }
}

/// The kind of keys that an algorithm takes; `None` where it is not taken.
fn family(algorithm: Algorithm) -> Option<AlgorithmFamily> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match algorithm {
        RS256 | RS384 | RS512 | PS256 | PS384 | PS512 => Some(AlgorithmFamily::Rsa),
        ES256 | ES384 => Some(AlgorithmFamily::Ec),
        EdDSA => Some(AlgorithmFamily::Ed),
        _ => None,
    }
}

/// What is wrong with a token whose header can't be read: an algorithm that nobody knows, `none` among them, or something else.
fn unreadable(text: &str) -> InvalidIdentity {
    let header = URL_SAFE_NO_PAD.decode(text.split('.').next().unwrap_or_default()).unwrap_or_default();
    let header: Map<String, Value> = serde_json::from_slice(&header).unwrap_or_default();
    match header.get("alg").and_then(Value::as_str) {
        Some(algorithm) if algorithm.parse::<Algorithm>().is_err() => InvalidIdentity::Algorithm,
        _ => InvalidIdentity::Malformed,
    }
}

fn refused(error: &Error) -> InvalidIdentity {
    match error.kind() {
        ErrorKind::InvalidSignature => InvalidIdentity::Signature,
        ErrorKind::ExpiredSignature => InvalidIdentity::Expired,
        ErrorKind::ImmatureSignature => InvalidIdentity::NotYet,
        ErrorKind::InvalidAudience => InvalidIdentity::Audience,
        ErrorKind::InvalidIssuer => InvalidIdentity::Issuer,
        ErrorKind::MissingRequiredClaim(claim) => InvalidIdentity::Missing(claim.clone()),
        _ => InvalidIdentity::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use ring::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
    };
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://issuer.example";

    /// Somebody who says who others are, by two keys.
    struct Issuer {
        ed25519: Ed25519KeyPair,
        p256: EcdsaKeyPair,
    }

    impl Issuer {
        fn new() -> Self {
            let random = SystemRandom::new();
            let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
            let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
            Self {
                ed25519: Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).unwrap(),
                p256: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, p256.as_ref(), &random).unwrap(),
            }
        }

        fn set(&self) -> Value {
            let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            let point = self.p256.public_key().as_ref();
            json!({ "keys": [
                { "kty": "oct", "k": "c2VjcmV0", "kid": "shared", "alg": "HS256" },
                { "kty": "other", "kid": "strange" },
                { "kty": "OKP", "crv": "Ed25519", "x": encode(self.ed25519.public_key().as_ref()), "kid": "ed", "use": "sig" },
                { "kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..]), "kid": "ec", "alg": "ES256" },
            ] })
        }

        fn keys(&self) -> IssuerKeys {
            IssuerKeys::read(self.set().to_string().as_bytes()).unwrap()
        }

        fn sign(&self, header: &Value, claims: &Value) -> String {
            let text = format!("{}.{}", encode(header), encode(claims));
            let signature = match header["alg"].as_str() {
                Some("EdDSA") => self.ed25519.sign(text.as_bytes()).as_ref().to_vec(),
                _ => self.p256.sign(&SystemRandom::new(), text.as_bytes()).unwrap().as_ref().to_vec(),
            };
            format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
        }
    }

    fn encode(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    fn claims() -> Value {
        json!({ "iss": ISSUER, "sub": "repo:acme/app", "aud": ["here", "there"], "exp": now() + 300, "nbf": now() })
    }

    fn now() -> u64 {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
    }

    fn check(keys: &IssuerKeys, text: &str) -> Result<String, InvalidIdentity> {
        let claims = keys.check(text, ISSUER, &["here".to_owned()])?;
        Ok(claims["sub"].as_str().unwrap().to_owned())
    }

    #[test]
    fn takes_what_its_keys_have_signed() {
        let issuer = Issuer::new();
        for header in [json!({"alg": "EdDSA", "kid": "ed"}), json!({"alg": "ES256", "kid": "ec"}), json!({"alg": "ES256"})] {
            let text = issuer.sign(&header, &claims());
            assert_eq!(check(&issuer.keys(), &text), Ok("repo:acme/app".to_owned()), "{header}");
            assert_eq!(Claimed::of(&text), Some(Claimed { issuer: ISSUER.to_owned() }));
            assert_eq!(check(&Issuer::new().keys(), &text), Err(InvalidIdentity::Signature), "{header}");
        }
    }

    #[test]
    fn takes_no_other_key_and_no_other_algorithm() {
        let issuer = Issuer::new();
        let unknown = |id: &str| Err(InvalidIdentity::UnknownKey(id.to_owned()));
        for (header, expected) in [
            (json!({"alg": "EdDSA", "kid": "ec"}), unknown("ec")),
            (json!({"alg": "ES384", "kid": "ec"}), unknown("ec")),
            (json!({"alg": "RS256", "kid": "ed"}), unknown("ed")),
            (json!({"alg": "ES256", "kid": "other"}), unknown("other")),
            (json!({"alg": "RS256"}), Err(InvalidIdentity::NoKey)),
            (json!({"alg": "HS256", "kid": "shared"}), Err(InvalidIdentity::Algorithm)),
            (json!({"alg": "HS256", "kid": "ec"}), Err(InvalidIdentity::Algorithm)),
            (json!({"alg": "none", "kid": "ec"}), Err(InvalidIdentity::Algorithm)),
            (json!({"alg": "ES256", "kid": "ec", "crit": ["exp"]}), Err(InvalidIdentity::Malformed)),
            (json!({"alg": "ES256", "kid": 7}), Err(InvalidIdentity::Malformed)),
        ] {
            assert_eq!(check(&issuer.keys(), &issuer.sign(&header, &claims())), expected, "{header}");
        }
    }

    #[test]
    fn takes_nothing_that_was_changed() {
        let issuer = Issuer::new();
        let text = issuer.sign(&json!({"alg": "ES256", "kid": "ec"}), &claims());
        let parts: Vec<&str> = text.split('.').collect();
        let mut other = claims();
        other["sub"] = "repo:acme/other".into();
        let changed = format!("{}.{}.{}", parts[0], encode(&other), parts[2]);
        assert_eq!(check(&issuer.keys(), &changed), Err(InvalidIdentity::Signature));
        for cut in
            [format!("{}.{}.", parts[0], parts[1]), format!("{}.{}", parts[0], parts[1]), format!("{text}.x"), String::new()]
        {
            assert!(check(&issuer.keys(), &cut).is_err(), "{cut}");
        }
    }

    #[test]
    fn takes_it_for_its_audience_and_its_time() {
        let issuer = Issuer::new();
        let cases = [
            ("aud", json!("here"), Ok("repo:acme/app".to_owned())),
            ("aud", json!("elsewhere"), Err(InvalidIdentity::Audience)),
            ("aud", json!([]), Err(InvalidIdentity::Audience)),
            ("aud", json!(null), Err(InvalidIdentity::Missing("aud".into()))),
            ("iss", json!("https://issuer.example/"), Err(InvalidIdentity::Issuer)),
            ("iss", json!([ISSUER]), Err(InvalidIdentity::Issuer)),
            ("iss", json!(null), Err(InvalidIdentity::Missing("iss".into()))),
            ("sub", json!(null), Err(InvalidIdentity::Missing("sub".into()))),
            ("exp", json!(now() - 30), Ok("repo:acme/app".to_owned())),
            ("exp", json!(now() - 120), Err(InvalidIdentity::Expired)),
            ("exp", json!("soon"), Err(InvalidIdentity::Missing("exp".into()))),
            ("exp", json!(null), Err(InvalidIdentity::Missing("exp".into()))),
            ("nbf", json!(now() + 30), Ok("repo:acme/app".to_owned())),
            ("nbf", json!(now() + 120), Err(InvalidIdentity::NotYet)),
            ("nbf", json!("later"), Err(InvalidIdentity::Malformed)),
        ];
        for (claim, value, expected) in cases {
            let mut claims = claims();
            claims[claim] = value.clone();
            let text = issuer.sign(&json!({"alg": "EdDSA", "kid": "ed"}), &claims);
            assert_eq!(check(&issuer.keys(), &text), expected, "{claim} {value}");
        }
    }

    #[test]
    fn a_password_is_no_token() {
        for text in ["correct horse battery", "a.b.c", "lsr_abc", "e30.W10.x", "e30.e30.x", ""] {
            assert_eq!(Claimed::of(text), None, "{text}");
        }
    }
}
