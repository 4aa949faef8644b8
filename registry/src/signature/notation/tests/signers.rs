//! Who is believed: chains, what certificates must say, times and signing schemes.

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    date_time_ymd,
};

use super::{
    notary::{key_for, rsa_key},
    *,
};

fn signed(notary: &Notary) -> Value {
    notary.envelope(&attributes("ES256").to_string(), &payload().to_string())
}

#[test]
fn a_certificate_anywhere_in_the_chain_is_trusted() {
    let acme = Acme::new();
    for place in [1, 2] {
        assert_eq!(verify(&trust(&acme.signer.pem(place)), &signed(&acme.signer)), Ok(at("2040-01-01T00:00:00Z")), "{place}");
    }
    let own = Notary::rooted(signer("own"), key());
    verify(&trust(&own.pem(0)), &signed(&own)).unwrap();
    refused(&trust(&acme.root.pem(0)), "its own root, which nobody trusts", &signed(&own).to_string(), "it is not by");
    let other = Notary::root("root").vouch_for(signer("ci"), key());
    refused(&trust(&acme.root.pem(0)), "a root of the same name", &signed(&other).to_string(), "it is not by");
}

#[test]
fn keys_on_both_curves_and_rsa_sign() {
    let p384 = Notary::rooted(signer("p384"), key_for(&PKCS_ECDSA_P384_SHA384));
    verify(&trust(&p384.pem(0)), &p384.envelope(&attributes("ES384").to_string(), &payload().to_string())).unwrap();
    let rsa = Notary::rooted(signer("rsa"), rsa_key());
    let trusts_rsa = trust(&rsa.pem(0));
    let good = rsa.envelope(&attributes("PS256").to_string(), &payload().to_string());
    verify(&trusts_rsa, &good).unwrap();
    for algorithm in ["PS384", "PS512", "RS256", "ES256", "HS256", "none"] {
        let envelope = rsa.envelope(&attributes(algorithm).to_string(), &payload().to_string());
        refused(&trusts_rsa, algorithm, &envelope.to_string(), "and its key signs in PS256");
    }
    let mut pkcs1 = good.clone();
    let message = format!("{}.{}", good["protected"].as_str().unwrap(), good["payload"].as_str().unwrap());
    let signature = rsa.sign_rsa(&ring::signature::RSA_PKCS1_SHA256, message.as_bytes());
    pkcs1["signature"] = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, signature).into();
    refused(&trusts_rsa, "another padding", &pkcs1.to_string(), "its signature does not hold");
    let ed25519 = Notary::rooted(signer("ed25519"), key_for(&PKCS_ED25519));
    let mut envelope = signed(&Notary::rooted(signer("p256"), key()));
    envelope["header"]["x5c"] = json!([base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &ed25519.chain[0])]);
    refused(&trust(&ed25519.pem(0)), "another kind of key", &envelope.to_string(), "a kind that is not taken");
}

#[test]
fn a_chain_is_whole_and_in_order() {
    let acme = Acme::new();
    let trusts = trust(&acme.root.pem(0));
    let [leaf, authority, root] = [0, 1, 2].map(|place| acme.signer.chain[place].clone());
    let stranger = Notary::root("stranger").vouch_for(signer("ci"), key());
    for (what, chain) in [
        ("no root", vec![&leaf, &authority]),
        ("the authority left out", vec![&leaf, &root]),
        ("in another order", vec![&leaf, &root, &authority]),
        ("one twice", vec![&leaf, &authority, &authority, &root]),
        ("a stranger's beside it", vec![&leaf, &authority, &stranger.chain[1], &root]),
        ("a stranger's above it", vec![&leaf, &authority, &root, &stranger.chain[1]]),
    ] {
        let notary = Notary { chain: chain.into_iter().cloned().collect(), ..Acme::new().signer };
        let mut envelope = signed(&acme.signer);
        envelope["header"]["x5c"] = signed(&notary)["header"]["x5c"].clone();
        let why = if what == "no root" { "not by" } else { "not to be trusted" };
        refused(&trusts, what, &envelope.to_string(), why);
    }
    let mut envelope = signed(&stranger);
    let mut chain = signed(&acme.signer)["header"]["x5c"].clone();
    chain[0] = envelope["header"]["x5c"][0].clone();
    envelope["header"]["x5c"] = chain;
    refused(&trusts, "a stranger's certificate under our authority's", &envelope.to_string(), "no chain for signing");
    envelope["header"]["x5c"] = json!([]);
    refused(&trusts, "no certificates", &envelope.to_string(), "0 certificates");
    envelope["header"]["x5c"] = vec![Value::from(""); 9].into();
    refused(&trusts, "too many certificates", &envelope.to_string(), "9 certificates");
    // Trust in the authority is none in whom it does not vouch for, though its certificate be there.
    let mut forged = signed(&stranger);
    let mut chain = forged["header"]["x5c"].as_array().unwrap().clone();
    chain.insert(1, signed(&acme.signer)["header"]["x5c"][1].clone());
    forged["header"]["x5c"] = chain.into();
    refused(&trust(&acme.signer.pem(1)), "our authority in a stranger's chain", &forged.to_string(), "no chain");
}

#[test]
fn certificates_are_for_signing_code_and_nothing_else() {
    let root = Notary::root("root");
    let trusts = trust(&root.pem(0));
    let change = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = signer("ci");
        change(&mut params);
        signed(&root.vouch_for(params, key())).to_string()
    };
    verify_at(&trusts, &change(&|params| params.extended_key_usages.clear()), now()).unwrap();
    verify_at(&trusts, &change(&|params| params.is_ca = IsCa::ExplicitNoCa), now()).unwrap();
    let (digital, purpose) = (KeyUsagePurpose::DigitalSignature, ExtendedKeyUsagePurpose::CodeSigning);
    for (what, envelope, why) in [
        ("no key usage", change(&|params| params.key_usages.clear()), "what its key is for"),
        (
            "only others",
            change(&|params| params.key_usages = vec![KeyUsagePurpose::ContentCommitment]),
            "digital signatures alone",
        ),
        (
            "more key usages",
            change(&|params| params.key_usages = vec![digital, KeyUsagePurpose::KeyEncipherment]),
            "digital signatures alone",
        ),
        (
            "signing certificates",
            change(&|params| params.key_usages = vec![digital, KeyUsagePurpose::KeyCertSign]),
            "digital signatures alone",
        ),
        ("TLS", change(&|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]), "something else"),
        (
            "TLS as well",
            change(&|params| params.extended_key_usages = vec![purpose.clone(), ExtendedKeyUsagePurpose::ClientAuth]),
            "something else",
        ),
        ("anything", change(&|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]), "something else"),
        ("an authority", change(&|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), "no images"),
    ] {
        refused(&trusts, what, &envelope, why);
    }
    let below = |params: CertificateParams| signed(&root.vouch_for(params, key()).vouch_for(signer("ci"), key())).to_string();
    let change = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = authority("authority");
        change(&mut params);
        below(params)
    };
    for (what, envelope, why) in [
        ("a signer in between", below(signer("between")), "no authority's"),
        ("no authority", change(&|params| params.is_ca = IsCa::NoCa), "no authority's"),
        ("an authority for something else", change(&|params| params.key_usages = vec![digital]), "signing certificates"),
        (
            "for TLS",
            change(&|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
            "no chain for signing",
        ),
    ] {
        refused(&trusts, what, &envelope, why);
    }
    let mut short = authority("short");
    short.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let short = Notary::rooted(short, key());
    verify(&trust(&short.pem(0)), &signed(&short.vouch_for(signer("ci"), key()))).unwrap();
    let long = short.vouch_for(authority("authority"), key()).vouch_for(signer("ci"), key());
    refused(&trust(&short.pem(0)), "a chain that is too long", &signed(&long).to_string(), "more authorities");
}

#[test]
fn every_certificate_must_be_valid_now() {
    for place in 0..3 {
        let dated = |this: usize, mut params: CertificateParams| {
            if this == place {
                params.not_after = date_time_ymd(2026, 1, 1);
            }
            params
        };
        let root = Notary::rooted(dated(2, authority("root")), key());
        let notary = root.vouch_for(dated(1, authority("authority")), key()).vouch_for(dated(0, signer("ci")), key());
        let (trusts, envelope) = (trust(&root.pem(0)), signed(&notary).to_string());
        refused(&trusts, "an expired certificate", &envelope, "expired at 2026-01-01T00:00:00Z");
        assert_eq!(verify_at(&trusts, &envelope, at("2025-01-01T00:00:00Z")), Ok(at("2026-01-01T00:00:00Z")));
        let early = verify_at(&trusts, &envelope, at("2019-01-01T00:00:00Z")).unwrap_err().to_string();
        assert!(early.contains("is valid from 2020-01-01T00:00:00Z on"), "{early}");
    }
}

#[test]
fn a_certificate_may_have_no_end() {
    let endless = |mut params: CertificateParams| {
        params.not_after = date_time_ymd(9999, 12, 31);
        params
    };
    let root = Notary::rooted(endless(authority("root")), key());
    let notary = root.vouch_for(endless(signer("ci")), key());
    assert_eq!(verify_at(&trust(&root.pem(0)), &signed(&notary).to_string(), now()), Ok(Timestamp::MAX));
}

#[test]
fn a_signing_authority_is_believed_on_the_time_and_nobody_else() {
    let root = Notary::root("root");
    let mut params = signer("ci");
    params.not_after = date_time_ymd(2026, 1, 1);
    let notary = root.vouch_for(params, key());
    let envelope = |signed_at: &str| {
        let mut attributes = attributes("ES256");
        let members = attributes.as_object_mut().unwrap();
        members.remove("io.cncf.notary.signingTime");
        members.insert("io.cncf.notary.signingScheme".into(), "notary.x509.signingAuthority".into());
        members.insert("io.cncf.notary.authenticSigningTime".into(), signed_at.into());
        members.insert("crit".into(), json!(["io.cncf.notary.authenticSigningTime", "io.cncf.notary.signingScheme"]));
        notary.envelope(&attributes.to_string(), &payload().to_string()).to_string()
    };
    let (good, late) = (envelope("2025-06-01T00:00:00Z"), envelope("2026-02-01T00:00:00Z"));
    let authority = trust_in("signingAuthority", &root.pem(0), &["*"]);
    assert_eq!(verify_at(&authority, &good, now()), Ok(Timestamp::MAX));
    refused(&authority, "signed when the certificate had expired", &late, "expired at 2026-01-01T00:00:00Z");
    refused(&trust(&root.pem(0)), "no signing authority", &good, "in no trust store for its signing scheme");
    let fresh = signed(&root.vouch_for(signer("ci"), key())).to_string();
    refused(&authority, "no signing authority's signature", &fresh, "in no trust store for its signing scheme");
}
