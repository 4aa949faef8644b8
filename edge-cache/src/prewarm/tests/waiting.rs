//! What waits, for clients or upstreams, and what ends it.

use super::*;

/// An operation whose pins are there, and whose blobs wait.
async fn held(edge: &Edge) -> Arc<Operation> {
    let harbour = &edge.port.0;
    harbour.image(Some("a"), &[harbour.blob(6 << 20, 1)]);
    harbour.shut();
    let operation = edge.begin(&["app:a"], Some("1h"));
    until(|| !edge.pinned().is_empty()).await;
    operation
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_it_ends_and_pins_nothing() {
    let edge = Edge::roomy(true);
    let operation = held(&edge).await;
    let path = format!("/v2/_longshore/operations/{}", operation.id());
    assert_eq!(edge.ask(Method::DELETE, &path, "*/*", &Value::Null).await.0, StatusCode::ACCEPTED);
    let view = edge.done(&operation).await;
    assert_eq!((view.state, view.images[0].state), (State::Cancelled, State::Cancelled));
    assert_eq!(view.error.as_deref(), Some("it was cancelled"));
    assert!(edge.pinned().is_empty());
    edge.port.0.open();
    let again = edge.begin(&["app:a"], Some("1h"));
    assert_eq!((again.id() == operation.id(), edge.done(&again).await.state), (false, State::Done));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_the_edge_and_pins_nothing() {
    let edge = Edge::roomy(true);
    let operation = held(&edge).await;
    edge.stop.cancel();
    edge.tasks.close();
    edge.tasks.wait().await;
    assert_eq!((operation.view().state, edge.pinned()), (State::Cancelled, vec![]));
    let why = operation.view().error.clone().unwrap();
    assert!(why.contains("was stopped") && why.contains("goes on from there"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_it() {
    let edge = Edge::roomy(true);
    edge.port.0.image(Some("a"), &[edge.port.0.blob(100, 1)]);
    edge.port.0.shut();
    let view = edge.done(&edge.begin_for(&["app:a"], 200)).await;
    assert_eq!(view.state, State::Failed);
    assert!(view.error.as_deref().unwrap().contains("deadline"));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_an_upstream_that_is_left_alone() {
    for vouches in [true, false] {
        let edge = Edge::roomy(vouches);
        let harbour = &edge.port.0;
        let layer = harbour.blob(3_000_000, 1);
        harbour.image(Some("a"), slice::from_ref(&layer));
        harbour.away_for_manifests.store(1, Ordering::SeqCst);
        harbour.away_for_blobs.store(1, Ordering::SeqCst);
        let view = edge.done(&edge.begin(&["app:a"], Some("1h"))).await;
        assert_eq!((view.state, view.progress.bytes_done), (State::Done, layer.1), "{view:?}");
        assert_eq!(harbour.asked_of(&layer.0), layer.1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gave_no_deadline_is_told_after_a_while_in_which_nothing_came() {
    let mut edge = Edge::roomy(true);
    let shared = Arc::get_mut(&mut edge.prewarm.0).expect("nothing was begun");
    shared.settings.patience = Duration::from_millis(2500);
    let harbour = edge.port.0.clone();
    harbour.image(Some("a"), &[harbour.blob(6 << 20, 1)]);
    // It fails, is back a second later, and then says nothing more.
    harbour.away_for_blobs.store(1, Ordering::SeqCst);
    harbour.shut();
    let begun = std::time::Instant::now();
    let view = edge.done(&edge.begin(&["app:a"], None)).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(2500) && took < Duration::from_secs(10), "{took:?}");
    assert_eq!((view.state, view.images[0].state), (State::Failed, State::Failed));
    let why = view.images[0].error.as_deref().unwrap();
    assert!(why.contains("left alone"), "what it failed with: {why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_an_upstream_can_be_ended() {
    let edge = Edge::roomy(true);
    let harbour = &edge.port.0;
    harbour.image(Some("a"), &[harbour.blob(100, 1)]);
    harbour.away_for_manifests.store(usize::MAX, Ordering::SeqCst);
    let asked = || harbour.away_for_manifests.load(Ordering::SeqCst) < usize::MAX;
    let operation = edge.begin(&["app:a"], Some("1h"));
    until(asked).await;
    // Others have their turn meanwhile.
    until(|| edge.prewarm.0.images_at_once.available_permits() == 4).await;
    operation.cancel();
    assert_eq!(edge.done(&operation).await.state, State::Cancelled);
    let view = edge.done(&edge.begin_for(&["app:a"], 200)).await;
    assert!(view.state == State::Failed && view.error.as_deref().unwrap().contains("deadline"), "{view:?}");
    assert!(edge.pinned().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn images_of_a_dead_upstream_say_so_and_keep_no_other_from_coming() {
    let edge = Edge::roomy(true);
    let harbour = &edge.port.0;
    harbour.image(Some("good"), &[harbour.blob(100, 1)]);
    let operation = edge.begin_for(&["app:dead1", "app:dead2", "app:dead3", "app:dead4", "app:good"], 3000);
    let says_why = |image: &ImageView| image.error.as_deref().is_some_and(|error| error.contains("left alone"));
    until(|| operation.view().images[4].state == State::Done).await;
    until(|| operation.view().images[..4].iter().all(|image| image.state == State::Resolving && says_why(image))).await;
    let view = edge.done(&operation).await;
    assert_eq!((view.state, view.images[4].state, view.images[4].error.as_deref()), (State::Failed, State::Done, None));
    assert!(view.images[..4].iter().all(|image| image.state == State::Failed && says_why(image)), "{view:?}");
    let error = view.error.as_deref().unwrap();
    assert!(error.contains("deadline") && error.contains("app:dead1 last waited") && error.contains("left alone"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_while_clients_are_served() {
    let edge = Edge::new(true, 1 << 30, Duration::from_mins(10));
    let harbour = &edge.port.0;
    let (wanted, later) = (harbour.blob(5 << 20, 1), harbour.blob(5 << 20, 2));
    harbour.image(Some("a"), slice::from_ref(&later));
    harbour.shut();
    let source = Arc::new(edge.port.clone());
    let opened = edge.blobs.open(&wanted.0, source, RangeRequest::Whole).await.unwrap();
    let reading = tokio::spawn(opened.body.collect());
    until(|| harbour.asked_of(&wanted.0) > 0).await;
    let operation = edge.begin(&["app:a"], None);
    until(|| operation.view().images[0].state == State::Running).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(harbour.asked_of(&later.0), 0, "a client waits");
    harbour.open();
    assert_eq!(reading.await.unwrap().unwrap().to_bytes().len(), 5 << 20);
    assert_eq!(edge.done(&operation).await.state, State::Done);
    assert_eq!(harbour.asked_of(&later.0), later.1);
}
