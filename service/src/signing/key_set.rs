use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{InvalidKey, InvalidSignature, key::thumbprint, provider};

/// The keys of somebody who signs, as they are published.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct KeySet {
    keys: Vec<PublicKey>,
}

/// The public half of a key, as a JSON Web Key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PublicKey {
    kty: String,
    crv: String,
    x: String,
    kid: String,
    alg: String,
    #[serde(rename = "use")]
    purpose: String,
}

impl PublicKey {
    pub(super) fn new(id: String, bytes: &[u8]) -> Self {
        Self {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            x: URL_SAFE_NO_PAD.encode(bytes),
            kid: id,
            alg: "EdDSA".into(),
            purpose: "sig".into(),
        }
    }

    /// The key that is published as this `x`, by the id that keys of ours have; `None` where it is none.
    pub fn from_x(x: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(x).ok().filter(|bytes| bytes.len() == 32)?;
        Some(Self::new(thumbprint(&bytes), &bytes))
    }

    /// What headers name it by.
    pub fn id(&self) -> &str {
        &self.kid
    }

    fn decoding(&self) -> Result<DecodingKey, InvalidKey> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.x).map_err(|_| InvalidKey)?;
        if (self.kty.as_str(), self.crv.as_str(), bytes.len()) != ("OKP", "Ed25519", 32) {
            return Err(InvalidKey);
        }
        Ok(DecodingKey::from_ed_der(&bytes))
    }
}

impl FromIterator<PublicKey> for KeySet {
    fn from_iter<I: IntoIterator<Item = PublicKey>>(keys: I) -> Self {
        Self { keys: keys.into_iter().collect() }
    }
}

impl KeySet {
    /// Whether it has no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether it has a key of an id.
    pub fn has(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.kid == id)
    }

    /// The same without the key of an id.
    #[must_use]
    pub fn without(mut self, id: &str) -> Self {
        self.keys.retain(|key| key.kid != id);
        self
    }

    /// The statement, where one of these keys has signed it as one of this kind. When it was said, and whether it still holds, is for
    /// the caller to ask of what it says.
    pub fn check<S: DeserializeOwned>(&self, kind: &'static str, signed: &str) -> Result<S, InvalidSignature> {
        provider::install();
        let header = jsonwebtoken::decode_header(signed).map_err(InvalidSignature::Malformed)?;
        if header.alg != Algorithm::EdDSA {
            return Err(InvalidSignature::Algorithm(header.alg));
        }
        if header.typ.as_deref() != Some(kind) {
            return Err(InvalidSignature::Kind { found: header.typ, expected: kind });
        }
        let named = self.keys.iter().find(|key| Some(&key.kid) == header.kid.as_ref());
        let key = named.and_then(|key| key.decoding().ok()).ok_or(InvalidSignature::UnknownKey(header.kid))?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.required_spec_claims.clear();
        (validation.validate_exp, validation.validate_aud) = (false, false);
        Ok(jsonwebtoken::decode(signed, &key, &validation).map_err(InvalidSignature::Refused)?.claims)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::SigningKey, *};

    const KIND: &str = "letter+jwt";
    const OTHER_KIND: &str = "other-letter+jwt";

    #[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
    struct Letter {
        text: String,
    }

    fn letter() -> Letter {
        Letter { text: "what was said".into() }
    }

    fn part(signed: &str, number: usize, change: impl FnOnce(&str) -> String) -> String {
        let mut parts: Vec<String> = signed.split('.').map(str::to_owned).collect();
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(&parts[number]).unwrap()).unwrap();
        parts[number] = URL_SAFE_NO_PAD.encode(change(&text));
        parts.join(".")
    }

    #[test]
    fn takes_what_was_signed_and_nothing_else() {
        let (key, other) = (SigningKey::generate().0, SigningKey::generate().0);
        let set: KeySet = [other.public(), key.public()].into_iter().collect();
        let set: KeySet = serde_json::from_str(&serde_json::to_string(&set).unwrap()).unwrap();
        let signed = key.sign(KIND, &letter());
        assert_eq!(set.check::<Letter>(KIND, &signed).unwrap(), letter());

        let said_otherwise = part(&signed, 1, |text| text.replace("was", "is"));
        assert!(matches!(set.check::<Letter>(KIND, &said_otherwise), Err(InvalidSignature::Refused(_))));
        let by_another = part(&signed, 0, |text| text.replace(key.id(), other.id()));
        assert!(matches!(set.check::<Letter>(KIND, &by_another), Err(InvalidSignature::Refused(_))));
        let by_a_stranger: KeySet = [other.public()].into_iter().collect();
        assert!(matches!(by_a_stranger.check::<Letter>(KIND, &signed), Err(InvalidSignature::UnknownKey(_))));
        assert!(matches!(set.check::<Letter>(OTHER_KIND, &signed), Err(InvalidSignature::Kind { .. })));
        let of_another_kind = part(&signed, 0, |text| text.replace(KIND, OTHER_KIND));
        assert!(matches!(set.check::<Letter>(OTHER_KIND, &of_another_kind), Err(InvalidSignature::Refused(_))));
    }

    #[test]
    fn a_key_is_told_by_its_public_half_alone() {
        let (key, other) = (SigningKey::generate().0, SigningKey::generate().0);
        let published = serde_json::to_value(key.public()).unwrap();
        let told = PublicKey::from_x(published["x"].as_str().unwrap()).unwrap();
        assert_eq!(told, key.public());
        assert!(["", "AAAA", "no key"].into_iter().all(|x| PublicKey::from_x(x).is_none()));
        let set = KeySet::from_iter([told, other.public()]).without(other.id());
        assert_eq!(set, KeySet::from_iter([key.public()]));
        assert!(set.has(key.id()) && !set.has(other.id()) && !set.is_empty());
        assert!(set.without(key.id()).is_empty());
    }

    #[test]
    fn takes_no_other_algorithm() {
        let key = SigningKey::generate().0;
        let set: KeySet = [key.public()].into_iter().collect();
        let signed = key.sign(KIND, &letter());
        let by_secret = part(&signed, 0, |text| text.replace("EdDSA", "HS256"));
        assert!(matches!(set.check::<Letter>(KIND, &by_secret), Err(InvalidSignature::Algorithm(Algorithm::HS256))));
        for algorithm in ["none", "None", "EDDSA"] {
            let header = part(&signed, 0, |text| text.replace("EdDSA", algorithm));
            assert!(matches!(set.check::<Letter>(KIND, &header), Err(InvalidSignature::Malformed(_))), "{algorithm}");
        }
        let stripped = signed.rsplit_once('.').unwrap().0.to_owned();
        for text in [stripped.clone(), format!("{stripped}."), String::new(), "a.b.c".into(), format!("{signed}.x")] {
            assert!(set.check::<Letter>(KIND, &text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_of_another_kind_checks_nothing() {
        let key = SigningKey::generate().0;
        let signed = key.sign(KIND, &letter());
        let set = serde_json::to_value(KeySet::from_iter([key.public()])).unwrap();
        for (member, value) in [("kty", "RSA"), ("crv", "X25519"), ("x", "AAAA"), ("x", "?")] {
            let mut changed = set.clone();
            changed["keys"][0][member] = value.into();
            let set: KeySet = serde_json::from_value(changed).unwrap();
            assert!(matches!(set.check::<Letter>(KIND, &signed), Err(InvalidSignature::UnknownKey(_))), "{member}");
        }
    }
}
