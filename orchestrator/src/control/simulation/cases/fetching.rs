//! Images that are fetched before they are needed.

use longshore_fleet::{FetchState, api::OperationState};

use super::scene::{Scene, image};
use crate::control::ControlSettings;

#[test]
fn numbers_of_any_size_end_no_leader() {
    let mut scene = Scene::new(ControlSettings::default());
    let (one, other, app) = (scene.node(1, "a", 1_000), scene.node(2, "a", 1_000), image("app"));
    let id = scene.prewarm(1, &[&app]);
    for node in [one, other] {
        scene.fetched(node, id, &app, FetchState::Done, u64::MAX);
        scene.pass(1_000, &[]);
    }
    let view = &scene.database.operations[&id].view;
    assert_eq!((view.state, view.bytes_total), (OperationState::Succeeded, u64::MAX));
}

#[test]
fn another_leader_has_nodes_go_on_once_they_listen() {
    let mut scene = Scene::new(ControlSettings::default());
    let (node, app) = (scene.node(1, "a", 1_000), image("app"));
    let id = scene.prewarm(1, &[&app]);
    assert_eq!(scene.told_to_fetch(&app), [node]);
    scene.take_over();
    scene.pass(1_000, &[]);
    assert_eq!(scene.told_to_fetch(&app), [], "nobody listens");
    scene.open(node);
    scene.pass(1_000, &[]);
    assert_eq!(scene.told_to_fetch(&app), [node]);
    scene.fetched(node, id, &app, FetchState::Done, 1);
    scene.pass(1_000, &[]);
    assert_eq!(scene.database.operations[&id].view.state, OperationState::Succeeded);
}

#[test]
fn a_node_that_listens_after_all_others_are_done_fetches_all_the_same() {
    let mut scene = Scene::new(ControlSettings::default());
    let (node, late, app) = (scene.node(1, "a", 1_000), scene.node(2, "a", 1_000), image("app"));
    scene.take_over();
    scene.open(node);
    let id = scene.prewarm(1, &[&app]);
    scene.fetched(node, id, &app, FetchState::Done, 1);
    scene.pass(5_000, &[node]);
    assert_eq!(scene.told_to_fetch(&app), [node]);
    scene.open(late);
    scene.pass(1_000, &[]);
    assert_eq!(scene.told_to_fetch(&app), [late]);
}

#[test]
fn a_lost_node_leaves_its_turn_to_others_and_a_removed_one_fails() {
    let settings = ControlSettings { fetches_at_once: 1, ..ControlSettings::default() };
    let mut scene = Scene::new(settings);
    let (lost, other, app) = (scene.node(1, "a", 1_000), scene.node(2, "a", 1_000), image("app"));
    let id = scene.prewarm(1, &[&app]);
    assert_eq!(scene.told_to_fetch(&app), [lost]);
    scene.pass(40_000, &[other]);
    assert_eq!(scene.told_to_fetch(&app), [other]);
    scene.fetched(other, id, &app, FetchState::Done, 1);
    scene.pass(1_000, &[]);
    assert_eq!(scene.database.operations[&id].view.state, OperationState::Running, "the other may come back");
    scene.database.remove_node(lost);
    scene.controller.remove_node(lost);
    scene.pass(1_000, &[]);
    let view = &scene.database.operations[&id].view;
    assert_eq!(view.state, OperationState::Failed);
    let failed = &view.nodes[&"n1".parse().unwrap()][0];
    assert_eq!((failed.state, failed.message.as_deref()), (FetchState::Failed, Some("its node was removed")));
}

#[test]
fn a_node_that_was_removed_while_nobody_led_has_failed() {
    let mut scene = Scene::new(ControlSettings::default());
    let (gone, node, app) = (scene.node(1, "a", 1_000), scene.node(2, "a", 1_000), image("app"));
    let id = scene.prewarm(1, &[&app]);
    scene.database.remove_node(gone);
    scene.take_over();
    scene.open(node);
    scene.fetched(node, id, &app, FetchState::Done, 1);
    scene.pass(1_000, &[]);
    assert_eq!(scene.database.operations[&id].view.state, OperationState::Failed);
}

#[test]
fn fetches_from_outside_are_bounded_for_all_operations_together() {
    let settings = ControlSettings { fetches_from_outside: 1, ..ControlSettings::default() };
    let mut scene = Scene::new(settings);
    let (node, one, other) = (scene.node(1, "a", 1_000), image("one"), image("other"));
    let first = scene.prewarm(1, &[&one]);
    scene.prewarm(2, &[&other]);
    assert_eq!((scene.told_to_fetch(&one), scene.told_to_fetch(&other)), (vec![node], vec![]));
    scene.fetched(node, first, &one, FetchState::Done, 1);
    scene.pass(1_000, &[]);
    assert_eq!(scene.told_to_fetch(&other), [node]);
}

#[test]
fn its_progress_is_told_where_it_was_asked_for() {
    let mut scene = Scene::new(ControlSettings::default());
    let (node, app) = (scene.node(1, "a", 1_000), image("app"));
    let id = scene.prewarm(1, &[&app]);
    scene.fetched(node, id, &app, FetchState::Fetching, 5);
    scene.pass(10_000, &[node]);
    let told: Vec<_> = scene.events.iter().filter(|event| event.id == id.to_string()).collect();
    assert_eq!(told.len(), 2, "once each time that something is other: {told:?}");
    assert!(told.iter().all(|event| event.name == "prewarm" && event.namespace.as_ref().unwrap().as_str() == "default"));
}
