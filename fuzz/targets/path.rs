//! Paths: what is a route is written back as a path, and that path is the same route.
#![no_main]

use libfuzzer_sys::fuzz_target;
use longshore_oci::{RepositoryName, Route};

fuzz_target!(|path: &str| {
    check(path);
    // Spares the search from finding the prefix again and again.
    check(&format!("/v2/{path}"));
});

fn check(path: &str) {
    let Ok(route) = Route::parse(path) else { return };
    let written = route.to_string();
    let is_ours = written.starts_with("/v2/") || written == "/token";
    assert!(is_ours && written.is_ascii(), "{written:?} can't stand in a Location header");
    assert_eq!(Route::parse(&written).as_ref(), Ok(&route), "{path:?} was written as {written:?}");
    assert!(!route.label().is_empty() && route.label().bytes().all(|byte| byte.is_ascii_lowercase()));
    if let Some(name) = name(&route) {
        assert!(name.as_str().len() <= RepositoryName::MAX_LENGTH);
        // Keys of objects and paths of files begin with the name: nothing in it may lead elsewhere.
        assert!(name.as_str().split('/').all(|component| !component.is_empty() && !component.starts_with(['.', '_'])));
    }
}

fn name(route: &Route) -> Option<&RepositoryName> {
    match route {
        Route::Base | Route::Catalog | Route::Images | Route::Keys | Route::Token | Route::Accounts | Route::Roles | Route::Issuers => None,
        Route::Policies | Route::PolicyTest => None,
        Route::Audit | Route::AuditHead | Route::Events | Route::Swarm => None,
        Route::Account(last) | Route::Role(last) | Route::Issuer(last) | Route::IssuerCheck(last) | Route::Policy(last) => {
            assert!(!last.is_empty() && !last.contains('/'));
            None
        }
        Route::Tags(name) | Route::Uploads(name) => Some(name),
        Route::Manifest(name, _) | Route::Image(name, _) | Route::Verdict(name, _) => Some(name),
        Route::Blob(name, _) | Route::Referrers(name, _) | Route::Metainfo(name, _) => Some(name),
        Route::Upload(name, id) => {
            assert!(!id.is_empty() && !id.contains('/'));
            Some(name)
        }
    }
}
