//! Jobs, and what comes in between.

use longshore_fleet::{Instruction, Phase, api::WorkloadState};
use serde_json::json;

use super::scene::Scene;
use crate::control::ControlSettings;

#[test]
fn work_that_was_done_while_its_node_was_drained_is_not_done_again() {
    let mut scene = Scene::new(ControlSettings::default());
    let (node, other) = (scene.node(1, "a", 4_000), scene.node(2, "a", 4_000));
    scene.change_node(other, |row| row.is_cordoned = true);
    let id = scene.job(1, json!({"completions": 2, "parallelism": 1}));
    let pod = scene.pods(id)[0];
    scene.run(pod);
    scene.change_node(node, |row| (row.is_cordoned, row.is_draining) = (true, true));
    assert!(scene.pod(pod).end_within_seconds.is_some());
    scene.end(pod, Phase::Succeeded);
    scene.told.clear();
    scene.gone(pod);
    assert_eq!(scene.told, [(node, Instruction::Forget { pod })]);
    assert_eq!((scene.pod(pod).end_within_seconds, scene.status(id).succeeded), (None, 1));
    // Its node goes, and what it came to stays.
    scene.database.remove_node(node);
    scene.controller.remove_node(node);
    scene.change_node(other, |row| row.is_cordoned = false);
    scene.pass(30_000, &[other]);
    assert_eq!(scene.pods(id).len(), 1, "one more has to be done");
    let last = scene.pods(id)[0];
    scene.end(last, Phase::Succeeded);
    assert_eq!(scene.status(id).state, WorkloadState::Succeeded);
    // And it goes with its job.
    scene.database.workloads.get_mut(&id).unwrap().deleted = Some(scene.now * 1_000);
    let row = scene.database.workloads[&id].clone();
    scene.controller.put_workload(row, Vec::new()).unwrap();
    scene.decide();
    scene.gone(last);
    assert!(scene.database.workloads.is_empty() && scene.database.pods.is_empty());
}

#[test]
fn work_that_was_done_on_a_node_that_is_removed_meanwhile_counts() {
    let mut scene = Scene::new(ControlSettings::default());
    let node = scene.node(1, "a", 4_000);
    let id = scene.job(1, json!({"completions": 2, "parallelism": 1}));
    let pod = scene.pods(id)[0];
    scene.change_node(node, |row| (row.is_cordoned, row.is_draining) = (true, true));
    scene.end(pod, Phase::Succeeded);
    scene.database.remove_node(node);
    scene.take_over();
    assert_eq!((scene.status(id).succeeded, scene.pod(pod).end_within_seconds), (1, None));
}

#[test]
fn a_pause_after_failures_goes_on_under_another_leader() {
    let settings = ControlSettings { first_retry_ms: 20_000, ..ControlSettings::default() };
    let mut scene = Scene::new(settings);
    let node = scene.node(1, "a", 4_000);
    let id = scene.job(1, json!({}));
    scene.end(scene.pods(id)[0], Phase::Failed);
    scene.pass(5_000, &[node]);
    scene.take_over();
    scene.open(node);
    scene.pass(10_000, &[node]);
    assert_eq!(scene.pods(id), [], "five seconds are left");
    scene.pass(10_000, &[node]);
    assert_eq!(scene.pods(id).len(), 1);
}

#[test]
fn a_job_that_has_ended_goes_in_time_whoever_leads() {
    let mut scene = Scene::new(ControlSettings::default());
    let node = scene.node(1, "a", 4_000);
    let id = scene.job(1, json!({"ttlSecondsAfterFinished": 60}));
    let pod = scene.pods(id)[0];
    scene.end(pod, Phase::Succeeded);
    scene.pass(40_000, &[node]);
    scene.take_over();
    scene.open(node);
    scene.pass(30_000, &[node]);
    assert!(scene.pod(pod).end_within_seconds.is_some(), "it goes a minute after its end");
}

#[test]
fn a_drained_node_with_nothing_but_what_has_ended_is_not_looked_at_for_ever() {
    let mut scene = Scene::new(ControlSettings::default());
    let node = scene.node(1, "a", 4_000);
    let id = scene.job(1, json!({}));
    scene.end(scene.pods(id)[0], Phase::Succeeded);
    scene.change_node(node, |row| (row.is_cordoned, row.is_draining) = (true, true));
    scene.pass(2_000, &[node]);
    let next = scene.controller.next_at().unwrap();
    assert!(next > scene.now + 1_000, "the next is {} ms away", next - scene.now);
}
