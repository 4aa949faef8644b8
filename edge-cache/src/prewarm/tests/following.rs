//! What is fetched ahead of who pulls its manifest.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_layers_of_a_pulled_manifest_are_fetched_ahead() {
    for vouches in [true, false] {
        let edge = Edge::roomy(vouches);
        let harbour = &edge.port.0;
        let (config, layer) = (harbour.blob(100, 1), harbour.blob(3_000_000, 2));
        let image = harbour.image(Some("a"), &[config.clone(), layer.clone()]);
        let index = harbour.index("i", &[(&image, "amd64")]);
        let pull = |digest: &Digest| edge.pull(digest, Arc::new(edge.port.clone()));
        pull(&index);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(harbour.asked_of(&layer.0), 0, "an index tells no platform");
        (0..50).for_each(|_| pull(&image));
        until(|| edge.is_here(&layer.0) && edge.is_here(&config.0)).await;
        assert_eq!(harbour.asked_of(&layer.0), layer.1);
        assert!(edge.pinned().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_fetched_ahead_keeps_nobody_from_prewarming() {
    let edge = Edge::roomy(true);
    let harbour = &edge.port.0;
    let layers: Vec<_> = (1..=3).map(|seed| harbour.blob(5 << 20, seed)).collect();
    let (pulled, wanted) = (harbour.image(None, &layers), harbour.blob(100, 9));
    harbour.image(Some("a"), slice::from_ref(&wanted));
    harbour.shut();
    edge.pull(&pulled, Arc::new(edge.port.clone()));
    until(|| layers.iter().filter(|layer| harbour.asked_of(&layer.0) > 0).count() >= 2).await;
    let operation = edge.begin(&["app:a"], None);
    until(|| harbour.asked_of(&wanted.0) > 0).await;
    harbour.open();
    assert_eq!(edge.done(&operation).await.state, State::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_followed_wherever_it_is_pulled_from() {
    let edge = Edge::roomy(true);
    let image = edge.port.0.image(None, &[edge.port.0.blob(100, 1)]);
    edge.port.0.shut();
    let begun = || edge.prewarm.0.metrics.follows.with_label_values(&["begun"]).get();
    (0..10).for_each(|_| edge.pull(&image, Arc::new(edge.port.clone())));
    assert_eq!(begun(), 1);
    (0..10).for_each(|_| edge.pull(&image, Arc::new(Neighbour(edge.port.clone()))));
    assert_eq!(begun(), 2);
    edge.port.0.open();
}
