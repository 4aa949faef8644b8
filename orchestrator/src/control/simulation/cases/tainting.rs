//! Taints, and what happens on nodes that is worth another look.

use longshore_fleet::{Effect, Load, NodeId, Taint};
use serde_json::json;

use super::{super::agent::Agent, scene::Scene};
use crate::control::ControlSettings;

fn taint(scene: &mut Scene, node: NodeId) {
    let mut facts = Agent::new("a", 4_000, 100).facts;
    facts.taints.push(Taint { key: "broken".parse().unwrap(), value: "".parse().unwrap(), effect: Effect::NoExecute });
    scene.report(node, |report| report.facts = Some(facts));
    scene.decide();
}

#[test]
fn a_pod_stays_for_as_long_as_it_tolerates_a_taint() {
    let mut scene = Scene::new(ControlSettings::default());
    let node = scene.node(1, "a", 4_000);
    let tolerating = |seconds: serde_json::Value| {
        let mut toleration = json!({"key": "broken", "operator": "Exists", "effect": "NoExecute"});
        if !seconds.is_null() {
            toleration["tolerationSeconds"] = seconds;
        }
        json!({"tolerations": [toleration]})
    };
    let documents = [json!({}), tolerating(json!(20)), tolerating(json!(null))];
    let ids: Vec<_> = (1..).zip(documents).map(|(number, document)| scene.deployment(number, document)).collect();
    let pods: Vec<_> = ids.iter().map(|id| scene.pods(*id)[0]).collect();
    let stay = |scene: &Scene| pods.iter().map(|pod| scene.pod(*pod).end_within_seconds.is_none()).collect::<Vec<_>>();
    taint(&mut scene, node);
    assert_eq!(stay(&scene), [false, true, true]);
    scene.pass(19_000, &[node]);
    assert_eq!(stay(&scene), [false, true, true]);
    scene.pass(2_000, &[node]);
    assert_eq!(stay(&scene), [false, false, true]);
    // Its next came after the taint, and has all of its time.
    let next = scene.placed(ids[1]);
    assert_eq!(next.len(), 1);
    scene.pass(18_000, &[node]);
    assert_eq!(scene.placed(ids[1]), next);
    scene.pass(2_000, &[node]);
    assert_ne!(scene.placed(ids[1]), next);
}

#[test]
fn a_node_that_says_how_busy_it_is_wakes_nobody() {
    let mut scene = Scene::new(ControlSettings::default());
    let node = scene.node(1, "a", 1_000);
    let id = scene.deployment(1, json!({"resources": {"requests": {"cpu": "2"}}}));
    let pod = scene.pods(id)[0];
    let hopes = scene.controller.hopes_of(pod);
    assert!(hopes.is_some(), "it waits for something to happen");
    for disk_free_bytes in [1 << 39, 1 << 38, 1 << 41] {
        scene.report(node, |report| report.load = Some(Load { disk_free_bytes, upload_load: 0.5, ..Load::default() }));
        assert_eq!(scene.controller.hopes_of(pod), hopes);
    }
    scene.report(node, |report| report.facts = Some(Agent::new("a", 4_000, 100).facts));
    assert_eq!(scene.controller.hopes_of(pod), None, "there is more room: it is looked at again");
    scene.pass(2_000, &[node]);
    assert_eq!(scene.placed(id), [pod]);
}
