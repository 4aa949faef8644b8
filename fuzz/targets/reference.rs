//! Names: what is taken as a reference, a repository's name, a digest or a tag is kept letter by letter.
#![no_main]

use libfuzzer_sys::fuzz_target;
use longshore_oci::{Algorithm, Digest, Query, Reference, RepositoryName, Tag};

fuzz_target!(|text: &str| {
    let (tag, digest) = (text.parse::<Tag>(), text.parse::<Digest>());
    match text.parse::<Reference>() {
        Ok(Reference::Tag(found)) => assert_eq!(Ok(found), tag),
        Ok(Reference::Digest(found)) => assert_eq!(Ok(found), digest),
        Err(_) => assert!(tag.is_err() && digest.is_err(), "{text:?} is a tag or a digest, but no reference"),
    }
    if let Ok(tag) = tag {
        assert_eq!(tag.to_string(), text);
        assert!(text.len() <= 128 && !text.contains(['/', ':', '%']));
    }
    if let Ok(digest) = digest {
        check_digest(&digest, text);
    }
    if let Ok(name) = text.parse::<RepositoryName>() {
        assert_eq!(name.as_str(), text);
        assert!(!text.contains("..") && !text.contains("//") && !text.starts_with('/') && text.len() <= 255);
    }
    check_query(text);
});

fn check_digest(digest: &Digest, text: &str) {
    assert_eq!(digest.as_str(), text);
    assert_eq!(text, format!("{}:{}", digest.algorithm().name(), digest.hex()));
    assert_eq!(digest.hex().len(), digest.algorithm().hex_length());
    let json = serde_json::to_string(digest).expect("a digest is always JSON");
    assert_eq!(serde_json::from_str::<Digest>(&json).as_ref().ok(), Some(digest));
    let hash: Vec<u8> = (0..digest.hex().len() / 2)
        .map(|at| u8::from_str_radix(&digest.hex()[2 * at..2 * at + 2], 16).expect("a digest's hash is hex"))
        .collect();
    assert_eq!(&Digest::from_hash(digest.algorithm(), &hash), digest);
    assert_eq!(digest.algorithm().name().parse::<Algorithm>(), Ok(digest.algorithm()));
}

/// Whatever a query holds, a name that was never written in it is not found.
fn check_query(text: &str) {
    let query = Query::new(text);
    let names = text.split('&').count();
    assert!(query.all("n").count() <= names);
    assert_eq!(query.get("n").is_some(), query.all("n").next().is_some());
}
