//! Pods that are ready, and nodes whose clocks are not this one's.

use jiff::Timestamp;
use longshore_fleet::api::WorkloadState;
use serde_json::json;

use super::scene::Scene;
use crate::control::ControlSettings;

#[test]
fn what_is_ready_counts_whatever_its_nodes_clock_says() {
    for ahead in [-8 * 3_600_000, 0, 8 * 3_600_000] {
        let mut scene = Scene::new(ControlSettings::default());
        let node = scene.node(1, "a", 4_000);
        let ids = [scene.deployment(1, json!({})), scene.deployment(2, json!({"minReadySeconds": 5}))];
        for id in ids {
            let (pod, since) = (scene.pods(id)[0], Timestamp::from_millisecond(scene.now + ahead).unwrap());
            scene.run(pod);
            scene.say(pod, |state| state.ready_since = Some(since));
        }
        scene.pass(1_000, &[node]);
        let available = |scene: &mut Scene| ids.map(|id| scene.status(id).available);
        assert_eq!(available(&mut scene), [1, 0], "{ahead}");
        scene.pass(5_000, &[node]);
        assert_eq!(available(&mut scene), [1, 1], "{ahead}");
    }
}

#[test]
fn a_machine_that_slept_has_lost_no_node() {
    let mut scene = Scene::new(ControlSettings::default());
    let node = scene.node(1, "a", 4_000);
    let slept = 8 * 3_600_000;
    scene.now += slept;
    scene.controller.note_pause(slept, scene.now);
    scene.decide();
    assert_eq!(scene.controller.health(None).all.ready, 1);
    scene.pass(40_000, &[]);
    assert_eq!(scene.controller.health(None).all.ready, 0, "from then on it is silent");
    scene.open(node);
}

#[test]
fn what_is_stuck_stays_so_under_another_leader() {
    let mut scene = Scene::new(ControlSettings::default());
    let node = scene.node(1, "a", 4_000);
    let id = scene.deployment(1, json!({"progressDeadlineSeconds": 60}));
    let stuck = |scene: &Scene| scene.events.iter().filter(|event| event.reason == "Stuck").count();
    scene.pass(40_000, &[node]);
    scene.take_over();
    scene.open(node);
    scene.pass(30_000, &[node]);
    assert_eq!(scene.status(id).state, WorkloadState::Stuck, "its minute goes on under another leader");
    for _ in 0..3 {
        scene.take_over();
        scene.open(node);
        assert_eq!(scene.status(id).state, WorkloadState::Stuck);
    }
    assert_eq!(stuck(&scene), 1);
    // Whatever gets it further ends that.
    scene.run(scene.pods(id)[0]);
    assert_eq!(scene.status(id).state, WorkloadState::Available);
}
