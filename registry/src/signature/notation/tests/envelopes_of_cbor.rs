//! COSE: the same signatures in CBOR.

use coset::{
    CborSerializable as _, CoseSign1, CoseSign1Builder, Header, HeaderBuilder, RegisteredLabelWithPrivate,
    TaggedCborSerializable as _, cbor::Value as Cbor, iana,
};
use proptest::prelude::*;

use super::{
    stamper::{Stamping, stamps},
    *,
};

const SCHEME: &str = "io.cncf.notary.signingScheme";
const SIGNED_AT: &str = "io.cncf.notary.signingTime";
const EXPIRY: &str = "io.cncf.notary.expiry";

fn time(text: &str) -> Cbor {
    Cbor::Tag(1, Box::new(at(text).as_second().into()))
}

fn critical(name: &str) -> RegisteredLabelWithPrivate<iana::HeaderParameter> {
    RegisteredLabelWithPrivate::Text(name.to_owned())
}

fn attributes() -> HeaderBuilder {
    HeaderBuilder::new()
        .algorithm(iana::Algorithm::ES256)
        .add_critical_label(critical(SCHEME))
        .content_type("application/vnd.cncf.notary.payload.v1+json".to_owned())
        .text_value(SCHEME.to_owned(), "notary.x509".into())
        .text_value(SIGNED_AT.to_owned(), time("2026-05-01T12:00:00Z"))
}

fn chain(notary: &Notary) -> Header {
    let chain = notary.chain.iter().map(|der| Cbor::Bytes(der.clone())).collect();
    HeaderBuilder::new().value(33, Cbor::Array(chain)).text_value("io.cncf.notary.signingAgent".into(), "tests".into()).build()
}

fn envelope(notary: &Notary, protected: Header, payload: &str) -> CoseSign1 {
    let builder = CoseSign1Builder::new().protected(protected).unprotected(chain(notary));
    builder.payload(payload.as_bytes().to_vec()).create_signature(&[], |message| notary.sign(message)).build()
}

fn verify(trust: &Trust, envelope: &[u8]) -> Result<Timestamp, Refuted> {
    let image = Target { media_type: MANIFEST, digest: &IMAGE, size_bytes: 1234 };
    trust.verify(envelope, Syntax::Cose, &image, now())
}

#[track_caller]
fn refused(trust: &Trust, what: &str, envelope: CoseSign1, why: &str) {
    let refuted = verify(trust, &envelope.to_tagged_vec().unwrap()).expect_err(what);
    assert!(refuted.to_string().contains(why), "{what}: {refuted}");
}

#[test]
fn it_says_what_json_says() {
    let acme = Acme::new();
    let trusts = trust(&acme.root.pem(0));
    let good = envelope(&acme.signer, attributes().build(), &payload().to_string()).to_tagged_vec().unwrap();
    assert_eq!(verify(&trusts, &good), Ok(at("2040-01-01T00:00:00Z")));
    assert!(Syntax::Cose.is_of(&good) && !Syntax::Jws.is_of(&good));
    let expiring = attributes().add_critical_label(critical(EXPIRY)).text_value(EXPIRY.into(), time("2026-07-01T00:00:00Z"));
    let expiring = envelope(&acme.signer, expiring.build(), &payload().to_string()).to_tagged_vec().unwrap();
    assert_eq!(verify(&trusts, &expiring), Ok(at("2026-07-01T00:00:00Z")));
    let mut stamped = envelope(&acme.signer, attributes().build(), &payload().to_string());
    let stamps = stamps();
    let token = Stamping::of(&stamped.signature, "20260501120000Z").by(&stamps);
    let header = HeaderBuilder::new().text_value("io.cncf.notary.timestampSignature".into(), Cbor::Bytes(token));
    stamped.unprotected.rest.extend(header.build().rest);
    let find = |name: &str| Some(store(&if name == "stamps" { stamps.pem(2) } else { acme.root.pem(0) }));
    let stores = ["ca:acme".to_owned(), "tsa:stamps".to_owned()];
    let trusts_stamps = Trust::new(&stores, &["*".to_owned()], find).unwrap();
    assert_eq!(verify(&trusts_stamps, &stamped.clone().to_tagged_vec().unwrap()), Ok(Timestamp::MAX));
    stamped.signature.push(0);
    refused(&trusts, "a longer signature", stamped, "its signature does not hold");
    let own = Notary::rooted(signer("own"), key());
    let mut alone = envelope(&own, attributes().build(), &payload().to_string());
    alone.unprotected = HeaderBuilder::new().value(33, Cbor::Bytes(own.chain[0].clone())).build();
    verify(&trust(&own.pem(0)), &alone.to_tagged_vec().unwrap()).unwrap();
}

#[test]
fn what_was_tampered_with_is_refused() {
    let acme = Acme::new();
    let trusts = trust(&acme.root.pem(0));
    let good = || envelope(&acme.signer, attributes().build(), &payload().to_string());
    let signed = |protected: HeaderBuilder| envelope(&acme.signer, protected.build(), &payload().to_string());
    let with = |change: &dyn Fn(&mut CoseSign1)| {
        let mut envelope = good();
        change(&mut envelope);
        envelope
    };
    let colleague = acme.root.vouch_for(signer("colleague"), key());
    let mut other = payload();
    other["targetArtifact"]["digest"] = Digest::of(Hash::Sha256, b"other").as_str().into();
    let other = other.to_string();
    let expired = attributes().add_critical_label(critical(EXPIRY)).text_value(EXPIRY.into(), time("2026-05-31T00:00:00Z"));
    let bare = |name: &str| {
        let mut header = attributes().build();
        header.rest.retain(|(label, _)| *label != coset::Label::Text(name.to_owned()));
        envelope(&acme.signer, header, &payload().to_string())
    };
    for (what, envelope, why) in [
        ("another image", envelope(&acme.signer, attributes().build(), &other), "it is about another image"),
        ("a payload that was swapped", with(&|envelope| envelope.payload = Some(other.clone().into_bytes())), "does not hold"),
        ("a payload left out", with(&|envelope| envelope.payload = None), "it can't be read"),
        ("a stripped signature", with(&|envelope| envelope.signature.clear()), "does not hold"),
        ("a colleague's certificate", with(&|envelope| envelope.unprotected = chain(&colleague)), "does not hold"),
        ("no certificates", with(&|envelope| envelope.unprotected = Header::default()), "it has no certificates"),
        (
            "an algorithm beside",
            with(&|envelope| envelope.unprotected.alg = Some(coset::Algorithm::Assigned(iana::Algorithm::ES256))),
            "not signed",
        ),
        ("a number beside", with(&|envelope| envelope.unprotected.rest.push((coset::Label::Int(34), Cbor::Null))), "not signed"),
        (
            "a stranger",
            envelope(&Notary::rooted(signer("x"), key()), attributes().build(), &payload().to_string()),
            "it is not by",
        ),
        ("another algorithm", signed(attributes().algorithm(iana::Algorithm::ES384)), "\"ES384\", and its key signs in ES256"),
        ("a hash with a key", signed(attributes().algorithm(iana::Algorithm::HMAC_256_256)), "and its key signs in ES256"),
        ("another payload type", signed(attributes().content_type("text/plain".into())), "its payload is text/plain"),
        ("something critical", signed(attributes().add_critical(iana::HeaderParameter::Kid)), "is not there, or not known"),
        ("a key's name", signed(attributes().key_id(vec![1])), "more than is known"),
        ("a plugin", signed(attributes().text_value("io.cncf.notary.verificationPlugin".into(), "x".into())), "wants a plugin"),
        ("expired", signed(expired), "it expired at 2026-05-31T00:00:00Z"),
        (
            "an expiry that is not critical",
            signed(attributes().text_value(EXPIRY.into(), time("2026-07-01T00:00:00Z"))),
            "must be critical",
        ),
        ("an expiry that is no time", signed(attributes().text_value(EXPIRY.into(), 1.into())), "it can't be read"),
        ("no scheme", bare(SCHEME), "none that is known"),
        ("no signing time", bare(SIGNED_AT), "its signing time is not"),
    ] {
        refused(&trusts, what, envelope, why);
    }
    let mut trailing = good().to_tagged_vec().unwrap();
    trailing.push(0);
    for (what, content) in [
        ("no tag", good().to_vec().unwrap()),
        ("something after it", trailing),
        ("JSON", super::payload().to_string().into_bytes()),
        ("nothing", Vec::new()),
    ] {
        assert_eq!(verify(&trusts, &content), Err(Refuted::Unreadable), "{what}");
        assert!(!Syntax::Cose.is_of(&content), "{what}");
    }
}

/// A label twice, which `coset` writes no more than it reads.
#[test]
fn no_label_is_there_twice() {
    let acme = Acme::new();
    let trusts = trust(&acme.root.pem(0));
    let protected = Cbor::Map(vec![(Cbor::from(1), Cbor::from(-7)), (Cbor::from(1), Cbor::from(-7))]);
    let mut bytes = Vec::new();
    coset::cbor::into_writer(&protected, &mut bytes).unwrap();
    let parts = vec![Cbor::Bytes(bytes), Cbor::Map(Vec::new()), Cbor::Bytes(b"{}".to_vec()), Cbor::Bytes(Vec::new())];
    let mut content = Vec::new();
    coset::cbor::into_writer(&Cbor::Tag(18, Box::new(Cbor::Array(parts))), &mut content).unwrap();
    assert_eq!(verify(&trusts, &content), Err(Refuted::Unreadable));
}

proptest! {
    #[test]
    fn no_byte_of_it_can_be_changed(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        static ACME: LazyLock<Acme> = LazyLock::new(Acme::new);
        let mut good = envelope(&ACME.signer, attributes().build(), &payload().to_string());
        good.unprotected.rest.pop();
        let mut bytes = good.to_tagged_vec().unwrap();
        let place = place.index(bytes.len());
        prop_assume!(bytes[place] != byte);
        bytes[place] = byte;
        prop_assert!(verify(&trust(&ACME.root.pem(0)), &bytes).is_err(), "{}", place);
    }
}
