//! What is remembered, and what is kept.

use serde_json::json;

use super::scene::Scene;
use crate::control::ControlSettings;

#[test]
fn a_cluster_that_is_made_of_what_is_wanted_is_not_made_anew_each_turn() {
    let settings = ControlSettings { demands_kept: 4, ..ControlSettings::default() };
    let mut scene = Scene::new(settings);
    let node = scene.node(1, "a", 1_000);
    let ids: Vec<_> = (1..=20).map(|number| scene.deployment(number, json!({"replicas": 1}))).collect();
    for _ in 0..2 {
        for id in &ids {
            scene.change_template(*id);
        }
        scene.pass(1_000, &[node]);
    }
    let (known, until) = scene.controller.demands_known();
    assert!(known >= 40, "{known} are known");
    assert!(until > known, "nothing is looked at before {until} are known");
}

#[test]
fn a_cluster_forgets_what_nobody_wants_any_more() {
    let settings = ControlSettings { demands_kept: 4, ..ControlSettings::default() };
    let mut scene = Scene::new(settings);
    let node = scene.node(1, "a", 1_000);
    let id = scene.deployment(1, json!({"replicas": 1, "revisionHistoryLimit": 1}));
    for _ in 0..60 {
        scene.change_template(id);
        for pod in scene.placed(id) {
            scene.run(pod);
        }
        let ending: Vec<_> =
            scene.database.pods.values().filter(|pod| pod.end_within_seconds.is_some()).map(|pod| pod.id).collect();
        for pod in ending {
            scene.gone(pod);
        }
        scene.report(node, |_| {});
    }
    let (known, _) = scene.controller.demands_known();
    assert!(known < 20, "{known} are known");
}

#[test]
fn images_of_the_last_revisions_stay_where_they_are_whole() {
    let mut scene = Scene::new(ControlSettings::default());
    let (node, other) = (scene.node(1, "a", 1_000), scene.node(2, "a", 1_000));
    let id = scene.deployment(1, json!({"replicas": 1}));
    let layers = scene.database.revisions[&(id, 1)].layers[0].layers.clone();
    scene.report(node, |report| report.layers.extend(layers));
    scene.change_template(id);
    let first = scene.database.revisions[&(id, 1)].template.image.clone();
    let kept = |scene: &Scene, node| scene.controller.images_kept(node);
    assert_eq!((kept(&scene, node), kept(&scene, other)), (vec![first.clone()], vec![]));
    // Another leader comes to the same.
    scene.take_over();
    scene.open(node);
    scene.open(other);
    assert_eq!((kept(&scene, node), kept(&scene, other)), (vec![first], vec![]));
}
