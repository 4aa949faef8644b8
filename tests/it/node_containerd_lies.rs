//! Who says what is not so: a registry that says it has what containerd holds by another, and a containerd whose disk is wrong. Neither
//! gets anybody a byte that is not theirs or not right, and what is logged and counted names who it was.

use bytes::Bytes;
use libp2p_identity::Keypair;
use longshore_oci::Digest;
use longshore_p2p::{
    locality::Locality,
    plane::{Connection, Endpoint, Event, Limits, NodeKey, dial_record},
    topic::Topic,
};
use longshore_tests::{
    Account, Backend, Client, Containerd, Edge, EdgeUpstream, Image, Misdeed, Plan, Random, Registry, Taken, Upstream, digest_of,
    run_ok, until,
};
use serde_json::Value;

use crate::node_containerd::{
    CONTENT, HOST, LIMIT, MIB, READ, RECEIVED, WRONG, comes_from_the_neighbour, digests, evict, fetch, image, node_of,
    slow_node_beside,
};

longshore_tests::once!(
    a_registry_that_lies_is_shown_nothing_of_what_another_brought,
    a_registry_that_lies_is_not_believed_of_what_containerd_pulled_by_itself,
    one_wrong_byte_in_containerds_store_reaches_nobody,
);

const LAYER_BYTES: usize = 4 * MIB + 5;
const LIAR: &str = "liar.example";
const TWIN: &str = "twin.example";
/// What is logged where containerd is wrong, and where a registry is.
const STORE_IS_WRONG: &str = "containerd's store holds other bytes";
const REGISTRY_IS_WRONG: &str = "a registry says of a blob's pieces what they are not";
const UPSTREAM_IS_WRONG: &str = "an upstream sent what a blob is not";

/// A registry of ours that says it has an image's layer, and has something else of the same length; it signs what that is made of.
async fn liar_about(image: &Image) -> Registry {
    let registry = Registry::embedded().await;
    let (truth, lie) = (digest_of(&image.blobs[1]), Random::seeded(77).bytes(LAYER_BYTES));
    let lie = registry.client().push_blob("team/app", &lie).await;
    let columns = "size_bytes, object_key, pieces, created_at";
    let lying = format!(
        "INSERT INTO blobs (digest, {columns}) SELECT '{truth}', {columns} FROM blobs WHERE digest = '{lie}'; \
         INSERT INTO repository_blobs (repository_id, digest, created_at) \
         SELECT repository_id, '{truth}', created_at FROM repository_blobs WHERE digest = '{lie}'"
    );
    registry.index().execute(&lying).await;
    registry.client().push_blob("team/app", &image.blobs[0]).await;
    registry.client().put_manifest("team/app", "v1", &image.media_type, &image.manifest).await.expect(201);
    registry
}

/// Another kind of registry that says it has all of an image, and sends no blob.
fn boaster_about(image: &Image, boaster: &Upstream) {
    boaster.hold("team/app", "v1", image);
    boaster.misbehave(vec![Plan::always(Misdeed::Refuse(404, None)).method("GET").containing("/blobs/")]);
}

/// Whether a stranger is told by a node that something is here of a blob, as of a registry that anybody may pull from.
async fn is_told(node: &Edge, registry: &str, digest: &Digest) -> bool {
    let told = node.client().get("/v2/_longshore/edge/swarm").await.expect(200).json()["node"].clone();
    let at = serde_json::from_value(told).expect("it says where it is");
    let key = NodeKey::from(Keypair::generate_ed25519());
    let endpoint = Endpoint::new(&key, None, Locality::default(), Limits::default()).expect("an endpoint");
    let Connection { sender, mut reader, writer, .. } = dial_record(&endpoint, &at).await.expect("anybody may connect");
    tokio::spawn(writer.run());
    let topic = Topic { registry: registry.into(), repository: "team/app".parse().expect("a name"), digest: digest.clone() };
    sender.open(topic, None, false).expect("it is said");
    loop {
        match tokio::time::timeout(LIMIT, reader.next()).await.expect("it is answered").expect("it stays connected") {
            Event::Opened { .. } => return true,
            Event::Refused { .. } => return false,
            _ => {}
        }
    }
}

/// What comes of a layer by way of a registry.
async fn taken(node: &Client, layer: &Bytes, registry: &str) -> Taken {
    node.take(&format!("/v2/team/app/blobs/{}?ns={registry}", digest_of(layer)), layer).await
}

/// That nothing came but, it may be, what the registry has instead, which harms its own callers alone.
fn assert_nothing_of_it(taken: &Taken) {
    let is_refused = taken.status.is_none_or(|status| status >= 400);
    assert!(is_refused || taken.bytes == 0 || taken.wrong_after.is_some_and(|right| right < 16), "{taken:?}");
}

/// A registry that asks who calls, with an image that one account may pull.
async fn closed(seed: u64) -> (Registry, Account, Image) {
    let registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let image = Image::random(seed, &[LAYER_BYTES]);
    registry.admin().push_image("team/app", "v1", &image).await;
    let may = registry.admin().create_robot("may", &[("pull", "team/*")]).await;
    (registry, may, image)
}

async fn a_registry_that_lies_is_shown_nothing_of_what_another_brought() {
    let (registry, may, image) = closed(71).await;
    let (liar, boaster, layer) = (liar_about(&image).await, Upstream::start().await, &image.blobs[1]);
    // One that does not lie.
    let twin = Registry::embedded().await;
    twin.client().push_image("team/app", "v1", &image).await;
    boaster_about(&image, &boaster);
    let containerd = Containerd::start().await;
    let socket = containerd.socket().display().to_string();
    let values: [(&str, Value); 3] =
        [("swarm.zone", "a".into()), ("containerd.address", socket.into()), ("containerd.poll_interval", "200ms".into())];
    let of_liar = EdgeUpstream::new("liar", liar.url()).set("hosts", vec![LIAR]);
    let upstreams = [
        EdgeUpstream::longshore(&registry).as_account(&may).set("hosts", vec![HOST]),
        of_liar.clone(),
        EdgeUpstream::other(&boaster),
        EdgeUpstream::new("twin", twin.url()).set("hosts", vec![TWIN]),
    ];
    let node = Edge::node(&upstreams, &values).await;
    let client = node.client();
    fetch(&containerd, &node).await;
    until("the node to look", LIMIT, async || (node.metric(CONTENT).await >= 3.0).then_some(())).await;
    // While the cache has it, too, and when only containerd does.
    for is_cached in [true, false] {
        if !is_cached {
            evict(&node, &digests(&image)).await;
        }
        // The tag and the manifest are the liars' to give.
        for registry in [LIAR, boaster.authority()] {
            let manifest = client.get(&format!("/v2/team/app/manifests/v1?ns={registry}")).await.expect(200);
            assert_eq!(digest_of(&manifest.body), image.digest);
            for _ in 0..3 {
                assert_nothing_of_it(&taken(&client, layer, registry).await);
            }
        }
    }
    // But for the piece by which its own registry may have shown to have it.
    assert!(node.metric(READ).await <= MIB as f64, "nothing was read for them");
    node.logs(&[REGISTRY_IS_WRONG, digest_of(layer).as_str(), "liar"]).await;
    assert_eq!(node.metric(WRONG).await, 0.0, "it is not containerd that is wrong:\n{}", node.log());
    // Nor to a neighbour, who may pull from the liar alone.
    let values = [("swarm.zone", "a".into()), ("swarm.join", vec![node.authority()].into())];
    let neighbour = Edge::node(&[of_liar], &values).await;
    let connected = "longshore_swarm_connections";
    assert_nothing_of_it(&taken(&neighbour.client(), layer, LIAR).await);
    until("the nodes to meet", LIMIT, async || (node.metric(connected).await > 0.0).then_some(())).await;
    for _ in 0..3 {
        assert_nothing_of_it(&taken(&neighbour.client(), layer, LIAR).await);
    }
    assert!(node.metric(READ).await <= MIB as f64, "nothing was read for it");
    // Whose it is has it from there.
    assert!(taken(&client, layer, HOST).await.is_right());
    let read = node.metric(READ).await;
    assert!(read >= LAYER_BYTES as f64);
    // And who says so truly has shown it by that.
    evict(&node, std::slice::from_ref(&digest_of(layer))).await;
    assert!(taken(&client, layer, TWIN).await.is_right());
    assert!(node.metric(READ).await >= read + LAYER_BYTES as f64, "it came from there");
}

/// containerd notes a registry without its port, so that all of these may be meant; each is asked.
async fn a_registry_that_lies_is_not_believed_of_what_containerd_pulled_by_itself() {
    let (registry, twin) = (Registry::embedded().await, Registry::embedded().await);
    let image = image(&registry, 73, &[LAYER_BYTES]).await;
    twin.client().push_image("team/app", "v1", &image).await;
    let (liar, layer) = (liar_about(&image).await, digest_of(&image.blobs[1]));
    let containerd = Containerd::start().await;
    containerd.ok(&["content", "fetch", "--plain-http", &format!("{}/team/app:v1", registry.authority())]).await;
    let socket = containerd.socket().display().to_string();
    let values = [("containerd.address", socket.into()), ("containerd.poll_interval", "200ms".into())];
    let others = [("liar", &liar), ("twin", &twin)].map(|(name, registry)| EdgeUpstream::new(name, registry.url()));
    let node = Edge::node(&[&[EdgeUpstream::longshore(&registry)], &others[..]].concat(), &values).await;
    for of in ["harbor", "twin"] {
        let is_told = async || is_told(&node, of, &layer).await.then_some(());
        until(&format!("others to hear of what {of} has"), LIMIT, is_told).await;
    }
    node.logs(&[REGISTRY_IS_WRONG, layer.as_str(), "liar"]).await;
    assert!(!is_told(&node, "liar", &layer).await, "nobody hears that what it says it has is here");
    assert_eq!(node.metric(WRONG).await, 0.0, "it is not containerd that is wrong:\n{}", node.log());
    assert!(node.metric(READ).await < LAYER_BYTES as f64, "it took a piece of each");
}

/// Turns one byte of a blob over, in containerd's own file of it.
async fn flip(containerd: &Containerd, blob: &Digest, place: usize) {
    let file = containerd.content_file(blob);
    run_ok("chmod", ["u+w".as_ref(), file.as_os_str()]).await;
    let mut bytes = std::fs::read(&file).expect("tests run as root");
    bytes[place] ^= 1;
    std::fs::write(&file, bytes).expect("tests run as root");
}

async fn one_wrong_byte_in_containerds_store_reaches_nobody() {
    let registry = Registry::embedded().await;
    let image = image(&registry, 72, &[6 * MIB]).await;
    let containerd = Containerd::start().await;
    let node = node_of(&registry, &containerd, &[]).await;
    fetch(&containerd, &node).await;
    until("the node to look", LIMIT, async || (node.metric(CONTENT).await >= 3.0).then_some(())).await;
    evict(&node, &digests(&image)).await;
    let layer = digest_of(&image.blobs[1]);
    flip(&containerd, &layer, 4 * MIB + 7).await;
    // Clients of its own first: what comes before it is right, and what follows comes from the registry.
    let all = node.client().take_blob("team/app", &image.blobs[1]).await;
    assert!(all.is_right(), "{all:?}");
    assert!(node.metric(READ).await >= (2 * MIB) as f64, "it has begun with what containerd holds");
    node.logs(&[STORE_IS_WRONG, layer.as_str(), "containerd"]).await;
    assert_eq!(node.metric(WRONG).await, 1.0);
    assert_eq!(node.metric(Edge::WRONG).await, 0.0, "it was not the upstream");
    for words in [UPSTREAM_IS_WRONG, REGISTRY_IS_WRONG] {
        assert!(!node.log().contains(words), "{}", node.log());
    }
    let neighbour = slow_node_beside(&registry, &node).await;
    assert_eq!(neighbour.client().pull_image("team/app", "v1").await, image.digest);
    assert!(neighbour.metric(RECEIVED).await >= (6 * MIB) as f64);
    assert_eq!(neighbour.metric("longshore_swarm_banned_total").await, 0.0, "nothing wrong was sent");
    // It has all of it now, and would bring it to the next.
    drop(neighbour);
    // containerd has it anew, and is believed again.
    containerd.remove_content(std::slice::from_ref(&layer)).await;
    until("the node to look", LIMIT, async || (node.metric(CONTENT).await == 2.0).then_some(())).await;
    fetch(&containerd, &node).await;
    until("the node to look", LIMIT, async || (node.metric(CONTENT).await >= 3.0).then_some(())).await;
    evict(&node, std::slice::from_ref(&layer)).await;
    comes_from_the_neighbour(&registry, &node, &image).await;
}
