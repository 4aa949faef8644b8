//! `longshore edge status|ls|pin|unpin|evict|scrub`: what an operator sees and does; and who else may.

use std::{collections::BTreeSet, time::Duration};

use http::Method;
use longshore_oci::Digest;
use longshore_tests::{
    Answer, Backend, Client, Edge, EdgeUpstream, Image, Registry, Upstream, digest_of, done, longshore, run, temporary_folder,
    until,
};
use serde_json::{Value, json};

longshore_tests::once!(
    an_operator_sees_what_is_kept_and_why,
    an_operator_pins_and_lets_go,
    an_operator_evicts_and_scrubs,
    what_is_wrong_is_said,
    an_edge_is_looked_after_with_its_token,
    a_configuration_is_shown_and_its_mistakes_told_together,
    two_edges_share_no_folder,
    a_pin_tells_what_is_not_here,
    an_upstream_that_is_left_alone_is_told,
    what_is_no_edge_is_told_so,
);

const REPOSITORY: &str = "seen/edge";

async fn site(seed: u64) -> (Upstream, Edge, Image) {
    let upstream = Upstream::start().await;
    let image = Image::random(seed, &[3_000_000, 1000]);
    upstream.hold(REPOSITORY, "v1", &image);
    let edge = Edge::with(&[EdgeUpstream::other(&upstream)], &[("cache.sync_delay", "20ms".into())]).await;
    (upstream, edge, image)
}

fn layer(image: &Image) -> Digest {
    digest_of(&image.blobs[1])
}

/// The objects of a list that a command prints as JSON, bare or under a name.
fn rows(json: &Value, name: &str) -> Vec<Value> {
    json.as_array().or_else(|| json[name].as_array()).unwrap_or_else(|| panic!("no list in {json}")).clone()
}

async fn an_operator_sees_what_is_kept_and_why() {
    let (_upstream, edge, image) = site(2000).await;
    for _ in 0..4 {
        assert_eq!(edge.client().pull_image(REPOSITORY, "v1").await, image.digest);
    }
    let status = edge.json("status", &[]).await;
    let upstream = &status["upstreams"][0];
    assert_eq!(upstream["name"], "elsewhere", "{status}");
    let count = |name: &str| upstream[name].as_u64().unwrap_or_else(|| panic!("no {name} in {status}"));
    let size: usize = image.blobs.iter().map(bytes::Bytes::len).sum();
    assert!(count("fetchedBytes") >= size as u64 && count("fetchedBytes") < 2 * size as u64, "{status}");
    assert!(count("servedBytes") >= 4 * size as u64 && count("hitBytes") >= 3 * size as u64, "{status}");
    assert!(status["disk"]["usedBytes"].as_u64().unwrap() >= size as u64, "{status}");
    assert_eq!(status["piecesInFlight"], 0, "{status}");
    let table = done(edge.command("status", &[]).await).stdout;
    assert!(table.contains("UPSTREAM") && table.contains("elsewhere") && table.contains('%'), "{table}");

    let listed = edge.json("ls", &[]).await;
    let digests: BTreeSet<String> =
        rows(&listed, "blobs").iter().map(|blob| blob["digest"].as_str().unwrap().to_owned()).collect();
    for blob in &image.blobs {
        assert!(digests.contains(digest_of(blob).as_str()), "{listed}");
    }
    let table = done(edge.command("ls", &[]).await).stdout;
    assert!(table.contains("DIGEST") && table.contains(&layer(&image).hex()[..12]), "{table}");
}

async fn an_operator_pins_and_lets_go() {
    let (_upstream, edge, image) = site(2001).await;
    let name = format!("{REPOSITORY}:v1");
    done(edge.command("pin", &[&name, "--owner", "release", "--reason", "rollout of the week", "--for", "7d"]).await);
    let pins = edge.client().get("/v2/_longshore/edge/pins").await.expect(200).json();
    let digests: BTreeSet<&str> = pins["pins"].as_array().unwrap().iter().map(|pin| pin["digest"].as_str().unwrap()).collect();
    assert!(digests.contains(image.digest.as_str()) && digests.contains(layer(&image).as_str()), "{pins}");
    for pin in pins["pins"].as_array().unwrap() {
        assert_eq!((&pin["owner"], &pin["reason"]), (&json!("release"), &json!("rollout of the week")), "{pin}");
        let ends: jiff::Timestamp = pin["expiresAt"].as_str().expect("it ends").parse().expect("a time");
        let left = ends.as_second() - jiff::Timestamp::now().as_second();
        assert!((6 * 86_400..=7 * 86_400).contains(&left), "{pin}");
    }
    let status = edge.json("status", &[]).await;
    assert_eq!((&status["pins"][0]["owner"], &status["pins"][0]["images"]), (&json!("release"), &json!(1)), "{status}");
    let table = done(edge.command("status", &[]).await).stdout;
    assert!(table.contains("release"), "{table}");
    edge.client().pull_image(REPOSITORY, "v1").await;
    let refused = edge.command("evict", &[layer(&image).as_str()]).await;
    assert!(refused.is_refusal_with(&["pinned"]), "{refused}");
    let stranger = edge.command("unpin", &[&name, "--owner", "somebody-else"]).await;
    assert!(stranger.code != Some(0), "{stranger}");
    done(edge.command("unpin", &[&name, "--owner", "release"]).await);
    assert_eq!(edge.json("status", &[]).await["disk"]["pinnedBytes"], 0);
    done(edge.command("evict", &[layer(&image).as_str()]).await);
}

async fn an_operator_evicts_and_scrubs() {
    let (upstream, edge, image) = site(2002).await;
    edge.client().pull_image(REPOSITORY, "v1").await;
    done(edge.command("scrub", &[]).await);
    until("the scrub to be over", Duration::from_secs(60), async || {
        let scrub = edge.client().get("/v2/_longshore/edge/scrub").await.expect(200).json();
        (scrub["isRunning"] == false && scrub["finishedAt"].is_string()).then(|| {
            assert!(scrub["pieces"].as_u64().unwrap() >= 4, "{scrub}");
            assert_eq!(scrub["damaged"], 0, "{scrub}");
        })
    })
    .await;
    done(edge.command("evict", &[layer(&image).as_str()]).await);
    assert!(!edge.json("ls", &[]).await.to_string().contains(layer(&image).as_str()));
    let again = edge.command("evict", &[layer(&image).as_str()]).await;
    assert!(again.code != Some(0), "there is nothing left of it: {again}");
    upstream.take_asked();
    edge.client().pull_image(REPOSITORY, "v1").await;
    assert_eq!(upstream.gets_of(&layer(&image)).len(), 1);
}

async fn what_is_wrong_is_said() {
    let (_upstream, edge, _image) = site(2003).await;
    for (verb, arguments) in [
        ("evict", vec!["sha256:short"]),
        ("pin", vec!["seen/edge:absent", "--owner", "me"]),
        ("pin", vec!["seen/edge:v1", "--for", "0s"]),
        ("pin", vec!["seen/edge:v1", "--platform", "bogus"]),
        ("unpin", vec!["seen/edge:v1", "--owner", "me"]),
    ] {
        let refused = edge.command(verb, &arguments).await;
        assert!(refused.code != Some(0) && !refused.stderr.trim().is_empty(), "{verb}: {refused}");
        assert!(refused.stdout.trim().is_empty(), "what is for people goes to stderr: {refused}");
        assert!(refused.stderr.matches("_UNKNOWN)").count() < 2, "a code is said once: {refused}");
    }
    let nobody = run(longshore(), ["edge", "status", "--at", "http://127.0.0.1:1"]).await;
    assert!(nobody.code != Some(0) && nobody.stderr.contains("127.0.0.1:1"), "{nobody}");
}

/// From its own machine anybody may; once a token is set nobody may without it, and the images' API is not opened by it.
async fn an_edge_is_looked_after_with_its_token() {
    let (upstream, mut edge, _image) = site(2004).await;
    let status = "/v2/_longshore/edge/status";
    // A proxy on this machine speaks for others, and a browser for whatever page it shows.
    for (name, value) in [("x-forwarded-for", "192.0.2.1"), ("host", "page.example"), ("origin", "http://page.example")] {
        let request = edge.client().request(Method::GET, status).header(name, value);
        Answer::to(request).await.expect_error(401, "UNAUTHORIZED");
    }
    edge.client().get(status).await.expect(200);
    let token = "the-admin-token-of-the-tests";
    edge.restart_with(&[("listen.admin_token", token.into())]).await;
    for path in ["status", "blobs", "pins", "scrub"] {
        let path = format!("/v2/_longshore/edge/{path}");
        edge.admin().get(&path).await.expect_error(401, "UNAUTHORIZED");
        edge.admin().as_bearer(token).get(&path).await.expect(200);
        edge.client().as_bearer(token).get(&path).await.expect(200);
    }
    edge.client().get("/v2/_longshore/operations").await.expect_error(401, "UNAUTHORIZED");
    edge.client().as_bearer("the-admin-token-of-others").get(status).await.expect_error(401, "UNAUTHORIZED");
    let without = edge.command("status", &[]).await;
    assert!(without.code != Some(0) && without.stderr.contains("LONGSHORE_EDGE_TOKEN"), "{without}");
    let keeper = edge.client().as_bearer(token);
    keeper.get("/v2/_longshore/edge/nothing").await.expect(404);
    Answer::to(keeper.request(Method::PATCH, "/v2/_longshore/edge/pins")).await.expect(405);
    // The token is the edge's own, and no registry is shown it.
    assert!(upstream.asked().iter().all(|asked| asked.header("authorization").is_none()));
}

async fn a_configuration_is_shown_and_its_mistakes_told_together() {
    let folder = temporary_folder("config");
    let file = folder.path().join("edge.toml").to_str().expect("our folders' names are ASCII").to_owned();
    std::fs::write(&file, "[[upstream]]\nurl = 'http://127.0.0.1:5000'\nusername = 'ci'\npassword = 'hush-hush'\n").unwrap();
    let shown = done(run(longshore(), ["edge", "config", "show", "--redact", "--config", &file]).await).stdout;
    assert!(shown.contains("[cache]") && shown.contains("[[upstream]]") && !shown.contains("hush-hush"), "{shown}");
    std::fs::write(&file, "[cache]\nquota = '1MiB'\nquotum = 1\n[[upstream]]\nurl = 'ftp://127.0.0.1'\n").unwrap();
    let told = run(longshore(), ["edge", "serve", "--config", &file]).await;
    assert!(told.code != Some(0), "{told}");
    for word in ["cache.quota", "quotum", "upstream"] {
        assert!(told.stderr.contains(word), "nothing of {word}: {told}");
    }
}

async fn a_pin_tells_what_is_not_here() {
    let (_upstream, edge, image) = site(2006).await;
    let name = format!("{REPOSITORY}:v1");
    let size: usize = image.blobs.iter().map(bytes::Bytes::len).sum();
    let pinned = done(edge.command("pin", &[&name]).await).stdout;
    assert!(pinned.contains("is not here") && pinned.contains(&format!("longshore prewarm {name}")), "{pinned}");
    let present = |pins: &Value| rows(pins, "pins").iter().map(|pin| pin["presentBytes"].as_u64().unwrap()).sum::<u64>();
    assert_eq!(present(&edge.json("ls", &["--pins"]).await), 0);
    let status = edge.json("status", &[]).await;
    assert!(status["pins"][0]["sizeBytes"].as_u64() > status["pins"][0]["presentBytes"].as_u64(), "{status}");

    done(run(longshore(), ["prewarm", &name, "--at", edge.url()]).await);
    let pins = edge.json("ls", &["--pins"]).await;
    assert!(present(&pins) >= size as u64, "{pins}");
    let table = done(edge.command("ls", &["--pins"]).await).stdout;
    assert!(table.contains("HERE") && table.contains("all"), "{table}");
    let again = done(edge.command("pin", &[&name]).await).stdout;
    assert!(!again.contains("is not here"), "{again}");
}

async fn an_upstream_that_is_left_alone_is_told() {
    let upstream = Upstream::start().await;
    let broken = EdgeUpstream::other(&upstream).set("breaker_failures", 1).set("breaker_pause", "60s");
    let edge = Edge::start(&[broken]).await;
    assert_eq!(edge.json("status", &[]).await["upstreams"][0]["pauses"], json!([]));
    upstream.go_away();
    let lost = edge.client().get_manifest(REPOSITORY, "v1").await;
    assert!(lost.status.is_server_error(), "{lost:?}");
    let status = edge.json("status", &[]).await;
    let pause = &status["upstreams"][0]["pauses"][0];
    assert_eq!(pause["address"], upstream.url(), "{status}");
    assert!(pause["until"].is_string() && pause["reason"].as_str().is_some_and(|reason| reason.starts_with("it ")), "{status}");
    let table = done(edge.command("status", &[]).await).stdout;
    assert!(table.contains("elsewhere is left alone for "), "{table}");
}

async fn what_is_no_edge_is_told_so() {
    let registry = Registry::start(Backend::Folder).await;
    let told = run(longshore(), ["edge", "status", "--at", registry.url()]).await;
    assert!(told.code != Some(0) && told.stderr.contains("is no edge"), "{told}");
    let (_upstream, edge, _image) = site(2007).await;
    let https = edge.url().replace("http://", "https://");
    let told = run(longshore(), ["edge", "status", "--at", &https]).await;
    assert!(told.code != Some(0) && told.stderr.contains(edge.url()), "{told}");
}

async fn two_edges_share_no_folder() {
    let (upstream, edge, _image) = site(2005).await;
    let folder = edge.folder().to_str().expect("our folders' names are ASCII");
    let url = upstream.url();
    let arguments = ["edge", "serve", "--listen", "127.0.0.1:0", "--upstream", &url, "--data", folder];
    let refused = run(longshore(), arguments).await;
    assert!(refused.is_refusal_with(&["another process", "in use", "lock", "already"]), "{refused}");
    Client::new(edge.url()).pull_image(REPOSITORY, "v1").await;
}
