//! When something was signed, by whom else.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rcgen::{IsCa, KeyPair, date_time_ymd};

use super::{
    notary::rsa_key,
    stamper::{self, STAMP, Stamping, accuracy, extension, stamper, stamps},
    *,
};
use crate::signature::VerifyTimestamp;

const DURING: &str = "20260501120000Z";

/// A signer whose certificate was good in the year before the middle of May, and an authority that stamps.
struct Office {
    signer: Notary,
    stamps: Notary,
}

impl Office {
    fn new() -> Self {
        let mut params = signer("ci");
        (params.not_before, params.not_after) = (date_time_ymd(2025, 5, 15), date_time_ymd(2026, 5, 15));
        Self { signer: Notary::root("root").vouch_for(params, key()), stamps: stamps() }
    }

    fn trust(&self) -> Trust {
        trust_in_stamps(&self.signer.pem(1), &self.stamps.pem(2))
    }

    fn envelope(&self) -> Value {
        self.signer.envelope(&attributes("ES256").to_string(), &payload().to_string())
    }

    fn stamped(&self, at: &str, more: Vec<u8>) -> String {
        let envelope = self.envelope();
        let stamping = Stamping { more, ..Stamping::of(&signature(&envelope), at) };
        with(&envelope, &stamping.by(&self.stamps))
    }
}

#[test]
fn of_two_roots_of_one_key_the_one_that_was_valid_counts() {
    let [mut old, mut renewed] = [authority("stamps root"), authority("stamps root")];
    (old.not_after, renewed.not_before) = (date_time_ymd(2026, 1, 1), date_time_ymd(2026, 1, 1));
    let old = Notary::rooted(old, key());
    let renewed = Notary::rooted(renewed, KeyPair::from_pem(&old.key.serialize_pem()).unwrap());
    let office = Office { stamps: renewed.vouch_for(stamper(&[], true), key()), ..Office::new() };
    let stamped = office.stamped(DURING, Vec::new());
    for roots in [[&old, &renewed], [&renewed, &old]] {
        let roots = roots.map(|root| root.pem(0)).concat();
        assert_eq!(verify_at(&trust_in_stamps(&office.signer.pem(1), &roots), &stamped, now()), Ok(Timestamp::MAX));
    }
}

fn trust_in_stamps(authorities: &str, stamps: &str) -> Trust {
    let stores = ["ca:acme".to_owned(), "tsa:stamps".to_owned()];
    let find = |name: &str| Some(Arc::new(TrustStore::parse(name, if name == "stamps" { stamps } else { authorities }).unwrap()));
    Trust::new(&stores, &["*".to_owned()], find).unwrap()
}

fn signature(envelope: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(envelope["signature"].as_str().unwrap()).unwrap()
}

fn with(envelope: &Value, token: &[u8]) -> String {
    let mut envelope = envelope.clone();
    envelope["header"]["io.cncf.notary.timestampSignature"] = STANDARD.encode(token).into();
    envelope.to_string()
}

#[test]
fn what_was_signed_in_time_stands() {
    let office = Office::new();
    let (trusts, stamped) = (office.trust(), office.stamped(DURING, Vec::new()));
    assert_eq!(verify_at(&trusts, &stamped, now()), Ok(Timestamp::MAX));
    assert_eq!(
        verify_at(&trusts, &stamped, at("2126-01-01T00:00:00Z")),
        Ok(Timestamp::MAX),
        "though the authority's has expired"
    );
    refused(&trust(&office.signer.pem(1)), "whom nobody asked to stamp", &stamped, "expired at 2026-05-15T00:00:00Z");
    refused(&trusts, "stamped when it had expired", &office.stamped("20260520000000Z", Vec::new()), "expired at 2026-05-15");
    refused(&trusts, "stamped before it was", &office.stamped("20240520000000Z", Vec::new()), "is valid from 2025-05-15");
    let mut expiring = attributes("ES256");
    expiring["io.cncf.notary.expiry"] = "2026-06-15T00:00:00Z".into();
    expiring["crit"] = json!(["io.cncf.notary.signingScheme", "io.cncf.notary.expiry"]);
    let envelope = office.signer.envelope(&expiring.to_string(), &payload().to_string());
    let stamped = with(&envelope, &Stamping::of(&signature(&envelope), DURING).by(&office.stamps));
    assert_eq!(verify_at(&trusts, &stamped, now()), Ok(at("2026-06-15T00:00:00Z")), "its own end holds");
    let late = verify_at(&trusts, &stamped, at("2026-06-15T00:00:00Z")).unwrap_err().to_string();
    assert!(late.contains("it expired at 2026-06-15"), "{late}");
}

#[test]
fn timestamps_are_looked_at_always_or_where_they_must_be() {
    let office = Office::new();
    let (plain, stamped) = (office.envelope().to_string(), office.stamped(DURING, Vec::new()));
    let before = at("2026-05-02T00:00:00Z");
    let always = office.trust().verifying_timestamps(VerifyTimestamp::Always).unwrap();
    assert!(verify_at(&always, &plain, before).unwrap_err().to_string().contains("it has no timestamp"));
    assert_eq!(verify_at(&always, &stamped, before), Ok(Timestamp::MAX));
    let after = office.trust().verifying_timestamps(VerifyTimestamp::AfterCertExpiry).unwrap();
    for envelope in [&plain, &stamped, &with(&office.envelope(), b"none")] {
        assert_eq!(verify_at(&after, envelope, before), Ok(at("2026-05-15T00:00:00Z")));
    }
    assert_eq!(verify_at(&after, &stamped, now()), Ok(Timestamp::MAX));
    refused(&after, "no timestamp when it has expired", &plain, "it has no timestamp");
    let without = trust(&office.signer.pem(1)).verifying_timestamps(VerifyTimestamp::Always).unwrap_err();
    assert!(without.contains("without a tsa:"), "{without}");
}

#[test]
fn all_of_the_time_that_a_timestamp_may_mean_counts() {
    let office = Office::new();
    let trusts = office.trust();
    for (at, more, is_good) in [
        ("20260515000000Z", Vec::new(), true),
        ("20260515000000.001Z", Vec::new(), false),
        ("20260515000000Z", accuracy(0, 1), false),
        ("20260514235959.999Z", accuracy(0, 1), true),
        ("20260514235958Z", accuracy(2, 1), false),
        ("20250515000000Z", Vec::new(), true),
        ("20250515000001Z", accuracy(1, 0), true),
        ("20250515000001Z", accuracy(1, 1), false),
    ] {
        let verified = verify_at(&trusts, &office.stamped(at, more), now());
        assert_eq!(verified.is_ok(), is_good, "{at}: {verified:?}");
    }
    let envelope = office.envelope();
    let message = signature(&envelope);
    let baseline = Stamping { policy: "0.4.0.2023.1.1", ..Stamping::of(&message, "20260514235959.5Z") };
    refused(&trusts, "a second is meant", &with(&envelope, &baseline.by(&office.stamps)), "expired at 2026-05-15");
    let said = Stamping { more: accuracy(0, 100), ..baseline };
    verify_at(&trusts, &with(&envelope, &said.by(&office.stamps)), now()).unwrap();
}

#[test]
fn a_timestamp_is_of_this_signature_and_nothing_else() {
    let office = Office::new();
    let (trusts, envelope) = (office.trust(), office.envelope());
    let message = signature(&envelope);
    let good = || Stamping::of(&message, DURING);
    let refused = |what: &str, stamping: Stamping, why: &str| {
        super::refused(&trusts, what, &with(&envelope, &stamping.by(&office.stamps)), why);
    };
    verify_at(&trusts, &with(&envelope, &Stamping { more: extension(false), ..good() }.by(&office.stamps)), now()).unwrap();
    refused("of another signature", Stamping::of(&signature(&Office::new().envelope()), DURING), "is of another signature");
    refused("of what is signed", Stamping::of(payload().to_string().as_bytes(), DURING), "is of another signature");
    refused("another hash", Stamping { hash: "2.16.840.1.101.3.4.2.2", ..good() }, "is of another signature");
    refused("SHA-1", Stamping { hash: "1.3.14.3.2.26", ..good() }, "a digest that is not taken");
    refused("a critical extension", Stamping { more: extension(true), ..good() }, "critical extension");
    refused("fields twice", Stamping { more: accuracy(1, 1).repeat(2), ..good() }, "can't be read");
    refused("no time", Stamping { at: "2026-05-01T12:00Z".into(), ..good() }, "can't be read");
    refused("signed as data", Stamping { content_type: "1.2.840.113549.1.7.1", ..good() }, "signed as something else");
    for (what, without) in [
        ("no content type", stamper::CONTENT_TYPE),
        ("no digest", stamper::MESSAGE_DIGEST),
        ("no certificate named", stamper::SIGNING_CERTIFICATE),
    ] {
        refused(what, Stamping { without: Some(without), ..good() }, "has not the attribute");
    }
    super::refused(&trusts, "bytes", &with(&envelope, STAMP.as_bytes()), "can't be read");
    super::refused(&trusts, "more after it", &with(&envelope, &[good().by(&office.stamps), vec![0]].concat()), "can't be read");
    let mut text = envelope.clone();
    text["header"]["io.cncf.notary.timestampSignature"] = "no base64".into();
    super::refused(&trusts, "no bytes", &text.to_string(), "it can't be read");
}

#[test]
fn no_bit_of_what_is_stamped_or_signed_can_be_changed() {
    let office = Office::new();
    let (trusts, envelope) = (office.trust(), office.envelope());
    let stamping = Stamping::of(&signature(&envelope), DURING);
    let (token, content) = (stamping.by(&office.stamps), stamping.content());
    let start = token.windows(content.len()).position(|part| part == content).unwrap();
    // The attributes and the signature stand at the end, before them what names the signer by another way, and is not needed.
    let attributes = token.windows(3).rposition(|part| part == [0x31, 0x0d, 0x06]).unwrap();
    for place in 0..token.len() {
        let mut changed = token.clone();
        changed[place] ^= 1;
        let verified = verify_at(&trusts, &with(&envelope, &changed), now());
        let is_signed = (start..start + content.len()).contains(&place) || place >= attributes;
        assert!(verified.is_err() || !is_signed, "byte {place} of {}: {verified:?}", token.len());
    }
}

#[test]
fn who_stamps_must_be_trusted_with_it() {
    let office = Office::new();
    let (trusts, envelope) = (office.trust(), office.envelope());
    let message = signature(&envelope);
    let by = |authority: &Notary| with(&envelope, &Stamping::of(&message, DURING).by(authority));
    refused(&trusts, "another authority of the same names", &by(&stamps()), "is by no authority of tsa:stamps");
    refused(&trusts, "the signer", &by(&office.signer), "is by no authority of tsa:stamps");
    let few = Stamping { certificates: 1, ..Stamping::of(&message, DURING) };
    refused(&trusts, "no way to the root", &with(&envelope, &few.by(&office.stamps)), "is by no authority of tsa:stamps");
    let none = Stamping { certificates: 0, ..Stamping::of(&message, DURING) };
    refused(&trusts, "no certificate", &with(&envelope, &none.by(&office.stamps)), "have its authority's certificate with it");
    let root = Notary::root("stamps root");
    let stamped_by = |params, key| {
        let authority = root.vouch_for(params, key);
        let trusts = trust_in_stamps(&office.signer.pem(1), &root.pem(0));
        verify_at(&trusts, &by(&authority), now()).map_err(|refuted| refuted.to_string())
    };
    assert_eq!(stamped_by(stamper(&[], true), key()), Ok(Timestamp::MAX));
    let change = |change: &dyn Fn(&mut rcgen::CertificateParams)| {
        let mut params = stamper(&[], true);
        change(&mut params);
        params
    };
    let mut later = stamper(&[], true);
    later.not_before = date_time_ymd(2026, 5, 2);
    let mut earlier = stamper(&[], true);
    earlier.not_after = date_time_ymd(2026, 5, 1);
    for (what, params, why) in [
        ("for signing code", signer("stamps"), "is by no authority"),
        ("for anything", change(&|params| params.custom_extensions.clear()), "not one for timestamps alone"),
        ("not critical", stamper(&[], false), "not one for timestamps alone"),
        ("for something else too", stamper(&["1.3.6.1.5.5.7.3.3"], true), "not one for timestamps alone"),
        ("no key usage", change(&|params| params.key_usages.clear()), "what its key is for"),
        ("an authority", change(&|params| params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained)), "is by no authority"),
        ("not yet valid then", later, "CertNotValidYet"),
        ("expired then", earlier, "CertExpired"),
    ] {
        let refuted = stamped_by(params, key()).expect_err(what);
        assert!(refuted.contains(why), "{what}: {refuted}");
    }
    // Its key in a certificate that it does not name.
    let (own, other) = (office.stamps.chain[0].clone(), stamps().chain[0].clone());
    let named = Stamping { certificate: Some(other), ..Stamping::of(&message, DURING) };
    refused(&trusts, "another's certificate", &with(&envelope, &named.by(&office.stamps)), "have its authority's certificate");
    let thief = Notary { chain: office.stamps.chain.clone(), ..stamps() };
    let named = Stamping { certificate: Some(own), ..Stamping::of(&message, DURING) };
    refused(&trusts, "another's key", &with(&envelope, &named.by(&thief)), "has a signature that does not hold");
}

#[test]
fn an_authority_with_an_rsa_key_stamps_too() {
    let office = Office::new();
    let root = Notary::root("stamps root");
    let rsa = root.vouch_for(stamper(&[], true), rsa_key());
    let envelope = office.envelope();
    let stamping = Stamping { is_rsa: true, ..Stamping::of(&signature(&envelope), DURING) };
    let trusts = trust_in_stamps(&office.signer.pem(1), &root.pem(0));
    assert_eq!(verify_at(&trusts, &with(&envelope, &stamping.by(&rsa)), now()), Ok(Timestamp::MAX));
}
