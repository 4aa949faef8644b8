//! With the upstream away: what somebody was let in to stays open to them for a while, and no longer; and to nobody else.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use longshore_tests::{Account, Answer, Backend, Client, Edge, EdgeUpstream, Image, Registry, Upstream, digest_of, until};

longshore_tests::once!(
    a_tenant_s_right_holds_for_grant_stale,
    what_anybody_may_have_holds_for_public_stale,
    a_token_of_longshore_is_no_better,
    what_anybody_may_have_outlives_a_restart,
    what_is_shared_outlives_a_restart,
);

const PRIVATE: &str = "acme/private";
const PUBLIC: &str = "open/public";
/// How long a right counts while the upstream can be asked.
const TTL: Duration = Duration::from_secs(1);
/// How long the shorter of the two settings lets it count while it can't.
const STALE: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(60);

/// An edge that forgets soon: a tenant's right after `grant_stale`, and everybody's after `public_stale`.
async fn edge_of(upstream: EdgeUpstream, grant_stale: &str, public_stale: &str) -> Edge {
    let times = [
        ("cache.grant_ttl", "1s".into()),
        ("cache.tag_ttl", "1s".into()),
        ("cache.grant_stale", grant_stale.into()),
        ("cache.public_stale", public_stale.into()),
    ];
    Edge::with(&[upstream], &times).await
}

/// When somebody was let in to all of an image: between these.
struct Granted {
    from: Instant,
    to: Instant,
}

async fn pulled(client: &Client, repository: &str, image: &Image) -> Granted {
    let from = Instant::now();
    assert_eq!(client.pull_image(repository, "v1").await, image.digest);
    Granted { from, to: Instant::now() }
}

/// All that there is of an image.
fn paths(repository: &str, image: &Image) -> Vec<String> {
    let manifests = ["v1", image.digest.as_str()].map(|reference| format!("/v2/{repository}/manifests/{reference}"));
    let blobs = image.blobs.iter().map(|blob| format!("/v2/{repository}/blobs/{}", digest_of(blob)));
    manifests.into_iter().chain(blobs).collect()
}

/// That something is served, though the upstream is away, until [`STALE`] is over, and then is not.
async fn ends(client: &Client, path: &str, granted: &Granted) {
    let mut was_stale = false;
    until(&format!("the right to {path} to end"), LIMIT, async || {
        let (is_past_its_ttl, is_over) = (granted.to.elapsed() > TTL, granted.to.elapsed() > STALE);
        let answer = client.get(path).await;
        if answer.status == 200 {
            assert!(!is_over, "{path} is open after {:?}", granted.to.elapsed());
            was_stale |= is_past_its_ttl;
            return None;
        }
        assert!(granted.from.elapsed() >= STALE, "{path} is closed after {:?}: {answer:?}", granted.from.elapsed());
        is_away(&answer);
        Some(())
    })
    .await;
    assert!(was_stale, "{path} was not asked for after its time");
}

async fn all_end(client: &Client, paths: &[String], granted: &Granted) {
    join_all(paths.iter().map(|path| ends(client, path, granted))).await;
}

/// That somebody of whom nothing was seen gets nothing.
async fn gets_nothing(client: &Client, paths: &[String]) {
    for path in paths {
        let refused = client.get(path).await;
        assert!([401, 403, 502, 503, 504].contains(&refused.status.as_u16()), "{path}: {refused:?}");
        refused.error_codes();
    }
}

/// That a client is told that the upstream can't be asked, and not that it may not.
#[track_caller]
fn is_away(answer: &Answer) {
    assert!([502, 503, 504].contains(&answer.status.as_u16()), "{answer:?}");
    answer.error_codes();
}

/// A registry of the tests' own with an image of one tenant and of another who has not pulled it yet, and one for everybody.
struct Place {
    upstream: Upstream,
    private: Image,
    public: Image,
    tenant: Account,
    other: Account,
}

impl Place {
    async fn start(seed: u64) -> Self {
        let upstream = Upstream::start().await;
        let [private, public] = [seed, seed + 1].map(|seed| Image::random(seed, &[100_000]));
        upstream.hold(PRIVATE, "v1", &private);
        upstream.hold(PUBLIC, "v1", &public);
        let (tenant, other) = (Account::of("acme", "acme's secret"), Account::of("other", "the other tenant's"));
        upstream.close(PRIVATE, &[&tenant, &other]);
        Self { upstream, private, public, tenant, other }
    }
}

fn as_account(edge: &Edge, account: &Account) -> Client {
    edge.client().as_basic(&account.name, &account.secret)
}

async fn a_tenant_s_right_holds_for_grant_stale() {
    let place = Place::start(2500).await;
    let edge = edge_of(EdgeUpstream::other(&place.upstream), "5s", "1h").await;
    let (tenant, other) = (as_account(&edge, &place.tenant), as_account(&edge, &place.other));
    pulled(&edge.client(), PUBLIC, &place.public).await;
    let granted = pulled(&tenant, PRIVATE, &place.private).await;
    place.upstream.go_away();
    let paths = paths(PRIVATE, &place.private);
    let strangers = [other.clone(), edge.client()];
    let strangers = join_all(strangers.iter().map(|stranger| gets_nothing(stranger, &paths)));
    tokio::join!(all_end(&tenant, &paths, &granted), strangers);
    assert_eq!(edge.client().pull_image(PUBLIC, "v1").await, place.public.digest, "that has a time of its own");
    place.upstream.come_back();
    for client in [&tenant, &other] {
        assert_eq!(client.pull_image(PRIVATE, "v1").await, place.private.digest);
    }
}

async fn what_anybody_may_have_holds_for_public_stale() {
    let place = Place::start(2510).await;
    let edge = edge_of(EdgeUpstream::other(&place.upstream), "1h", "5s").await;
    let (tenant, other) = (as_account(&edge, &place.tenant), as_account(&edge, &place.other));
    pulled(&tenant, PRIVATE, &place.private).await;
    let granted = pulled(&edge.client(), PUBLIC, &place.public).await;
    place.upstream.go_away();
    // Whoever it is.
    assert_eq!(other.pull_image(PUBLIC, "v1").await, place.public.digest);
    all_end(&edge.client(), &paths(PUBLIC, &place.public), &granted).await;
    gets_nothing(&other, &paths(PUBLIC, &place.public)).await;
    assert_eq!(tenant.pull_image(PRIVATE, "v1").await, place.private.digest, "that has a time of its own");
    place.upstream.come_back();
    assert_eq!(other.pull_image(PUBLIC, "v1").await, place.public.digest);
}

/// Its signature says what it covers, and not whether it still counts: that the registry says.
async fn a_token_of_longshore_is_no_better() {
    let mut registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let admin = registry.admin();
    let image = Image::random(2520, &[100_000]);
    admin.push_image(PRIVATE, "v1", &image).await;
    let scope = format!("repository:{PRIVATE}:pull");
    let edge = edge_of(EdgeUpstream::longshore(&registry).set("follow_events", false), "5s", "1h").await;
    let mut clients = Vec::new();
    for name in ["acme", "other"] {
        let robot = admin.create_robot(name, &[("pull", PRIVATE)]).await;
        clients.push(edge.client().as_bearer(&registry.as_account(&robot).token(&[&scope]).await));
    }
    let [tenant, other] = &clients[..] else { panic!("there are two") };
    let granted = pulled(tenant, PRIVATE, &image).await;
    registry.kill9();
    let paths = paths(PRIVATE, &image);
    tokio::join!(all_end(tenant, &paths, &granted), gets_nothing(other, &paths));
    registry.restart().await;
    for client in [tenant, other] {
        assert_eq!(client.pull_image(PRIVATE, "v1").await, image.digest);
    }
}

/// Ends an edge and, before it starts again, its upstream.
async fn restart_without(edge: &mut Edge, upstream: &Upstream) {
    edge.sigterm();
    assert!(edge.ended(LIMIT).await.success());
    upstream.go_away();
    edge.restart().await;
}

/// That all of an image is served, and the tag as one that nobody could be asked about.
async fn is_served_stale(client: &Client, repository: &str, image: &Image) {
    let tagged = client.get_manifest(repository, "v1").await.expect(200);
    assert!(tagged.required("warning").starts_with("110 "), "{tagged:?}");
    assert_eq!(client.pull_image(repository, "v1").await, image.digest);
    assert_eq!(client.pull_image(repository, image.digest.as_str()).await, image.digest);
}

async fn what_anybody_may_have_outlives_a_restart() {
    let place = Place::start(2530).await;
    let mut edge = edge_of(EdgeUpstream::other(&place.upstream), "1h", "1h").await;
    pulled(&edge.client(), PUBLIC, &place.public).await;
    pulled(&as_account(&edge, &place.tenant), PRIVATE, &place.private).await;
    restart_without(&mut edge, &place.upstream).await;
    is_served_stale(&edge.client(), PUBLIC, &place.public).await;
    is_served_stale(&as_account(&edge, &place.other), PUBLIC, &place.public).await;
    // Who was let in to what is not for everybody is remembered by nobody.
    let paths = paths(PRIVATE, &place.private);
    for client in [edge.client(), as_account(&edge, &place.tenant), as_account(&edge, &place.other)] {
        gets_nothing(&client, &paths).await;
    }
    place.upstream.come_back();
    assert_eq!(as_account(&edge, &place.tenant).pull_image(PRIVATE, "v1").await, place.private.digest);
}

async fn what_is_shared_outlives_a_restart() {
    let place = Place::start(2540).await;
    let shared = EdgeUpstream::other(&place.upstream).as_account(&place.tenant).set("shares_access", true);
    let mut edge = edge_of(shared, "1h", "1h").await;
    pulled(&edge.client(), PRIVATE, &place.private).await;
    restart_without(&mut edge, &place.upstream).await;
    is_served_stale(&edge.client(), PRIVATE, &place.private).await;
}
