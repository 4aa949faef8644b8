//! Pods that others make room for.

use longshore_fleet::Phase;
use serde_json::json;

use super::scene::Scene;
use crate::control::ControlSettings;

#[test]
fn room_that_is_made_for_one_is_nobody_elses() {
    let mut scene = Scene::new(ControlSettings::default());
    let node = scene.node(1, "a", 2_000);
    let low = scene.deployment(
        1,
        json!({"replicas": 2, "resources": {"requests": {"cpu": "800m"}}, "disruption": {"maxUnavailable": "100%"}}),
    );
    let victims = scene.placed(low);
    assert_eq!(victims.len(), 2);
    for pod in &victims {
        scene.run(*pod);
    }
    // What waited for longest is first in the queue, whatever its priority: and it would fit where one of the two was.
    let small = scene.deployment(2, json!({"resources": {"requests": {"cpu": "700m"}}}));
    scene.pass(3_600_000, &[node]);
    let high = scene.deployment(3, json!({"priority": 1, "resources": {"requests": {"cpu": "1900m"}}}));
    assert!(victims.iter().all(|pod| scene.pod(*pod).end_within_seconds.is_some()), "both make room");
    for (pod, is_last) in victims.into_iter().zip([false, true]) {
        scene.end(pod, Phase::Failed);
        scene.gone(pod);
        scene.pass(10_000, &[node]);
        assert_eq!(scene.placed(high).len(), usize::from(is_last));
        assert_eq!((scene.placed(low).len(), scene.placed(small).len()), (0, 0), "it waits for its turn");
    }
    let preempted = scene.events.iter().filter(|event| event.reason == "Preempted").count();
    assert_eq!(preempted, 2);
}

#[test]
fn room_that_was_made_for_one_that_is_gone_is_anybodys() {
    let mut scene = Scene::new(ControlSettings::default());
    let node = scene.node(1, "a", 2_000);
    let low = scene.deployment(
        1,
        json!({"replicas": 2, "resources": {"requests": {"cpu": "800m"}}, "disruption": {"maxUnavailable": "100%"}}),
    );
    let victims = scene.placed(low);
    let high = scene.deployment(2, json!({"priority": 1, "resources": {"requests": {"cpu": "1900m"}}}));
    scene.gone(victims[0]);
    scene.database.workloads.get_mut(&high).unwrap().spec["replicas"] = json!(0);
    scene.reload(high);
    scene.pass(60_000, &[node]);
    assert_eq!(scene.placed(low).len(), 1, "where the first was, while the second still ends");
    scene.gone(victims[1]);
    scene.pass(60_000, &[node]);
    assert_eq!(scene.placed(low).len(), 2);
}
