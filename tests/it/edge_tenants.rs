//! Who may: what is kept is as closed at the edge as where it comes from. Two tenants, one private image: the second never gets a byte,
//! nor learns that it is kept.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use longshore_tests::{
    Account, Answer, Backend, Client, Docker, Edge, EdgeUpstream, Image, Layout, Registry, Signer, Upstream, digest_of, run_ok,
    temporary_folder, until,
};
use serde_json::Value;

longshore_tests::once!(
    a_second_tenant_of_longshore_learns_nothing,
    a_second_tenant_of_another_registry_learns_nothing,
    a_layer_of_one_repository_is_not_one_of_another,
    what_an_edge_may_see_is_not_what_everybody_may,
    a_grant_that_ends_ends_at_the_edge,
    an_unsigned_image_is_as_closed_here_as_there,
    with_the_upstream_away_only_what_was_granted_holds,
    what_is_public_is_known_as_such_though_all_show_tokens,
    a_right_password_is_not_held_up_by_wrong_ones,
    docker_logs_in_through_the_edge,
);

const PRIVATE: &str = "acme/private";
const PUBLIC: &str = "open/public";

/// What somebody could learn from an answer: all but what differs from one answer to the next.
fn shape(answer: &Answer) -> (u16, BTreeMap<String, String>, Bytes) {
    let passing = ["date", "x-request-id", "age"];
    let headers = answer.headers.iter().filter(|(name, _)| !passing.contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    (answer.status.as_u16(), headers.collect(), answer.body.clone())
}

/// Everything that a stranger may try about an image; and what came of each.
async fn tries(client: &Client, repository: &str, image: &Image) -> Vec<(u16, BTreeMap<String, String>, Bytes)> {
    let mut paths = vec![
        format!("/v2/{repository}/manifests/v1"),
        format!("/v2/{repository}/manifests/{}", image.digest),
        format!("/v2/{repository}/tags/list"),
        format!("/v2/{repository}/referrers/{}", image.digest),
        format!("/v2/{repository}/_longshore/metainfo/{}", digest_of(&image.blobs[1])),
    ];
    paths.extend(image.blobs.iter().map(|blob| format!("/v2/{repository}/blobs/{}", digest_of(blob))));
    let mut shapes = Vec::new();
    for path in &paths {
        for method in [Method::GET, Method::HEAD] {
            for header in
                [None, Some(("range", "bytes=0-9".to_owned())), Some(("if-none-match", format!("\"{}\"", image.digest)))]
            {
                let mut request = client.request(method.clone(), path);
                if let Some((name, value)) = header {
                    request = request.header(name, value);
                }
                let answer = Answer::to(request).await;
                assert!([401, 403, 404].contains(&answer.status.as_u16()), "{method} {path}: {answer:?}");
                for blob in image.blobs.iter().chain([&image.manifest]) {
                    assert!(!answer.body.windows(10).any(|bytes| bytes == &blob[..10]), "{method} {path}: {answer:?}");
                }
                shapes.push(shape(&answer));
            }
        }
    }
    shapes
}

/// An edge that bears as many failed logins as there are: who guesses too often is told so, and no more of anything.
fn unlimited() -> [(&'static str, Value); 3] {
    let keys =
        ["requests.failed_logins_per_account", "requests.failed_logins_per_address", "requests.failed_logins_per_upstream"];
    keys.map(|key| (key, 0.into()))
}

/// That strangers are told the same whether the image is kept at the edge or not, and that the tenant gets it.
async fn learn_nothing(edge: &Edge, tenant: &Client, strangers: &[Client], image: &Image) {
    let mut before = Vec::new();
    for stranger in strangers {
        before.push(tries(stranger, PRIVATE, image).await);
    }
    assert_eq!(tenant.pull_image(PRIVATE, "v1").await, image.digest);
    let kept = edge.json("ls", &[]).await.to_string();
    assert!(kept.contains(digest_of(&image.blobs[1]).as_str()), "it is kept: {kept}");
    for (stranger, before) in strangers.iter().zip(before) {
        assert_eq!(tries(stranger, PRIVATE, image).await, before, "what is kept is told apart");
    }
    assert_eq!(tenant.pull_image(PRIVATE, "v1").await, image.digest);
    assert_eq!(tenant.pull_image(PRIVATE, image.digest.as_str()).await, image.digest);
}

async fn a_second_tenant_of_longshore_learns_nothing() {
    // To the registry all that come through the edge are one address.
    let limits = [("auth.failed_logins_per_address", 10_000.into()), ("auth.failed_logins_per_account", 10_000.into())];
    let registry = Registry::with_accounts(Backend::Folder, &limits).await;
    let admin = registry.admin();
    let image = Image::random(1300, &[3_000_000, 500]);
    admin.push_image(PRIVATE, "v1", &image).await;
    let acme = admin.create_robot("acme", &[("pull", "acme/**")]).await;
    let other = admin.create_robot("other", &[("pull", "other/**")]).await;
    let edge = Edge::with(&[EdgeUpstream::longshore(&registry)], &unlimited()).await;
    let scope = format!("repository:{PRIVATE}:pull");
    // Tokens are to be had from the registry, where the edge's challenge sends for them.
    let token = async |account: &Account| registry.as_account(account).token(&[&scope]).await;
    let tenant = edge.client().as_bearer(&token(&acme).await);
    let foreign = registry.as_account(&acme).token(&["repository:acme/other:pull"]).await;
    let strangers = [
        edge.client(),
        edge.client().as_bearer(&token(&other).await),
        edge.client().as_bearer(&foreign),
        edge.client().as_basic(&other.name, &other.secret),
        edge.client().as_basic("acme", "a guess"),
        edge.client().as_bearer("not.a.token"),
    ];
    let challenge = edge.client().get_manifest(PRIVATE, "v1").await.expect(401);
    let told = challenge.required("www-authenticate");
    assert!(told.starts_with(&format!("Bearer realm=\"{}/token\"", registry.url())) && told.contains(&scope), "{told}");
    learn_nothing(&edge, &tenant, &strangers, &image).await;
    // A token that was tampered with is none.
    let mut tampered = token(&acme).await;
    let last = tampered.pop().expect("a token is not empty");
    tampered.push(if last == 'A' { 'Q' } else { 'A' });
    for path in ["manifests/v1".to_owned(), format!("blobs/{}", digest_of(&image.blobs[1]))] {
        edge.client().as_bearer(&tampered).get(&format!("/v2/{PRIVATE}/{path}")).await.expect(401);
    }
}

async fn a_second_tenant_of_another_registry_learns_nothing() {
    for upstream in [Upstream::start().await, Upstream::with_tokens().await] {
        let image = Image::random(1301, &[3_000_000, 500]);
        upstream.hold(PRIVATE, "v1", &image);
        let (acme, other) = (Account::of("acme", "acme's secret"), Account::of("other", "other's secret"));
        upstream.close(PRIVATE, &[&acme]);
        upstream.hold("other/own", "v1", &Image::random(1302, &[10]));
        upstream.close("other/own", &[&other]);
        let times = [("cache.tag_ttl", "10m".into()), ("cache.grant_ttl", "10m".into())];
        let values: Vec<_> = times.into_iter().chain(unlimited()).collect();
        let edge = Edge::with(&[EdgeUpstream::other(&upstream)], &values).await;
        let at_upstream = Client::new(&upstream.url());
        let tenant = edge.client().as_bearer(&at_upstream.as_basic(&acme.name, &acme.secret).token(&[]).await);
        let strangers = [
            edge.client(),
            edge.client().as_bearer(&at_upstream.as_basic(&other.name, &other.secret).token(&[]).await),
            edge.client().as_bearer(&at_upstream.token(&[]).await),
            edge.client().as_basic(&other.name, &other.secret),
            edge.client().as_basic(&acme.name, "a guess"),
            edge.client().as_bearer("a-guess"),
        ];
        learn_nothing(&edge, &tenant, &strangers, &image).await;
        // Nobody is asked again for each request: who may is remembered for a while, for each credential.
        upstream.take_asked();
        tenant.pull_image(PRIVATE, "v1").await;
        tenant.pull_image(PRIVATE, "v1").await;
        assert_eq!(upstream.take_asked().len(), 0, "a grant is remembered");
    }
}

/// Whoever may pull from one repository gets no layer of another by its digest, though the edge has it.
async fn a_layer_of_one_repository_is_not_one_of_another() {
    let upstream = Upstream::start().await;
    let image = Image::random(1303, &[1_000_000]);
    upstream.hold(PRIVATE, "v1", &image);
    let acme = Account::of("acme", "acme's secret");
    upstream.close(PRIVATE, &[&acme]);
    upstream.hold(PUBLIC, "v1", &Image::random(1304, &[10]));
    let edge = Edge::start(&[EdgeUpstream::other(&upstream)]).await;
    edge.client().as_basic(&acme.name, &acme.secret).pull_image(PRIVATE, "v1").await;
    edge.client().pull_image(PUBLIC, "v1").await;
    let layer = digest_of(&image.blobs[1]);
    edge.client().get(&format!("/v2/{PUBLIC}/blobs/{layer}")).await.expect_error(404, "BLOB_UNKNOWN");
    edge.client().get(&format!("/v2/{PUBLIC}/manifests/{}", image.digest)).await.expect_error(404, "MANIFEST_UNKNOWN");
}

/// The edge's own credentials open nothing for others, unless the operator says that they shall.
async fn what_an_edge_may_see_is_not_what_everybody_may() {
    let upstream = Upstream::with_tokens().await;
    let image = Image::random(1305, &[1_000_000]);
    upstream.hold(PRIVATE, "v1", &image);
    let own = Account::of("edge", "the edge's secret");
    upstream.close(PRIVATE, &[&own]);
    let closed = Edge::start(&[EdgeUpstream::other(&upstream).as_account(&own)]).await;
    tries(&closed.client(), PRIVATE, &image).await;
    let open = Edge::start(&[EdgeUpstream::other(&upstream).as_account(&own).set("shares_access", true)]).await;
    assert_eq!(open.client().pull_image(PRIVATE, "v1").await, image.digest);
    assert!(!open.log().contains(&own.secret) && !closed.log().contains(&own.secret), "a secret is in no log");
}

async fn a_grant_that_ends_ends_at_the_edge() {
    let registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let admin = registry.admin();
    let image = Image::random(1306, &[100_000]);
    admin.push_image(PRIVATE, "v1", &image).await;
    let robot = admin.create_robot("node", &[]).await;
    let role = admin.grant("node", "pull", PRIVATE).await;
    let edge = Edge::with(&[EdgeUpstream::longshore(&registry)], &[("cache.grant_ttl", "1s".into())]).await;
    let node = edge.client().as_basic(&robot.name, &robot.secret);
    assert_eq!(node.pull_image(PRIVATE, "v1").await, image.digest);
    admin.revoke(&role).await;
    let paths =
        [format!("/v2/{PRIVATE}/manifests/{}", image.digest), format!("/v2/{PRIVATE}/blobs/{}", digest_of(&image.blobs[1]))];
    for path in paths {
        until("the edge to learn that the role is gone", std::time::Duration::from_secs(30), async || {
            [401, 403].contains(&node.get(&path).await.status.as_u16()).then_some(())
        })
        .await;
    }
}

/// "a cached private or unsigned layer is as closed here as there"
async fn an_unsigned_image_is_as_closed_here_as_there() {
    let folder = temporary_folder("policy");
    let signer = Signer::new();
    let at = |name: &str| folder.path().join(name).to_str().expect("our folders' names are ASCII").to_owned();
    std::fs::write(at("policy.toml"), "").unwrap();
    std::fs::write(at("prod.pub"), signer.public_key()).unwrap();
    let values: [(&str, Value); 1] = [("policy.file", at("policy.toml").into())];
    let mut registry = Registry::with_accounts(Backend::Folder, &values).await;
    let admin = registry.admin();
    admin.grant("anonymous", "pull", "prod/**").await;
    let [signed, unsigned] = [Image::random(1307, &[1000]), Image::random(1308, &[1000])];
    for (tag, image) in [("signed", &signed), ("unsigned", &unsigned)] {
        admin.push_image("prod/app", tag, image).await;
    }
    let signature = signer.simple(&signed.digest);
    admin.push_image("prod/app", &format!("{}.sig", signed.digest.as_str().replace(':', "-")), &signature).await;
    let edge = Edge::with(&[EdgeUpstream::longshore(&registry)], &[("cache.grant_ttl", "1s".into())]).await;
    // Both are kept at the edge before signatures are asked for.
    for (tag, image) in [("signed", &signed), ("unsigned", &unsigned)] {
        assert_eq!(edge.client().pull_image("prod/app", tag).await, image.digest);
    }
    let policy = format!(
        "[[key]]\nname = 'prod'\nfile = '{}'\n[[policy]]\nname = 'prod'\nrepositories = ['prod/**']\n\
         [[policy.pull.require]]\nsignature = {{ key = 'prod' }}\n",
        at("prod.pub")
    );
    std::fs::write(at("policy.toml"), policy).unwrap();
    registry.restart().await;
    let reference = unsigned.digest.as_str();
    let reason = registry.client().get_manifest("prod/app", reference).await.expect(403);
    until("the edge to ask again", std::time::Duration::from_secs(30), async || {
        (edge.client().get_manifest("prod/app", reference).await.status == 403).then_some(())
    })
    .await;
    let refused = edge.client().get_manifest("prod/app", reference).await.expect_error(403, "DENIED");
    assert_eq!(refused.json()["errors"][0]["code"], reason.json()["errors"][0]["code"]);
    assert_eq!(edge.client().pull_image("prod/app", "signed").await, signed.digest);
}

/// "Upstream down: what was remembered … for the same credential holds; nothing else."
async fn with_the_upstream_away_only_what_was_granted_holds() {
    let upstream = Upstream::start().await;
    let image = Image::random(1309, &[1_000_000]);
    upstream.hold(PRIVATE, "v1", &image);
    let (acme, both) = (Account::of("acme", "acme's secret"), Account::of("both", "the other reader's"));
    upstream.close(PRIVATE, &[&acme, &both]);
    let edge =
        Edge::with(&[EdgeUpstream::other(&upstream)], &[("cache.grant_ttl", "1s".into()), ("cache.tag_ttl", "1s".into())]).await;
    let tenant = edge.client().as_basic(&acme.name, &acme.secret);
    tenant.pull_image(PRIVATE, "v1").await;
    upstream.go_away();
    assert_eq!(tenant.pull_image(PRIVATE, "v1").await, image.digest, "a node still starts what it may");
    // Who may as well, but of whom nothing is known; and who may not.
    for stranger in
        [edge.client().as_basic(&both.name, &both.secret), edge.client(), edge.client().as_basic(&acme.name, "a guess")]
    {
        for path in [format!("/v2/{PRIVATE}/manifests/v1"), format!("/v2/{PRIVATE}/blobs/{}", digest_of(&image.blobs[1]))] {
            let refused = stranger.get(&path).await;
            assert!([401, 403, 502, 503, 504].contains(&refused.status.as_u16()), "{refused:?}");
            refused.error_codes();
        }
    }
    upstream.come_back();
    let other = edge.client().as_basic(&both.name, &both.secret);
    assert_eq!(other.pull_image(PRIVATE, "v1").await, image.digest);
}

/// As docker does, which shows an anonymous token for what anybody may have.
async fn what_is_public_is_known_as_such_though_all_show_tokens() {
    let mut registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let admin = registry.admin();
    let [private, public] = [1311, 1312].map(|seed| Image::random(seed, &[100_000]));
    admin.push_image(PRIVATE, "v1", &private).await;
    admin.push_image(PUBLIC, "v1", &public).await;
    admin.grant("anonymous", "pull", "open/**").await;
    let acme = admin.create_robot("acme", &[("pull", "acme/**")]).await;
    let edge = Edge::start(&[EdgeUpstream::longshore(&registry).set("follow_events", false)]).await;
    let token = async |client: Client, repository: &str| client.token(&[&format!("repository:{repository}:pull")]).await;
    // By which the edge learns what the registry's tokens are for.
    edge.client().get_manifest(PRIVATE, "v1").await.expect(401);
    let tenant = edge.client().as_bearer(&token(registry.as_account(&acme), PRIVATE).await);
    assert_eq!(tenant.pull_image(PRIVATE, "v1").await, private.digest);
    let anybody = edge.client().as_bearer(&token(registry.client(), PUBLIC).await);
    assert_eq!(anybody.pull_image(PUBLIC, "v1").await, public.digest);
    registry.kill9();
    let reference = public.digest.as_str();
    assert_eq!(edge.client().pull_image(PUBLIC, reference).await, public.digest, "who shows nothing");
    assert_eq!(tenant.pull_image(PUBLIC, reference).await, public.digest, "whose token is for something else");
    for path in [format!("manifests/{}", private.digest), format!("blobs/{}", digest_of(&private.blobs[1]))] {
        let refused = edge.client().get(&format!("/v2/{PRIVATE}/{path}")).await;
        assert!([401, 403, 502, 503, 504].contains(&refused.status.as_u16()), "{refused:?}");
    }
}

/// Who knows an account's name keeps nobody out of it who is in, and wrong guesses are held up all the same.
async fn a_right_password_is_not_held_up_by_wrong_ones() {
    let upstream = Upstream::start().await;
    let image = Image::random(1313, &[1000]);
    upstream.hold(PRIVATE, "v1", &image);
    let acme = Account::of("acme", "acme's secret");
    upstream.close(PRIVATE, &[&acme]);
    let limit = ("requests.failed_logins_per_account", 2.into());
    let edge = Edge::with(&[EdgeUpstream::other(&upstream)], &[limit]).await;
    let tenant = edge.client().as_basic(&acme.name, &acme.secret);
    assert_eq!(tenant.pull_image(PRIVATE, "v1").await, image.digest);
    for (secret, status) in [("a guess", 401), ("another guess", 401), ("a third one", 429)] {
        edge.client().as_basic(&acme.name, secret).get_manifest(PRIVATE, "v1").await.expect(status);
        assert_eq!(tenant.pull_image(PRIVATE, "v1").await, image.digest, "after {secret}");
    }
}

/// `docker login` at the edge, and a pull with what it has kept.
async fn docker_logs_in_through_the_edge() {
    let registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let layout = Layout::runnable(1310, &[100_000]).await;
    let admin = format!("admin:{}", Registry::ADMIN_PASSWORD);
    let seeded = format!("docker://{}/{PRIVATE}:v1", registry.authority());
    let arguments = ["--insecure-policy", "copy", "--preserve-digests", "--dest-tls-verify=false", "--dest-creds", &admin];
    run_ok("skopeo", [&arguments[..], &[layout.reference().as_str(), seeded.as_str()]].concat()).await;
    let acme = registry.admin().create_robot("acme", &[("pull", "acme/**")]).await;
    let other = registry.admin().create_robot("other", &[("pull", "other/**")]).await;
    let edge = Edge::start(&[EdgeUpstream::longshore(&registry)]).await;
    let image = format!("{}/{PRIVATE}:v1", edge.authority());
    let docker = Docker::start().await;
    longshore_tests::done(docker.login(edge.authority(), &acme).await);
    docker.ok(&["pull", &image]).await;
    docker.ok(&["rmi", "--force", &image]).await;
    docker.ok(&["logout", edge.authority()]).await;
    let refused = docker.run(&["pull", &image]).await;
    assert!(refused.code != Some(0), "{refused}");
    longshore_tests::done(docker.login(edge.authority(), &other).await);
    let refused = docker.run(&["pull", &image]).await;
    assert!(refused.code != Some(0), "{refused}");
}
