use std::fmt;

use sigstore_verify::{
    SubjectAltName, VerificationPolicy, Verifier,
    trust_root::TrustedRoot,
    types::{Artifact, Bundle, Sha256Hash},
};

use super::{Vouched, provider};

/// Certificate authorities, logs and timestamp authorities that are believed.
pub struct SigstoreRoot {
    verifier: Verifier,
    /// Whether certificates must have been logged: where the root knows logs of certificates.
    logs_certificates: bool,
    /// Whether signatures must have been logged: where the root knows logs of signatures. Where it knows none, as GitHub's does not, when
    /// a signature was made is known by a timestamp of one of its authorities alone, and one is demanded.
    logs_signatures: bool,
}

impl SigstoreRoot {
    /// Reads a trusted root in JSON, or says why it is none.
    pub fn parse(json: &str) -> Result<Self, String> {
        provider::install();
        let root = TrustedRoot::from_json(json).map_err(|error| error.to_string())?;
        if root.tlogs.is_empty() && root.timestamp_authorities.is_empty() {
            return Err(
                "it has neither logs (tlogs) nor timestamp authorities, and nothing else says when something was signed".into()
            );
        }
        let verifier = Verifier::new(&root).map_err(|error| error.to_string())?;
        Ok(Self { verifier, logs_certificates: !root.ctlogs.is_empty(), logs_signatures: !root.tlogs.is_empty() })
    }

    /// Whom the certificate of a bundle is for, where the bundle is about this and holds.
    pub fn verify(&self, bundle: &Bundle, subject: Sha256Hash) -> Result<Vouched, String> {
        self.verify_artifact(bundle, subject.into())
    }

    /// Whom the certificate of a bundle is for, where the bundle is a signature of this message and holds: the certificate was good when
    /// the log says that it took the entry, which the log has signed, and the entry is of this signature, certificate and message.
    pub fn verify_message(&self, bundle: &Bundle, message: &[u8]) -> Result<Vouched, String> {
        provider::with_message(message, || self.verify_artifact(bundle, Artifact::Blob(message)))
    }

    fn verify_artifact(&self, bundle: &Bundle, artifact: Artifact<'_>) -> Result<Vouched, String> {
        let policy = VerificationPolicy::any_identity();
        let policy = if self.logs_certificates { policy } else { policy.skip_sct() };
        // The library demands a time that the root's log or authorities have signed all the same.
        let policy = if self.logs_signatures { policy } else { policy.skip_tlog_unsafe() };
        let verified = self.verifier.verify(artifact, bundle, &policy).map_err(|error| error.to_string())?;
        match (verified.identity(), verified.issuer()) {
            (Some(identity), Some(issuer)) => Ok(Vouched {
                identity: identity.as_str().to_owned(),
                is_uri: matches!(identity, SubjectAltName::Uri(_)),
                issuer: issuer.to_owned(),
            }),
            _ => Err("its certificate names no identity, or no issuer".to_owned()),
        }
    }
}

impl fmt::Debug for SigstoreRoot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SigstoreRoot").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use rcgen::{CustomExtension, SanType};
    use serde_json::{Value, json};
    use sigstore_trust_root::SigstoreInstance;

    use super::{
        super::notation::tests::{
            notary::{Notary, key, signer},
            stamper::{Stamping, stamper},
        },
        *,
    };

    const STATEMENT: &str = "application/vnd.in-toto+json";
    const SUBJECT: &str = "ab";
    const ISSUER: &str = "https://issuer.example.org";

    /// An authority for certificates and one for timestamps, without any log, as GitHub has them.
    struct Unlogged {
        authority: Notary,
        stamps: Notary,
    }

    impl Unlogged {
        fn new() -> Self {
            // The library wants those between say that they are for timestamps too, so there is none.
            let stamps = Notary::root("stamps root").vouch_for(stamper(&[], true), key());
            Self { authority: Notary::root("root"), stamps }
        }

        fn root(&self) -> Value {
            let chain = |notary: &Notary| {
                let certificates: Vec<_> = notary.chain.iter().map(|der| json!({ "rawBytes": STANDARD.encode(der) })).collect();
                json!([{
                    "subject": { "organization": "tests", "commonName": "tests" },
                    "uri": "http://localhost",
                    "certChain": { "certificates": certificates },
                    "validFor": { "start": "2021-01-01T00:00:00Z" },
                }])
            };
            json!({
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "certificateAuthorities": chain(&self.authority),
                "timestampAuthorities": chain(&self.stamps),
            })
        }

        /// A bundle without a log entry, stamped by these at these times.
        fn bundle(&self, stamped: &[(&Notary, &str)]) -> Bundle {
            let mut params = signer("ci");
            params.subject_alt_names.push(SanType::Rfc822Name("ci@example.org".try_into().unwrap()));
            let issuer = [&[0x0c, u8::try_from(ISSUER.len()).unwrap()], ISSUER.as_bytes()].concat();
            params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 57264, 1, 8], issuer));
            let signer = self.authority.vouch_for(params, key());
            let payload = json!({
                "_type": "https://in-toto.io/Statement/v1",
                "subject": [{ "name": "image", "digest": { "sha256": SUBJECT.repeat(32) } }],
                "predicateType": "https://example.org/predicate",
                "predicate": {},
            });
            let payload = payload.to_string();
            let signature =
                signer.sign_asn1(format!("DSSEv1 {} {STATEMENT} {} {payload}", STATEMENT.len(), payload.len()).as_bytes());
            let token = |(stamps, at): &(&Notary, &str)| STANDARD.encode(Stamping::of(&signature, at).by(stamps));
            let tokens: Vec<_> = stamped.iter().map(|stamped| json!({ "signedTimestamp": token(stamped) })).collect();
            let bundle = json!({
                "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
                "verificationMaterial": {
                    "certificate": { "rawBytes": STANDARD.encode(&signer.chain[0]) },
                    "timestampVerificationData": { "rfc3161Timestamps": tokens },
                },
                "dsseEnvelope": {
                    "payload": STANDARD.encode(&payload),
                    "payloadType": STATEMENT,
                    "signatures": [{ "sig": STANDARD.encode(&signature) }],
                },
            });
            Bundle::from_json(&bundle.to_string()).unwrap()
        }
    }

    #[test]
    fn without_logs_a_timestamp_of_the_root_s_authority_says_when() {
        let unlogged = Unlogged::new();
        let root = SigstoreRoot::parse(&unlogged.root().to_string()).unwrap();
        let subject = || Sha256Hash::from_hex(&SUBJECT.repeat(32)).unwrap();
        let verify = |stamped: &[(&Notary, &str)]| root.verify(&unlogged.bundle(stamped), subject());
        let vouched = verify(&[(&unlogged.stamps, "20250101000000Z")]).unwrap();
        assert_eq!((vouched.identity.as_str(), vouched.issuer.as_str()), ("ci@example.org", ISSUER));
        let other = Unlogged::new();
        for (what, stamped) in [
            ("no timestamp", &[][..]),
            ("another's timestamp", &[(&other.stamps, "20250101000000Z")][..]),
            ("before the authorities were good", &[(&unlogged.stamps, "20200601000000Z")][..]),
        ] {
            assert!(verify(stamped).is_err(), "{what}");
        }
        let stamped = other.bundle(&[(&unlogged.stamps, "20250101000000Z")]);
        assert!(root.verify(&stamped, subject()).is_err(), "a certificate of another");
        let bundle = unlogged.bundle(&[(&unlogged.stamps, "20250101000000Z")]);
        assert!(root.verify(&bundle, Sha256Hash::from_hex(&"cd".repeat(32)).unwrap()).is_err(), "another image");
    }

    #[test]
    fn a_root_with_logs_demands_an_entry_and_one_without_anything_is_none() {
        let unlogged = Unlogged::new();
        let mut logged = unlogged.root();
        let public: Value = serde_json::from_str(SigstoreInstance::PublicGood.embedded_trusted_root_json()).unwrap();
        logged["tlogs"] = public["tlogs"].clone();
        let root = SigstoreRoot::parse(&logged.to_string()).unwrap();
        let bundle = unlogged.bundle(&[(&unlogged.stamps, "20250101000000Z")]);
        assert!(root.verify(&bundle, Sha256Hash::from_hex(&SUBJECT.repeat(32)).unwrap()).is_err());
        let mut bare = unlogged.root();
        bare["timestampAuthorities"] = json!([]);
        let reason = SigstoreRoot::parse(&bare.to_string()).unwrap_err();
        assert!(reason.contains("neither logs (tlogs) nor timestamp authorities"), "{reason}");
    }

    #[test]
    fn github_s_root_has_no_logs_and_the_public_one_has() {
        let root = |instance: SigstoreInstance| SigstoreRoot::parse(instance.embedded_trusted_root_json()).unwrap();
        let (github, public) = (root(SigstoreInstance::GitHub), root(SigstoreInstance::PublicGood));
        assert!(!github.logs_signatures && !github.logs_certificates);
        assert!(public.logs_signatures && public.logs_certificates);
    }
}
