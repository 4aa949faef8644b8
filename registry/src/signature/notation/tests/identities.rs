//! Whom certificates are for, and which certificates are a trust store.

use proptest::prelude::*;

use super::{super::identity::Identities, *};

fn parse(text: &str) -> Result<Identities, String> {
    Identities::parse(&[text.to_owned()])
}

#[test]
fn an_identity_is_a_part_of_the_subject() {
    let root = Notary::root("root");
    let notary = root.vouch_for(signer("ci"), key());
    let envelope = notary.envelope(&attributes("ES256").to_string(), &payload().to_string()).to_string();
    let trust = |identities: &[&str]| trust_in("ca", &root.pem(0), identities);
    for identity in [
        r"x509.subject: C=US, ST=WA, O=acme\, inc.",
        r"x509.subject:O=acme\2c inc.,S=WA,C=US",
        r"x509.subject: CN=ci,  C = US , ST=W\41, O=acme\, inc\.".replace(r"\.", ".").as_str(),
    ] {
        verify_at(&trust(&[identity]), &envelope, now()).unwrap_or_else(|refuted| panic!("{identity}: {refuted}"));
    }
    let other = r"x509.subject: C=US, ST=WA, O=acme\, inc., CN=dev";
    for identity in [
        other,
        "x509.subject: C=US, ST=WA, O=acme",
        r"x509.subject: C=US, ST=WA, O=Acme\, inc.",
        r"x509.subject: C=US, ST=WA, O=acme\, inc., L=x",
    ] {
        refused(&trust(&[identity]), identity, &envelope, "but by CN=ci,O=acme\\, inc.,");
    }
    verify_at(&trust(&[other, r"x509.subject: C=US, ST=WA, O=acme\, inc., CN=ci"]), &envelope, now()).unwrap();
}

#[test]
fn a_subject_that_is_two_is_nobodys() {
    let root = Notary::root("root");
    let mut params = signer("ci");
    params.distinguished_name.push(rcgen::DnType::OrganizationalUnitName, "release");
    params.distinguished_name.push(rcgen::DnType::CustomDnType(vec![2, 5, 4, 10]), "other");
    let notary = root.vouch_for(params, key());
    let envelope = notary.envelope(&attributes("ES256").to_string(), &payload().to_string()).to_string();
    let identity = r"x509.subject: C=US, ST=WA, O=acme\, inc.";
    refused(&trust_in("ca", &root.pem(0), &[identity]), "two organizations", &envelope, "but by");
    verify_at(&trust(&root.pem(0)), &envelope, now()).unwrap();
}

#[test]
fn what_is_no_identity_is_refused() {
    for (text, why) in [
        ("C=US, ST=WA, O=x", "x509.subject alone is known"),
        ("x509.san: C=US", "x509.subject alone is known"),
        ("x509.subject:", "each part is a name"),
        ("x509.subject: C=US, ST=WA", "has no O"),
        ("x509.subject: ST=WA, O=x", "has no C"),
        ("x509.subject: C=US, ST=WA, O=x, O=y", "it has O twice"),
        ("x509.subject: C=US, ST=WA, S=CA, O=y", "it has ST twice"),
        ("x509.subject: C=US, ST=WA, O=x+OU=y", "several values"),
        ("x509.subject: C=US, ST=WA, O=#0c0178", "hexadecimal"),
        ("x509.subject: C=US, ST=WA, O=", "a value is empty"),
        ("x509.subject: C=US, ST=WA, O=x,", "each part is a name"),
        ("x509.subject: C=US, ST=WA, O=x\\", "special character"),
        ("x509.subject: C=US, ST=WA, O=x\\zz", "special character"),
        ("x509.subject: C=US, ST=WA, O=\\ff", "not UTF-8"),
        ("x509.subject: c=US, ST=WA, O=x", "\"c\" is no part of it"),
        ("x509.subject: C=US, ST=WA, O=\"x\"", "to have \\ before it"),
    ] {
        let problem = parse(text).expect_err(text);
        assert!(problem.contains(why), "{text}: {problem}");
    }
    assert!(Identities::parse(&[]).is_err());
    assert!(Identities::parse(&["*".to_owned(), "x509.subject: C=US, ST=WA, O=x".to_owned()]).is_err());
}

proptest! {
    #[test]
    fn what_is_escaped_is_read_as_it_was(value in "[ -~äß€]{1,20}") {
        prop_assume!(!value.starts_with(' ') && !value.ends_with(' '));
        let escaped: String = value.chars().map(|character| match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '#' => format!("\\{character}"),
            other => other.to_string(),
        }).collect();
        let mut params = signer("ci");
        params.distinguished_name.push(rcgen::DnType::OrganizationName, value.as_str());
        let own = Notary::rooted(params, key());
        let identity = format!("x509.subject: C=US, O={escaped}, ST=WA");
        let envelope = own.envelope(&attributes("ES256").to_string(), &payload().to_string());
        prop_assert!(verify(&trust_in("ca", &own.pem(0), &[&identity]), &envelope).is_ok(), "{}", identity);
    }

    #[test]
    fn any_text_is_read_to_an_end(text in "x509.subject:[ -~]{0,40}") {
        parse(&text).ok();
    }
}

#[test]
fn a_trust_store_has_authorities_and_roots() {
    let acme = Acme::new();
    let all = [acme.root.pem(0), acme.signer.pem(1)].concat();
    TrustStore::parse("acme", &all).unwrap();
    for (pem, why) in [
        (String::new(), "there is none in it"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n".to_owned(), "there is none in it"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(), "can't be read"),
        (acme.signer.pem(0), "neither an authority's nor its own issuer's"),
        (acme.root.pem(0).repeat(101), "more than 100"),
    ] {
        let problem = TrustStore::parse("acme", &pem).unwrap_err().to_string();
        assert!(problem.contains(why), "{problem}");
    }
    for (stores, why) in [
        (vec![], "needs trust_stores"),
        (vec!["acme"], "is no trust store"),
        (vec!["tsa:acme"], "and one that is ca: or signingAuthority:"),
        (vec!["ca:acme", "tsa:other"], "no [[trust_store]] \"other\""),
        (vec!["ca:acme", "tsa:below"], "tsa:below must have certificates of roots alone"),
        (vec!["ca:other"], "no [[trust_store]] \"other\""),
    ] {
        let stores: Vec<String> = stores.into_iter().map(ToOwned::to_owned).collect();
        let find = |name: &str| match name {
            "acme" => Some(store(&acme.root.pem(0))),
            "below" => Some(Arc::new(TrustStore::parse("below", &all).unwrap())),
            _ => None,
        };
        let problem = Trust::new(&stores, &["*".to_owned()], find).unwrap_err();
        assert!(problem.contains(why), "{problem}");
    }
}
