//! What containerd's store holds leaves the node's cache first, or soon: no layer need be on the disk twice.

use longshore_tests::{Containerd, Image, Registry, digest_of, until};

use crate::node_containerd::{FROM_ORIGIN, LIMIT, MIB, READ, comes_from_the_neighbour, fetch, image, knows, node_of};

longshore_tests::once!(copies_leave_the_cache, what_containerd_holds_makes_room_first);

async fn copies_leave_the_cache() {
    let registry = Registry::embedded().await;
    let image = image(&registry, 5, &[5 * MIB, 2 * MIB]).await;
    let containerd = Containerd::start().await;
    let first = node_of(&registry, &containerd, &[("containerd.drop_copies", true.into())]).await;
    fetch(&containerd, &first).await;
    let is_gone = async || (!first.blob_file(&digest_of(&image.blobs[1])).exists()).then_some(());
    until("the copy to go", LIMIT, is_gone).await;
    knows(&first, 4.0).await;
    comes_from_the_neighbour(&registry, &first, &image).await;
}

async fn what_containerd_holds_makes_room_first() {
    let registry = Registry::embedded().await;
    let [held, other, third] = [12, 13, 14].map(|seed| Image::random(seed, &[8 * MIB]));
    for (repository, image) in [("team/app", &held), ("team/other", &other), ("team/third", &third)] {
        registry.client().push_image(repository, "v1", image).await;
    }
    let containerd = Containerd::start().await;
    let node = node_of(&registry, &containerd, &[("cache.quota", "20MiB".into()), ("cache.memory", 0.into())]).await;
    node.client().pull_image("team/other", "v1").await;
    fetch(&containerd, &node).await;
    knows(&node, 3.0).await;
    // It is asked for most, and last: by itself it is what is kept longest.
    for _ in 0..5 {
        node.client().pull_image("team/app", "v1").await;
    }
    let is_here = |image: &Image| node.blob_file(&digest_of(&image.blobs[1])).exists();
    assert!(is_here(&held) && is_here(&other));
    node.client().pull_image("team/third", "v1").await;
    until("room to be made", LIMIT, async || (!is_here(&held)).then_some(())).await;
    assert!(is_here(&other) && is_here(&third), "what is nowhere else stays");
    let (before, fetched) = (node.metric(READ).await, node.metric(FROM_ORIGIN).await);
    node.client().pull_image("team/app", "v1").await;
    assert!(node.metric(READ).await - before >= (8 * MIB) as f64, "it is served from there");
    assert_eq!(node.metric(FROM_ORIGIN).await, fetched);
}
