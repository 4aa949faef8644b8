//! What was taken back.

use rcgen::{
    CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use x509_cert::{Certificate, der::Decode as _};

use super::{
    notary::rsa_key,
    stamper::{Stamping, stamps},
    *,
};

const NEXT: (i32, u8, u8) = (2026, 7, 1);

/// What an authority has revoked, as of a day in May and until another day.
fn list_of(authority: &Notary, revoked: &[&Notary], day: u8, next: (i32, u8, u8)) -> String {
    params_of(revoked, day, next).signed_by(&Issuer::from_params(&authority.params, &authority.key)).unwrap().pem().unwrap()
}

fn params_of(revoked: &[&Notary], day: u8, next: (i32, u8, u8)) -> CertificateRevocationListParams {
    let entry = |notary: &&Notary| {
        let certificate = Certificate::from_der(&notary.chain[0]).unwrap().tbs_certificate;
        RevokedCertParams {
            serial_number: SerialNumber::from_slice(certificate.serial_number.as_bytes()),
            revocation_time: date_time_ymd(2026, 5, 1),
            reason_code: None,
            invalidity_date: None,
        }
    };
    CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 5, day),
        next_update: date_time_ymd(next.0, next.1, next.2),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked.iter().map(entry).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
}

fn list(authority: &Notary, revoked: &[&Notary]) -> String {
    list_of(authority, revoked, 1, NEXT)
}

struct Office {
    root: Notary,
    authority: Notary,
    ci: Notary,
    release: Notary,
}

impl Office {
    fn new() -> Self {
        let root = Notary::root("root");
        let authority = root.vouch_for(super::authority("authority"), key());
        let [ci, release] = ["ci", "release"].map(|name| authority.vouch_for(signer(name), key()));
        Self { root, authority, ci, release }
    }

    fn trust(&self, lists: &str) -> Trust {
        let store = TrustStore::parse("acme", &self.root.pem(0)).unwrap().with_revocation_lists(lists).unwrap();
        let store = Arc::new(store);
        Trust::new(&["ca:acme".to_owned()], &["*".to_owned()], |_| Some(store.clone())).unwrap()
    }

    fn verify(&self, notary: &Notary, lists: &str) -> Result<Timestamp, String> {
        let envelope = notary.envelope(&attributes("ES256").to_string(), &payload().to_string());
        super::verify(&self.trust(lists), &envelope).map_err(|refuted| refuted.to_string())
    }

    #[track_caller]
    fn refused(&self, what: &str, notary: &Notary, lists: &[String], why: &str) {
        let refuted = self.verify(notary, &lists.concat()).expect_err(what);
        assert!(refuted.contains(why), "{what}: {refuted}");
    }
}

#[test]
fn a_certificate_that_was_revoked_is_refused() {
    let office = Office::new();
    let Office { root, authority, ci, release } = &office;
    let good = [list(root, &[]), list(authority, &[])].concat();
    assert_eq!(office.verify(ci, &good), Ok(at("2026-07-01T00:00:00Z")), "it stands until there may be news");
    let revoked = [list(root, &[]), list(authority, &[ci])];
    office.refused("a signer's", ci, &revoked, "one of its certificates was revoked");
    office.verify(release, &revoked.concat()).unwrap();
    for signer in [ci, release] {
        office.refused("an authority's", signer, &[list(root, &[authority]), list(authority, &[])], "was revoked");
    }
    let own = Notary::rooted(signer("own"), rsa_key());
    let store = TrustStore::parse("own", &own.pem(0)).unwrap().with_revocation_lists(&good).unwrap();
    let store = Arc::new(store);
    let trusts = Trust::new(&["ca:own".to_owned()], &["*".to_owned()], |_| Some(store.clone())).unwrap();
    super::verify(&trusts, &own.envelope(&attributes("PS256").to_string(), &payload().to_string())).unwrap();
}

#[test]
fn what_is_not_known_to_be_good_is_refused() {
    let office = Office::new();
    let Office { root, authority, ci, .. } = &office;
    let past = list_of(authority, &[], 1, (2026, 6, 1));
    let impostor = Notary { key: key(), params: authority.params.clone(), chain: authority.chain.clone() };
    let mut forged = params_of(&[], 1, NEXT);
    forged.key_identifier_method = KeyIdMethod::PreSpecified(authority.params.key_identifier(&authority.key));
    let forged = forged.signed_by(&Issuer::from_params(&impostor.params, &impostor.key)).unwrap().pem().unwrap();
    for (what, lists, why) in [
        ("no list of the root's", [list(authority, &[]), String::new()], "have none of one of its authorities"),
        ("no list of the authority's", [list(root, &[]), String::new()], "have none of one of its authorities"),
        (
            "a list of somebody else's",
            [list(root, &[]), list(&Notary::root("other"), &[])],
            "have none of one of its authorities",
        ),
        ("a list past its time", [list(root, &[]), past.clone()], "since 2026-06-01T00:00:00Z there should be a newer list"),
        ("a list by another key", [list(root, &[]), list(&impostor, &[])], "have none of one of its authorities"),
        ("a list by another key as theirs", [list(root, &[]), forged], "is not by the authority that it names"),
        ("the root's past its time", [list_of(root, &[], 1, (2026, 5, 31)), list(authority, &[])], "since 2026-05-31"),
    ] {
        office.refused(what, ci, &lists, why);
    }
    // One whose certificate does not say that it may sign lists, and does.
    let mut params = super::authority("authority");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let mut may_not = office.root.vouch_for(params, key());
    let ci = may_not.vouch_for(signer("ci"), key());
    may_not.params.key_usages.push(KeyUsagePurpose::CrlSign);
    office.refused("one that may not", &ci, &[list(root, &[]), list(&may_not, &[])], "that may not sign such");
}

#[test]
fn the_newest_list_of_an_authority_counts() {
    let office = Office::new();
    let Office { root, authority, ci, .. } = &office;
    let old = list_of(authority, &[], 1, (2026, 6, 1));
    let [freed, taken] = [&[][..], &[ci][..]].map(|revoked| list_of(authority, revoked, 20, NEXT));
    for (newest, is_good) in [(freed, true), (taken, false)] {
        for lists in [[&old, &newest], [&newest, &old]] {
            let verified = office.verify(ci, &[list(root, &[]), lists.map(String::as_str).concat()].concat());
            assert_eq!(verified.is_ok(), is_good, "{verified:?}");
        }
    }
}

#[test]
fn an_authority_of_several_keys_has_a_list_by_each() {
    let office = Office::new();
    let Office { root, authority, ci, .. } = &office;
    let later = root.vouch_for(super::authority("authority"), key());
    let [new, bad] = ["new", "bad"].map(|name| later.vouch_for(signer(name), key()));
    let lists = [list(root, &[]), list_of(authority, &[], 1, (2026, 6, 2)), list_of(&later, &[&bad], 20, NEXT)];
    for lists in [lists.concat(), lists.iter().rev().cloned().collect()] {
        assert_eq!(office.verify(ci, &lists), Ok(at("2026-06-02T00:00:00Z")));
        assert_eq!(office.verify(&new, &lists), Ok(at("2026-07-01T00:00:00Z")));
        office.refused("one of the later key's", &bad, &[lists], "one of its certificates was revoked");
    }
    office.refused("no list by the later key", &new, &lists[..2], "have none of one of its authorities");
}

/// A list of a part of an authority's certificates (RFC 5280, section 5.2.5).
fn part_of(authority: &Notary, revoked: &[&Notary], day: u8, part: &str) -> String {
    let point = CrlDistributionPoint { uris: vec![format!("http://localhost/{part}.crl")] };
    let part = CrlIssuingDistributionPoint { distribution_point: point, scope: None };
    let params = CertificateRevocationListParams { issuing_distribution_point: Some(part), ..params_of(revoked, day, NEXT) };
    params.signed_by(&Issuer::from_params(&authority.params, &authority.key)).unwrap().pem().unwrap()
}

#[test]
fn whichever_list_names_a_certificate_it_is_revoked() {
    let office = Office::new();
    let Office { root, authority, ci, release } = &office;
    for day in [1, 20] {
        let parts = [part_of(authority, &[ci], day, "first"), part_of(authority, &[], 10, "second")];
        office.refused("in a part", ci, &[list(root, &[]), parts.concat()], "one of its certificates was revoked");
        office.verify(release, &[list(root, &[]), parts.concat()].concat()).unwrap();
    }
}

#[test]
fn lists_count_for_every_store_that_a_policy_names() {
    let office = Office::new();
    let Office { root, authority, ci, release } = &office;
    let lists = [list(root, &[]), list(authority, &[ci])].concat();
    // The root that is sent is of the same name and key as the trusted one, and is another.
    let again = Notary::rooted(root.params.clone(), KeyPair::from_pem(&root.key.serialize_pem()).unwrap());
    assert_ne!(again.chain[0], root.chain[0]);
    let store = |name: &str| {
        let store = TrustStore::parse(name, &if name == "root" { root.pem(0) } else { authority.pem(0) }).unwrap();
        Some(Arc::new(if name == "root" { store.with_revocation_lists(&lists).unwrap() } else { store }))
    };
    let trusts = Trust::new(&["ca:root".to_owned(), "ca:issuing".to_owned()], &["*".to_owned()], store).unwrap();
    let verify = |signer: &Notary| {
        let mut signer = Notary {
            key: KeyPair::from_pem(&signer.key.serialize_pem()).unwrap(),
            params: signer.params.clone(),
            chain: signer.chain.clone(),
        };
        signer.chain[2].clone_from(&again.chain[0]);
        super::verify(&trusts, &signer.envelope(&attributes("ES256").to_string(), &payload().to_string()))
    };
    verify(release).unwrap();
    let refuted = verify(ci).unwrap_err().to_string();
    assert!(refuted.contains("one of its certificates was revoked"), "{refuted}");
}

#[test]
fn a_timestamp_saves_nothing_that_was_revoked() {
    let office = Office::new();
    let stamps = stamps();
    let envelope = office.ci.envelope(&attributes("ES256").to_string(), &payload().to_string());
    let signature = envelope["signature"].as_str().unwrap();
    let signature = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, signature).unwrap();
    let mut stamped = envelope.clone();
    // Long before anything was revoked, and before there were lists.
    let token = Stamping::of(&signature, "20250101000000Z").by(&stamps);
    let token = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, token);
    stamped["header"]["io.cncf.notary.timestampSignature"] = token.into();
    let verify = |lists: Option<String>, lists_of_stamps: Option<String>| {
        let store = |name: &str| {
            let (pem, lists) = match name {
                "acme" => (office.root.pem(0), &lists),
                _ => (stamps.pem(2), &lists_of_stamps),
            };
            let store = TrustStore::parse(name, &pem).unwrap();
            let store = lists.iter().fold(store, |store, lists| store.with_revocation_lists(lists).unwrap());
            Some(Arc::new(store))
        };
        let stores = ["ca:acme".to_owned(), "tsa:stamps".to_owned()];
        let trusts = Trust::new(&stores, &["*".to_owned()], store).unwrap();
        verify_at(&trusts, &stamped.to_string(), now()).map_err(|refuted| refuted.to_string())
    };
    let lists = |revoked: &[&Notary]| Some([list(&office.root, &[]), list(&office.authority, revoked)].concat());
    assert_eq!(verify(None, None), Ok(Timestamp::MAX));
    assert_eq!(verify(lists(&[]), None), Ok(at("2026-07-01T00:00:00Z")));
    let refuted = verify(lists(&[&office.ci]), None).unwrap_err();
    assert!(refuted.contains("one of its certificates was revoked"), "{refuted}");
    let past = list_of(&office.authority, &[], 1, (2026, 5, 20)) + &list(&office.root, &[]);
    let refuted = verify(Some(past), None).unwrap_err();
    assert!(refuted.contains("since 2026-05-20"), "the lists' time is now: {refuted}");
    let refuted = verify(None, Some(list(&office.root, &[]))).unwrap_err();
    assert!(refuted.contains("its timestamp's authority is not: the lists of revoked certificates"), "{refuted}");
}

#[test]
fn an_authority_for_timestamps_can_be_revoked() {
    let root = Notary::root("stamps root");
    let stamps = root.vouch_for(super::stamper::stamper(&[], true), key());
    let office = Office::new();
    let envelope = office.ci.envelope(&attributes("ES256").to_string(), &payload().to_string());
    let signature = envelope["signature"].as_str().unwrap();
    let signature = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, signature).unwrap();
    let mut stamped = envelope.clone();
    let token = Stamping::of(&signature, "20260501000000Z").by(&stamps);
    stamped["header"]["io.cncf.notary.timestampSignature"] =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, token).into();
    for (revoked, expected) in [(&[][..], Ok(at("2026-07-01T00:00:00Z"))), (&[&stamps][..], Err(()))] {
        let store = TrustStore::parse("stamps", &root.pem(0)).unwrap().with_revocation_lists(&list(&root, revoked)).unwrap();
        let store = Arc::new(store);
        let find = |name: &str| Some(if name == "acme" { super::store(&office.root.pem(0)) } else { store.clone() });
        let trusts = Trust::new(&["ca:acme".to_owned(), "tsa:stamps".to_owned()], &["*".to_owned()], find).unwrap();
        let verified = verify_at(&trusts, &stamped.to_string(), now());
        assert_eq!(verified.clone().map_err(|_| ()), expected, "{verified:?}");
        if let Err(refuted) = verified {
            assert!(refuted.to_string().contains("its timestamp's authority is not: one of its certificates was revoked"));
        }
    }
}

#[test]
fn lists_that_are_none_are_told() {
    let office = Office::new();
    let good = list(&office.root, &[]);
    for (lists, why) in [
        (String::new(), "there is no list of revoked certificates in it"),
        (office.root.pem(0), "there is no list of revoked certificates in it"),
        ("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n".to_owned(), "can't be used"),
        (good.repeat(101), "more than 100"),
    ] {
        let store = TrustStore::parse("acme", &office.root.pem(0)).unwrap();
        let problem = store.with_revocation_lists(&lists).unwrap_err().to_string();
        assert!(problem.contains(why) && problem.contains("\"acme\""), "{problem}");
    }
}
