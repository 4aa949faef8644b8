//! Images that may run, or may not.

use serde_json::json;

use super::scene::Scene;
use crate::control::{ControlSettings, Verdict};

#[test]
fn what_was_allowed_is_asked_again_when_room_comes_later() {
    let mut scene = Scene::new(ControlSettings::default());
    scene.verdict = Some(Verdict::Allowed(scene.now + 60_000));
    let id = scene.deployment(1, json!({"resources": {"requests": {"cpu": "1"}}}));
    assert_eq!((scene.asked.len(), scene.placed(id).len()), (1, 0), "it fits nowhere");
    scene.pass(90_000, &[]);
    scene.verdict = Some(Verdict::Refused("it was revoked".to_owned()));
    let node = scene.node(1, "a", 4_000);
    scene.pass(60_000, &[node]);
    assert_eq!(scene.placed(id), []);
    assert!(scene.status(id).message.unwrap().contains("it was revoked"));
    scene.verdict = Some(Verdict::Allowed(scene.now + 600_000));
    scene.pass(60_000, &[node]);
    assert_eq!(scene.placed(id).len(), 1);
}

#[test]
fn what_was_refused_stays_so_under_another_leader_that_can_ask_nobody() {
    let mut scene = Scene::new(ControlSettings::default());
    let node = scene.node(1, "a", 4_000);
    scene.verdict = Some(Verdict::Refused("it is not signed".to_owned()));
    let id = scene.deployment(1, json!({}));
    assert_eq!(scene.placed(id), []);
    scene.verdict = Some(Verdict::Unknown);
    scene.take_over();
    scene.open(node);
    scene.pass(120_000, &[node]);
    assert_eq!(scene.placed(id), []);
    // Another revision was never refused.
    scene.change_template(id);
    scene.pass(60_000, &[node]);
    assert_eq!(scene.placed(id).len(), 1);
    // And what was refused once is so no more once the registry says otherwise.
    assert_eq!(scene.database.revisions[&(id, 1)].refused.as_deref(), Some("it is not signed"));
}

#[test]
fn what_was_refused_may_run_once_the_registry_says_so() {
    let mut scene = Scene::new(ControlSettings::default());
    let node = scene.node(1, "a", 4_000);
    scene.verdict = Some(Verdict::Refused("it is not signed".to_owned()));
    let id = scene.deployment(1, json!({}));
    scene.verdict = Some(Verdict::Allowed(scene.now + 3_600_000));
    scene.pass(60_000, &[node]);
    assert_eq!((scene.placed(id).len(), &scene.database.revisions[&(id, 1)].refused), (1, &None));
}
