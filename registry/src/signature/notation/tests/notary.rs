use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SignatureAlgorithm, date_time_ymd,
};
use ring::{
    rand::SystemRandom,
    rsa,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, RsaEncoding,
    },
};
use serde_json::{Value, json};

/// A new RSA key of 2048 bits, which `ring` can't make.
pub fn rsa_key() -> KeyPair {
    let arguments = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    let made = std::process::Command::new("openssl").args(arguments).output().expect("tests/install.sh installs openssl");
    KeyPair::from_pem(&String::from_utf8(made.stdout).unwrap()).unwrap()
}

/// Somebody with a key and certificates, who signs as `notation` does.
pub struct Notary {
    pub key: KeyPair,
    pub params: CertificateParams,
    /// From their own up, in DER.
    pub chain: Vec<Vec<u8>>,
}

impl Notary {
    /// A root.
    pub fn root(name: &str) -> Self {
        Self::rooted(authority(name), key())
    }

    /// Somebody who is their own root.
    pub fn rooted(params: CertificateParams, key: KeyPair) -> Self {
        let chain = vec![params.self_signed(&key).unwrap().der().to_vec()];
        Self { key, params, chain }
    }

    /// Somebody to whom this one has given a certificate.
    pub fn vouch_for(&self, params: CertificateParams, key: KeyPair) -> Self {
        let issuer = Issuer::from_params(&self.params, &self.key);
        let own = params.signed_by(&key, &issuer).unwrap().der().to_vec();
        Self { key, params, chain: [vec![own], self.chain.clone()].concat() }
    }

    /// A certificate of the chain, in PEM.
    pub fn pem(&self, place: usize) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(&self.chain[place]))
    }

    /// The envelope of these texts.
    pub fn envelope(&self, protected: &str, payload: &str) -> Value {
        let [protected, payload] = [protected, payload].map(|text| URL_SAFE_NO_PAD.encode(text));
        let signature = self.sign(format!("{protected}.{payload}").as_bytes());
        let x5c: Vec<String> = self.chain.iter().map(|der| STANDARD.encode(der)).collect();
        json!({
            "payload": payload,
            "protected": protected,
            "header": { "x5c": x5c, "io.cncf.notary.signingAgent": "tests" },
            "signature": URL_SAFE_NO_PAD.encode(signature),
        })
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let algorithm = self.key.algorithm();
        if *algorithm == PKCS_ECDSA_P256_SHA256 {
            self.sign_ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING, message)
        } else if *algorithm == rcgen::PKCS_ECDSA_P384_SHA384 {
            self.sign_ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING, message)
        } else {
            self.sign_rsa(&ring::signature::RSA_PSS_SHA256, message)
        }
    }

    /// The signature in ASN.1, as certificates have it and JWS has not.
    pub fn sign_asn1(&self, message: &[u8]) -> Vec<u8> {
        self.sign_ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING, message)
    }

    fn sign_ecdsa(&self, algorithm: &'static EcdsaSigningAlgorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, self.key.serialized_der(), &random).unwrap();
        key.sign(&random, message).unwrap().as_ref().to_vec()
    }

    pub fn sign_rsa(&self, padding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
        let key = rsa::KeyPair::from_pkcs8(self.key.serialized_der()).unwrap();
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(padding, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }
}

/// A key on P-256.
pub fn key() -> KeyPair {
    key_for(&PKCS_ECDSA_P256_SHA256)
}

pub fn key_for(algorithm: &'static SignatureAlgorithm) -> KeyPair {
    KeyPair::generate_for(algorithm).unwrap()
}

/// What a signer's certificate says, from 2020 to 2040.
pub fn signer(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2040, 1, 1));
    params.distinguished_name = rcgen::DistinguishedName::new();
    let parts = [(DnType::CountryName, "US"), (DnType::StateOrProvinceName, "WA"), (DnType::OrganizationName, "acme, inc.")];
    for (kind, value) in parts.into_iter().chain([(DnType::CommonName, name)]) {
        params.distinguished_name.push(kind, value);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    params
}

/// What an authority's certificate says, from 2020 to 2040.
pub fn authority(name: &str) -> CertificateParams {
    let mut params = signer(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages = Vec::new();
    params
}
