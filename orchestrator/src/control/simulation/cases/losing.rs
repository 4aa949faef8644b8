//! Nodes that are lost.

use serde_json::json;

use super::scene::Scene;
use crate::control::ControlSettings;

#[test]
fn a_priority_that_nobody_could_ask_for_today_ends_no_leader() {
    let mut scene = Scene::new(ControlSettings::default());
    let lost = scene.node(1, "a", 4_000);
    let id = scene.deployment(1, json!({}));
    scene.database.workloads.get_mut(&id).unwrap().spec["priority"] = json!(i32::MIN);
    scene.reload(id);
    assert_eq!(scene.pod(scene.pods(id)[0]).node, Some(lost));
    let other = scene.node(2, "a", 4_000);
    scene.pass(40_000, &[other]);
    assert_eq!(scene.pod(scene.pods(id)[0]).node, Some(other));
}

#[test]
fn however_many_nodes_are_lost_one_after_another_no_more_pods_are_replaced_in_a_second() {
    let settings = ControlSettings { replaced_per_second: 2, ..ControlSettings::default() };
    let mut scene = Scene::new(settings);
    let lost: Vec<_> = (1..=4).map(|number| scene.node(number, "a", 3_000)).collect();
    let id = scene.deployment(1, json!({"replicas": 12, "resources": {"requests": {"cpu": "1"}}}));
    assert_eq!(scene.placed(id).len(), 12);
    let others: Vec<_> = (5..=15).map(|number| scene.node(number, "a", 1_000)).collect();
    // They fall silent a fifth of a second after one another.
    for node in &lost {
        scene.pass(200, &[]);
        scene.report(*node, |_| {});
    }
    let replaced = |scene: &Scene| scene.events.iter().filter(|event| event.message.contains("takes its place")).count();
    let mut by_tenth = Vec::new();
    for _ in 0..400 {
        scene.now += 100;
        for node in &others {
            scene.report(*node, |_| {});
        }
        scene.decide();
        by_tenth.push(replaced(&scene));
    }
    assert_eq!(by_tenth.last(), Some(&12), "all are replaced");
    let most = by_tenth.windows(10).map(|second| second[9] - second[0]).max();
    assert_eq!(most, Some(2), "{by_tenth:?}");
}

#[test]
fn nodes_that_have_not_said_yet_what_they_are_make_no_zone_partitioned_nor_keep_it_from_that() {
    let mut scene = Scene::new(ControlSettings::default());
    let nodes: Vec<_> = (1..=4).map(|number| scene.node(number, "", 1_000)).collect();
    for number in 11..=20 {
        let id = scene.node(number, "", 1_000);
        scene.change_node(id, |row| row.facts = None);
    }
    scene.take_over();
    scene.open(nodes[0]);
    scene.report(nodes[0], |_| {});
    scene.pass(60_000, &nodes[..1]);
    let health = scene.controller.health(None);
    // Three of four are lost, which slows replacing down, and stops nothing.
    assert!(!health.all.partitioned);
    scene.pass(60_000, &[]);
    assert!(scene.controller.health(None).all.partitioned, "all four are lost");
}
