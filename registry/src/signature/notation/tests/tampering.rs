//! What was changed, made by hand or meant for something else.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD},
};
use proptest::prelude::*;

use super::*;

/// The attributes with one of them changed, or taken away by `null`.
fn with(name: &str, value: Value) -> Value {
    let mut attributes = attributes("ES256");
    match value {
        Value::Null => attributes.as_object_mut().unwrap().remove(name),
        value => attributes.as_object_mut().unwrap().insert(name.to_owned(), value),
    };
    attributes
}

#[test]
fn a_payload_names_the_image_and_nothing_else() {
    let acme = Acme::new();
    let trusts = trust(&acme.root.pem(0));
    let refused = |what: &str, payload: &str, why: &str| {
        let envelope = acme.signer.envelope(&attributes("ES256").to_string(), payload);
        super::refused(&trusts, what, &envelope.to_string(), why);
    };
    let other = Digest::of(Hash::Sha256, b"other");
    for (name, value) in [
        ("digest", json!(other.as_str())),
        ("digest", json!(IMAGE.as_str().to_uppercase())),
        ("size", json!(1235)),
        ("size", json!("1234")),
        ("mediaType", json!("application/vnd.oci.image.index.v1+json")),
        ("mediaType", Value::Null),
    ] {
        let mut payload = payload();
        payload["targetArtifact"][name] = value;
        refused(name, &payload.to_string(), "it is about another image");
    }
    let good = payload().to_string();
    let twice = good.replacen("\"digest\"", &format!("\"digest\":\"{other}\",\"digest\""), 1);
    refused("a digest twice", &twice, "it can't be read");
    refused("in other letters", &good.replacen("\"digest\"", &format!("\"Digest\":\"{other}\",\"digest\""), 1), "more than");
    refused("two targets", &good.replacen('{', "{\"TargetArtifact\":{},", 1), "more than");
    refused("no target", "{}", "it can't be read");
    refused("no JSON", "image", "it can't be read");
    let noted = good.replacen("\"digest\"", "\"annotations\":{\"build\":\"1\"},\"digest\"", 1);
    verify(&trusts, &acme.signer.envelope(&attributes("ES256").to_string(), &noted)).unwrap();
}

#[test]
fn attributes_are_known_and_critical_where_they_must_be() {
    let acme = Acme::new();
    let trusts = trust(&acme.root.pem(0));
    let signed = |attributes: &str| acme.signer.envelope(attributes, &payload().to_string()).to_string();
    let scheme = "io.cncf.notary.signingScheme";
    let expiry = |at: &str, critical: &[&str]| {
        let mut attributes = with("io.cncf.notary.expiry", at.into());
        attributes["crit"] = json!(critical);
        attributes
    };
    let both = [scheme, "io.cncf.notary.expiry"];
    let good = expiry("2026-07-01T00:00:00Z", &both).to_string();
    assert_eq!(verify_at(&trusts, &signed(&good), now()), Ok(at("2026-07-01T00:00:00Z")));
    let at_expiry = verify_at(&trusts, &signed(&good), at("2026-07-01T00:00:00Z")).unwrap_err().to_string();
    assert!(at_expiry.contains("it expired at 2026-07-01T00:00:00Z"), "{at_expiry}");
    verify_at(&trusts, &signed(&with("com.example.note", json!("x")).to_string()), now()).unwrap();
    for (what, attributes, why) in [
        ("no algorithm", with("alg", json!("none")), "\"none\", and its key signs in ES256"),
        ("a hash with a key", with("alg", json!("HS256")), "\"HS256\", and its key signs in ES256"),
        ("another curve", with("alg", json!("ES384")), "its key signs in ES256"),
        ("a key of another kind", with("alg", json!("PS256")), "its key signs in ES256"),
        ("an algorithm left out", with("alg", Value::Null), "it can't be read"),
        ("another payload type", with("cty", json!("application/json")), "not application/vnd.cncf.notary.payload.v1+json"),
        ("no payload type", with("cty", Value::Null), "not application/vnd.cncf.notary.payload.v1+json"),
        ("nothing critical", with("crit", Value::Null), "marks nothing as critical"),
        ("an empty list", with("crit", json!([])), "what must be critical"),
        ("one twice", with("crit", json!([scheme, scheme])), "what must be critical"),
        ("a registered one", with("crit", json!([scheme, "alg"])), "critical attribute \"alg\""),
        ("one that is not there", with("crit", json!(both)), "critical attribute \"io.cncf.notary.expiry\""),
        ("an unknown one", with("crit", json!([scheme, "com.example.x"])), "critical attribute \"com.example.x\""),
        ("an expiry that is not critical", expiry("2026-07-01T00:00:00Z", &[scheme]), "what must be critical"),
        ("an expiry that has passed", expiry("2026-05-31T00:00:00Z", &both), "it expired at 2026-05-31T00:00:00Z"),
        ("an expiry before it was signed", expiry("2026-04-01T00:00:00Z", &both), "expires before it was signed"),
        ("an expiry that is no time", expiry("soon", &both), "it can't be read"),
        ("another scheme", with(scheme, json!("notary.x509.other")), "none that is known"),
        ("no scheme", with(scheme, Value::Null), "none that is known"),
        ("no signing time", with("io.cncf.notary.signingTime", Value::Null), "its signing time is not"),
        (
            "two signing times",
            with("io.cncf.notary.authenticSigningTime", json!("2026-05-01T12:00:00Z")),
            "its signing time is not",
        ),
        ("a plugin", with("io.cncf.notary.verificationPlugin", json!("x")), "wants a plugin"),
        ("other letters", with("io.cncf.notary.Expiry", json!("2026-05-02T12:00:00Z")), "is not known here"),
        ("a payload that is not encoded", with("b64", json!(false)), "\"b64\", which is not known here"),
        ("a key in it", with("jwk", json!({})), "\"jwk\", which is not known here"),
        ("other letters of JWS", with("ALG", json!("none")), "\"ALG\", which is not known here"),
    ] {
        refused(&trusts, what, &signed(&attributes.to_string()), why);
    }
    let twice = attributes("ES256").to_string().replacen('{', "{\"alg\":\"none\",", 1);
    refused(&trusts, "a member twice", &signed(&twice), "it can't be read");
}

#[test]
fn an_envelope_is_one_thing_to_every_reader() {
    let acme = Acme::new();
    let trusts = trust(&acme.root.pem(0));
    let good = acme.signer.envelope(&attributes("ES256").to_string(), &payload().to_string());
    verify(&trusts, &good).unwrap();
    let with = |name: &str, value: Value| {
        let mut envelope = good.clone();
        envelope[name] = value;
        envelope.to_string()
    };
    let text = |name: &str| good[name].as_str().unwrap();
    let message = format!("{}.{}", text("protected"), text("payload"));
    let encode = |bytes: &[u8]| Value::from(URL_SAFE_NO_PAD.encode(bytes));
    let mut other = payload();
    other["targetArtifact"]["size"] = 1.into();
    let mac =
        ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, acme.signer.key.public_key_raw()), message.as_bytes());
    let colleague = acme.root.vouch_for(signer("colleague"), key());
    let theirs = colleague.envelope(&attributes("ES256").to_string(), &payload().to_string());
    let holds_not = "its signature does not hold";
    for (what, envelope, why) in [
        ("a payload that was swapped", with("payload", encode(other.to_string().as_bytes())), holds_not),
        ("attributes that were swapped", with("protected", encode(attributes("none").to_string().as_bytes())), holds_not),
        ("a stripped signature", with("signature", "".into()), holds_not),
        ("a colleague's signature", with("signature", theirs["signature"].clone()), holds_not),
        ("a colleague's certificate", with("header", theirs["header"].clone()), holds_not),
        ("a signature in ASN.1", with("signature", encode(&acme.signer.sign_asn1(message.as_bytes()))), holds_not),
        ("a hash with the public key", with("signature", encode(mac.as_ref())), holds_not),
        ("no signature", with("signature", Value::Null), "it can't be read"),
        ("padding", with("payload", Value::from(URL_SAFE.encode(payload().to_string() + " "))), "it can't be read"),
        ("a member more", with("signatures", json!([])), "it can't be read"),
        (
            "an algorithm beside the signed one",
            {
                let mut envelope = good.clone();
                envelope["header"]["alg"] = "none".into();
                envelope.to_string()
            },
            "its header has \"alg\"",
        ),
        ("a member twice", good.to_string().replacen('{', "{\"payload\":\"\",", 1), "it can't be read"),
        ("a chain twice", good.to_string().replacen("\"x5c\"", "\"x5c\":[],\"x5c\"", 1), "it can't be read"),
        ("no certificates", with("header", json!({})), "it has no certificates"),
        ("no certificate but bytes", with("header", json!({ "x5c": [STANDARD.encode("x")] })), "it can't be read"),
        ("an array", "[]".to_owned(), "it can't be read"),
        ("nothing", String::new(), "it can't be read"),
        ("too much", format!("{good}{}", " ".repeat(300_000)), "and 262144 are read"),
    ] {
        refused(&trusts, what, &envelope, why);
    }
}

proptest! {
    #[test]
    fn no_byte_of_an_envelope_can_be_changed(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        static ACME: LazyLock<Acme> = LazyLock::new(Acme::new);
        let mut header = ACME.signer.envelope(&attributes("ES256").to_string(), &payload().to_string());
        header["header"].as_object_mut().unwrap().remove("io.cncf.notary.signingAgent");
        let mut envelope = header.to_string().into_bytes();
        let place = place.index(envelope.len());
        prop_assume!(envelope[place] != byte);
        envelope[place] = byte;
        let image = Target { media_type: MANIFEST, digest: &IMAGE, size_bytes: 1234 };
        let trusts = trust(&ACME.root.pem(0));
        prop_assert!(trusts.verify(&envelope, Syntax::Jws, &image, now()).is_err(), "{}", String::from_utf8_lossy(&envelope));
    }
}
