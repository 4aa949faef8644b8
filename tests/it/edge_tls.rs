//! TLS on either side of an edge: its clients know it by its certificate, and it knows its upstreams by theirs.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use http::Method;
use longshore_tests::{
    Answer, Authority, Backend, Certified, Client, Edge, EdgeUpstream, Image, Layout, Registry, digest_of, run_ok,
    temporary_folder, until,
};
use serde_json::Value;

use crate::certificates::{client_at, client_of, server_of, text, tls_of};

longshore_tests::once!(
    clients_know_the_edge_by_its_certificate,
    a_renewed_certificate_is_taken_up,
    an_upstream_of_a_private_authority_is_asked,
    an_upstream_s_certificate_that_is_not_trusted_is_told,
);

const REPOSITORY: &str = "tls/edge";
const DAY: i64 = 24 * 60 * 60;
/// A file is looked at every 2 s.
const FILE_SOON: Duration = Duration::from_secs(20);

/// A server's certificate and key, and no more: whoever asks is not asked for one.
fn pair_of(server: &Certified) -> Vec<(&'static str, Value)> {
    tls_of(server).into_iter().filter(|(key, _)| *key != "listen.tls_client_ca_file").collect()
}

/// An answer over a new connection, where the server's certificate is trusted.
async fn attempt(url: &str, authority: &Authority) -> Result<Answer, reqwest::Error> {
    Answer::attempt(client_at(url, authority, None).request(Method::GET, "/v2/")).await
}

async fn clients_know_the_edge_by_its_certificate() {
    let registry = Registry::start(Backend::Folder).await;
    let (image, layout) = (Image::random(2400, &[3_000_000]), Layout::runnable(2401, &[100_000]).await);
    registry.client().push_image(REPOSITORY, "v1", &image).await;
    let pushed = format!("docker://{}/{REPOSITORY}:layout", registry.authority());
    let push = ["--insecure-policy", "copy", "--preserve-digests", "--dest-tls-verify=false"];
    run_ok("skopeo", [&push[..], &[layout.reference().as_str(), pushed.as_str()]].concat()).await;

    let authority = Authority::new("the company");
    let server = server_of(&authority);
    let edge = Edge::with(&[EdgeUpstream::longshore(&registry)], &pair_of(&server)).await;
    assert!(edge.url().starts_with("https://"), "{}", edge.url());
    for _ in 0..2 {
        assert_eq!(client_at(edge.url(), &authority, None).pull_image(REPOSITORY, "v1").await, image.digest);
    }
    attempt(edge.url(), &Authority::new("another")).await.expect_err("nobody vouches for it");
    let plain = Client::new(&format!("http://{}", edge.authority()));
    let plain = Answer::attempt(plain.request(Method::GET, &format!("/v2/{REPOSITORY}/manifests/v1"))).await;
    assert!(plain.is_err(), "there is no other way in: {plain:?}");

    let (trusted, copied) = (temporary_folder("trusted"), temporary_folder("copied"));
    std::fs::copy(server.authority_file(), trusted.path().join("ca.crt")).expect("the folder is ours");
    let (from, to) =
        (format!("docker://{}/{REPOSITORY}:layout", edge.authority()), format!("oci:{}:v1", copied.path().display()));
    let pull = ["--insecure-policy", "copy", "--preserve-digests", "--src-cert-dir", text(trusted.path())];
    run_ok("skopeo", [&pull[..], &[from.as_str(), to.as_str()]].concat()).await;
    assert!(blob_file(copied.path(), &layout.digest).exists(), "it is the image that was pushed");
}

/// Where a layout has a blob.
fn blob_file(layout: &Path, digest: &str) -> PathBuf {
    layout.join("blobs").join(digest.replace(':', "/"))
}

async fn a_renewed_certificate_is_taken_up() {
    let registry = Registry::start(Backend::Folder).await;
    let image = Image::random(2402, &[100_000]);
    registry.client().push_image(REPOSITORY, "v1", &image).await;
    let (before, after) = (Authority::new("the company"), Authority::new("its successor"));
    let server = server_of(&before);
    let edge = Edge::with(&[EdgeUpstream::longshore(&registry)], &pair_of(&server)).await;
    attempt(edge.url(), &before).await.expect("it is trusted").expect(200);
    attempt(edge.url(), &after).await.expect_err("it has nothing of this one's");

    let renewed = server_of(&after);
    std::fs::copy(renewed.certificate_file(), server.certificate_file()).expect("the folder is ours");
    std::fs::copy(renewed.key_file(), server.key_file()).expect("the folder is ours");
    until("the renewed certificate to be shown", FILE_SOON, async || attempt(edge.url(), &after).await.ok()).await.expect(200);
    attempt(edge.url(), &before).await.expect_err("the one of before is shown no more");
    assert_eq!(client_at(edge.url(), &after, None).pull_image(REPOSITORY, "v1").await, image.digest);
}

async fn an_upstream_of_a_private_authority_is_asked() {
    let authority = Authority::new("the company");
    let server = server_of(&authority);
    let registry = Registry::with(Backend::Folder, &pair_of(&server)).await;
    let image = Image::random(2403, &[3_000_000]);
    client_of(&registry, &authority, None).push_image(REPOSITORY, "v1", &image).await;
    assert!(registry.url().starts_with("https://"), "{}", registry.url());
    let upstream = EdgeUpstream::longshore(&registry).set("ca_file", text(&server.authority_file()));
    let edge = Edge::start(&[upstream]).await;
    for _ in 0..2 {
        assert_eq!(edge.client().pull_image(REPOSITORY, "v1").await, image.digest);
    }
}

/// Which upstream, and what is wrong with its certificate; and nothing else.
async fn an_upstream_s_certificate_that_is_not_trusted_is_told() {
    let (authority, another) = (Authority::new("the company"), Authority::new("another"));
    let named = |identity: &str, good_for: i64| authority.certify(&[identity], 1, good_for);
    let unknown = "its certificate is from an authority that is not trusted here";
    let cases = [
        (named("ip:127.0.0.1", DAY), None, unknown),
        (named("ip:127.0.0.1", DAY), Some(named_by(&another)), unknown),
        (named("dns:registry.example", DAY), Some(named_by(&authority)), "its certificate is for another host"),
        (named("ip:127.0.0.1", -60), Some(named_by(&authority)), "its certificate has expired"),
    ];
    for (server, trusted, reason) in cases {
        let registry = Registry::with(Backend::Folder, &pair_of(&server)).await;
        let upstream = EdgeUpstream::longshore(&registry);
        let upstream = match &trusted {
            Some(trusted) => upstream.set("ca_file", text(&trusted.authority_file())),
            None => upstream,
        };
        let edge = Edge::start(&[upstream]).await;
        let told = format!("harbor can't be reached: {reason}");
        let absent = digest_of(b"absent");
        for path in [format!("/v2/{REPOSITORY}/manifests/v1"), format!("/v2/{REPOSITORY}/blobs/{absent}")] {
            let refused = edge.client().get(&path).await.expect_error(503, "UNAVAILABLE");
            let errors = refused.json()["errors"].clone();
            assert_eq!((errors.as_array().map(Vec::len), errors[0]["message"].as_str()), (Some(1), Some(told.as_str())));
            refused.required("retry-after").parse::<u64>().expect("a count of seconds");
        }
        edge.logs(&["request failed", REPOSITORY, &told]).await;
    }
}

/// A certificate of an authority, with the authority's own in a file beside it.
fn named_by(authority: &Authority) -> Certified {
    authority.certify(&["dns:anybody"], 2, DAY)
}
