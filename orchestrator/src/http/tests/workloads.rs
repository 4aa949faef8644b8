use std::sync::atomic::Ordering;

use http::Method;
use longshore_fleet::api::PlacementView;
use serde_json::{Value, json};

use super::fixture::{Registry, Served};
use crate::lead::PlanOutcome;

const DEPLOYMENTS: &str = "/api/v1/workloads/deployments";

#[tokio::test]
async fn a_tag_becomes_a_digest_and_a_deployment_is_seen() {
    let served = Served::new().await;
    let digest = served.registry.push("1", "one");
    let body = json!({"name": "hello", "image": served.image("1"), "replicas": 3, "labels": {"app": "hello"}});
    let made = served.post(DEPLOYMENTS, body).await;
    assert_eq!((made.status, made.header("etag"), made.body["revision"].as_u64()), (201, "\"1\"", Some(1)), "{made:?}");
    assert_eq!(made.text("image"), format!("{}/hello@{digest}", served.host));
    let seen = served.get(made.header("location")).await;
    assert_eq!((seen.status, seen.header("etag")), (200, "\"1\""));
    assert_eq!(seen.body["spec"]["image"], served.image("1"), "as it was written");
    assert_eq!(seen.body["status"]["wanted"], 3);
    let id = served.state.workloads(&crate::state::WorkloadFilter::default(), crate::state::Slice { after: None, most: 9 }).await;
    let id = id.unwrap()[0].id;
    let kept = served.state.revisions(id).await.unwrap();
    let layers: Vec<&str> = kept[0].layers[0].layers.iter().map(|(digest, _)| digest.as_str()).collect();
    let config = Registry::digest(br#"{"os":"linux","architecture":"amd64"}"#);
    assert_eq!(layers, [config.as_str(), Registry::digest(b"one").as_str()], "its configuration, and its layer");
    served.stopped().await;
}

#[tokio::test]
async fn a_name_is_there_once_and_a_change_names_what_it_saw() {
    let served = Served::new().await;
    let path = served.deploy("hello").await;
    let again = json!({"name": "hello", "image": served.image("1"), "replicas": 5});
    let refused = served.post(DEPLOYMENTS, again.clone()).await;
    assert_eq!((refused.status, refused.code()), (409, "409_ALREADY_EXISTS"));
    assert_eq!(refused.header("content-type"), "application/problem+json");
    let mut seen = again.clone();
    seen["revision"] = json!(1);
    let changed = served.post(DEPLOYMENTS, seen.clone()).await;
    assert_eq!((changed.status, changed.body["revision"].as_u64()), (200, Some(2)), "{changed:?}");
    let late = served.post(DEPLOYMENTS, seen).await;
    assert_eq!((late.status, late.code(), late.body["revision"].as_u64()), (409, "409_WORKLOAD_VERSION_CONFLICT", Some(2)));
    let more = json!({"replicas": 6});
    let unsaid = served.send(served.request(Method::PATCH, &path).json(&more)).await;
    assert_eq!((unsaid.status, unsaid.code()), (428, "428_PRECONDITION_REQUIRED"));
    let late = served.change(Method::PATCH, &path, 1, more.clone()).await;
    assert_eq!((late.code(), late.body["revision"].as_u64()), ("409_WORKLOAD_VERSION_CONFLICT", Some(2)));
    assert_eq!(served.change(Method::PATCH, &path, 2, more.clone()).await.body["revision"], 3);
    let position = served.state.position().await.unwrap();
    let same = served.change(Method::PATCH, &path, 3, more).await;
    assert_eq!((same.status, same.body["changed"].as_bool(), same.body["revision"].as_u64()), (200, Some(false), Some(3)));
    assert_eq!(served.state.position().await.unwrap(), position, "nothing was written");
    served.stopped().await;
}

#[tokio::test]
async fn of_many_who_saw_the_same_one_wins() {
    let served = Served::new().await;
    let path = served.deploy("hello").await;
    let changes = (0..8).map(|number| served.change(Method::PATCH, &path, 1, json!({"priority": number + 1})));
    let answered = futures_util::future::join_all(changes).await;
    let statuses: Vec<u16> = answered.iter().map(|answered| answered.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(answered.iter().filter(|answered| answered.status != 200).all(|answered| answered.body["revision"] == 2));
    served.stopped().await;
}

#[tokio::test]
async fn a_named_operation_is_done_once_and_never_another() {
    let served = Served::new().await;
    served.registry.push("1", "one");
    let body = json!({"name": "hello", "image": served.image("1"), "operationId": "deploy-7"});
    let first = served.post(DEPLOYMENTS, body.clone()).await;
    let asked = served.registry.asked.load(Ordering::Relaxed);
    let again = served.post(DEPLOYMENTS, body.clone()).await;
    assert_eq!((first.status, again.status, &first.body), (201, 201, &again.body));
    assert_eq!((again.header("location"), again.header("etag")), (first.header("location"), "\"1\""));
    assert_eq!(served.registry.asked.load(Ordering::Relaxed), asked, "the registry is not asked again");
    let mut other = body;
    other["replicas"] = json!(9);
    let reused = served.post(DEPLOYMENTS, other).await;
    assert_eq!((reused.status, reused.code()), (409, "409_OPERATION_ID_REUSED"));
    let path = first.header("location").to_owned();
    let scale =
        || served.request(Method::POST, &format!("{path}/scale")).header("x-operation-id", "s").json(&json!({"replicas": 4}));
    let (one, two) = (served.send(scale()).await, served.send(scale()).await);
    assert_eq!((one.body["revision"].as_u64(), &one.body), (Some(2), &two.body));
    served.stopped().await;
}

#[tokio::test]
async fn every_wrong_field_is_named_and_what_the_namespace_does_not_allow() {
    let served = Served::new().await;
    let body = json!({"name": "Hello", "replicas": "many", "image": "localhost/hello", "comand": ["x"]});
    let refused = served.post(DEPLOYMENTS, body).await;
    assert_eq!((refused.status, refused.code()), (422, "422_INVALID"));
    let mut fields = refused.faults();
    fields.sort_unstable();
    assert_eq!(fields, ["comand", "name", "replicas"]);
    let body = json!({"name": "hello", "image": served.image("1"), "hostNetwork": true, "security": {"privileged": true}});
    assert_eq!(served.post(DEPLOYMENTS, body).await.faults(), ["security.privileged", "hostNetwork"]);
    let nowhere = served.post(DEPLOYMENTS, json!({"name": "a", "namespace": "nowhere", "image": served.image("1")})).await;
    assert_eq!((nowhere.status, nowhere.code()), (404, "404_NOT_FOUND"));
    let query = served.get(&format!("{DEPLOYMENTS}?limit=x&namespce=a")).await;
    assert_eq!(query.faults(), ["?namespce", "?limit"]);
    let method = served.send(served.request(Method::PATCH, DEPLOYMENTS)).await;
    assert_eq!((method.status, method.header("allow")), (405, "GET, HEAD, POST"));
    assert_eq!(served.get("/api/v1/nothing").await.status, 404);
    let long = served.post(DEPLOYMENTS, json!({"name": "x".repeat(2 << 20)})).await;
    assert_eq!((long.status, long.code()), (413, "413_TOO_LARGE"));
    served.stopped().await;
}

#[tokio::test]
async fn what_the_registry_says_of_an_image_is_told() {
    let served = Served::new().await;
    for (tag, status, code, words) in [
        ("missing", 422, "422_IMAGE_NOT_FOUND", "there is no such manifest"),
        ("unsigned", 422, "422_IMAGE_NOT_ALLOWED", "it is not signed"),
        ("busy", 429, "429_IMAGE_PULL_THROTTLED", "too many pulls"),
        ("broken", 503, "503_REGISTRY_UNAVAILABLE", "away"),
    ] {
        let refused = served.post(DEPLOYMENTS, json!({"name": "hello", "image": served.image(tag)})).await;
        assert_eq!((refused.status, refused.code()), (status, code), "{refused:?}");
        assert!(refused.text("detail").contains(words), "{refused:?}");
        if code.starts_with("429") {
            assert_eq!(refused.header("retry-after"), "7");
        }
    }
    let listed = served.get(DEPLOYMENTS).await;
    assert_eq!(listed.body["items"], json!([]), "nothing is left half done");
    served.stopped().await;
}

#[tokio::test]
async fn rolls_back_to_what_was_without_the_registry() {
    let served = Served::new().await;
    let path = served.deploy("hello").await;
    served.registry.push("2", "two");
    let changed =
        served.change(Method::PATCH, &path, 1, json!({"image": served.image("2"), "env": [{"name": "A", "value": "b"}]})).await;
    assert_eq!((changed.status, changed.body["revision"].as_u64()), (200, Some(2)), "{changed:?}");
    let asked = served.registry.asked.load(Ordering::Relaxed);
    let back = served.post(&format!("{path}/rollback"), json!({"revision": 1, "reason": "it is slow"})).await;
    assert_eq!(
        (back.status, back.body["revision"].as_u64(), back.body["changed"].as_bool()),
        (200, Some(3), Some(true)),
        "{back:?}"
    );
    let again = served.post(&format!("{path}/rollback"), json!({"revision": 1})).await;
    assert_eq!((again.body["revision"].as_u64(), again.body["changed"].as_bool()), (Some(3), Some(false)));
    assert_eq!(served.registry.asked.load(Ordering::Relaxed), asked, "the registry is not asked");
    let seen = served.get(&path).await;
    assert_eq!((seen.body["templateRevision"].as_u64(), &seen.body["spec"]["image"]), (Some(1), &json!(served.image("1"))));
    assert_eq!(seen.body["spec"].get("env"), None);
    let revisions = served.get(&format!("{path}/revisions")).await;
    let current: Vec<(u64, bool)> = revisions.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["revision"].as_u64().unwrap(), one["isCurrent"].as_bool().unwrap()))
        .collect();
    assert_eq!(current, [(2, false), (1, true)]);
    let unsaid = served.post(&format!("{path}/rollback"), json!({})).await;
    assert_eq!(unsaid.status, 428);
    // Without a number it is what was wanted before, so that twice in a row leads back.
    for (seen, template) in [(3, 2), (4, 1)] {
        let before = served.post(&format!("{path}/rollback"), json!({"ifRevision": seen})).await;
        assert_eq!((before.status, before.body["revision"].as_u64()), (200, Some(seen + 1)), "{before:?}");
        assert_eq!(served.get(&path).await.body["templateRevision"], template);
    }
    // What is asked for again is what was there before: its pods stay.
    let forward =
        served.change(Method::PATCH, &path, 5, json!({"image": served.image("2"), "env": [{"name": "A", "value": "b"}]})).await;
    assert_eq!(forward.body["revision"], 6);
    assert_eq!(served.get(&path).await.body["templateRevision"], 2);
    served.stopped().await;
}

#[tokio::test]
async fn while_a_rollout_goes_on_it_can_be_waited_for() {
    let served = Served::new().await;
    let path = served.deploy("hello").await;
    let request = served.request(Method::POST, &format!("{path}/scale?ifIdle")).json(&json!({"replicas": 9}));
    let refused = served.send(request).await;
    assert_eq!((refused.status, refused.code(), refused.body["revision"].as_u64()), (409, "409_ROLLOUT_IN_PROGRESS", Some(1)));
    assert_eq!(served.post(&format!("{path}/scale"), json!({"replicas": 9, "reason": "load"})).await.status, 200);
    served.stopped().await;
}

#[tokio::test]
async fn a_quota_is_charged_with_differences() {
    let served = Served::new().await;
    served.registry.push("1", "one");
    let put = served.request(Method::PUT, "/api/v1/namespaces/team").json(&json!({"quota": {"cpu": "1", "pods": 4}}));
    assert_eq!(served.send(put).await.status, 201);
    let other = || served.request(Method::PUT, "/api/v1/namespaces/team").json(&json!({"quota": {"pods": 9}}));
    assert_eq!(served.send(other()).await.status, 428);
    assert_eq!(served.send(other().header("if-none-match", "*")).await.code(), "409_ALREADY_EXISTS");
    let spec = |replicas: u32| {
        json!({"name": "a", "namespace": "team", "image": served.image("1"), "replicas": replicas,
            "resources": {"requests": {"cpu": "250m"}}})
    };
    let made = served.post(DEPLOYMENTS, spec(3)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let path = made.header("location").to_owned();
    let asked = served.get("/api/v1/namespaces/team").await;
    assert_eq!((&asked.body["asked"]["cpu"], &asked.body["pods"]), (&json!("750m"), &json!(3)));
    let much = served.post(&format!("{path}/scale"), json!({"replicas": 5})).await;
    assert_eq!((much.status, much.code()), (422, "422_QUOTA_EXCEEDED"), "{much:?}");
    assert_eq!(served.post(&format!("{path}/scale"), json!({"replicas": 4})).await.status, 200);
    let deleted = served.send(served.request(Method::DELETE, &path)).await;
    assert_eq!((deleted.status, &deleted.body["status"]["state"]), (202, &json!("deleting")), "{deleted:?}");
    let at_once = served.get(&path).await;
    assert_eq!(at_once.body["status"]["state"], "deleting", "also before the leader has looked");
    assert_eq!(served.get("/api/v1/namespaces/team").await.body["pods"], 0);
    assert_eq!(served.send(served.request(Method::DELETE, &path)).await.status, 202, "once is as good as twice");
    assert_eq!(served.get("/api/v1/namespaces/team").await.body["pods"], 0);
    let late = served.post(&format!("{path}/scale"), json!({"replicas": 1})).await;
    assert_eq!((late.status, late.code()), (409, "409_IN_USE"));
    assert_eq!(served.post(DEPLOYMENTS, spec(1)).await.code(), "409_IN_USE");
    let used = served.send(served.request(Method::DELETE, "/api/v1/namespaces/team")).await;
    assert_eq!((used.status, used.code()), (409, "409_IN_USE"));
    served.stopped().await;
}

#[tokio::test]
async fn a_job_s_template_stays_as_it_was_made() {
    let served = Served::new().await;
    served.registry.push("1", "one");
    let body = json!({"name": "sum", "image": served.image("1"), "completions": 10, "parallelism": 2});
    let made = served.post("/api/v1/workloads/jobs", body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let path = made.header("location").to_owned();
    assert!(path.starts_with("/api/v1/workloads/jobs/job_"));
    let refused = served.change(Method::PATCH, &path, 1, json!({"command": ["x"], "completions": 11, "name": "other"})).await;
    assert_eq!(refused.faults(), ["name", "command", "completions"]);
    let changed = served.change(Method::PATCH, &path, 1, json!({"parallelism": 5})).await;
    assert_eq!((changed.status, changed.body["status"]["wanted"].as_u64()), (200, Some(2)), "the leader says how it is");
    assert_eq!(served.get(&path).await.body["spec"]["parallelism"], 5);
    served.stopped().await;
}

#[tokio::test]
async fn a_plan_says_what_would_be_other_and_changes_nothing() {
    let mut served = Served::new().await;
    let path = served.deploy("hello").await;
    let placements = vec![PlacementView { node: "n1".parse().unwrap(), pods: 2, missing_bytes: 1000, wait_seconds: 0.5 }];
    let remedies = vec![("free 500m of CPU on one".to_owned(), 12)];
    served.plans(PlanOutcome { placements, unplaced: 1, remedies, makes: 3, ends: 2 });
    let position = served.state.position().await.unwrap();
    let spec = json!({"name": "hello", "image": served.image("1"), "replicas": 3});
    let planned = served.post(&format!("{DEPLOYMENTS}:plan"), spec.clone()).await;
    assert_eq!(planned.status, 200, "{planned:?}");
    assert_eq!(planned.body["changes"], json!([{"field": "replicas", "from": 2, "to": 3}]));
    assert_eq!(
        (&planned.body["isNew"], &planned.body["remedies"][0]),
        (&json!(false), &json!("free 500m of CPU on one (12 nodes)"))
    );
    let patched = served.post(&format!("{path}:plan"), json!({"replicas": 3})).await;
    assert_eq!(patched.body["changes"], planned.body["changes"]);
    let fits =
        served.request(Method::PATCH, &format!("{path}?ifFits=true")).header("if-match", "\"1\"").json(&json!({"replicas": 3}));
    let refused = served.send(fits).await;
    assert_eq!(
        (refused.status, refused.code(), refused.body["shortfallPods"].as_u64()),
        (422, "422_INSUFFICIENT_CLUSTER_CAPACITY", Some(1))
    );
    assert_eq!(refused.body["nearest"][0]["nodes"], 12);
    assert_eq!(served.state.position().await.unwrap(), position);
    served.stopped().await;
}

#[tokio::test]
async fn a_plan_of_a_whole_spec_tells_what_it_takes_away() {
    let mut served = Served::new().await;
    served.registry.push("1", "one");
    let mut spec = json!({"name": "hello", "image": served.image("1"), "env": [{"name": "A", "value": "b"}],
        "resources": {"limits": {"memory": "1Gi"}}});
    assert_eq!(served.post(DEPLOYMENTS, spec.clone()).await.status, 201);
    served.plans(PlanOutcome { placements: Vec::new(), unplaced: 0, remedies: Vec::new(), makes: 1, ends: 1 });
    spec.as_object_mut().unwrap().retain(|field, _| field == "name" || field == "image");
    let planned = served.post(&format!("{DEPLOYMENTS}:plan"), spec).await;
    let fields: Vec<&str> =
        planned.body["changes"].as_array().unwrap().iter().map(|change| change["field"].as_str().unwrap()).collect();
    assert!(fields.iter().any(|field| field.starts_with("env")), "{fields:?}");
    assert!(fields.iter().any(|field| field.starts_with("resources")), "{fields:?}");
    served.stopped().await;
}

#[tokio::test]
async fn a_plan_may_be_for_a_namespace_that_is_yet_to_be() {
    let mut served = Served::new().await;
    served.registry.push("1", "one");
    served.plans(PlanOutcome { placements: Vec::new(), unplaced: 0, remedies: Vec::new(), makes: 1, ends: 0 });
    let plan = format!("{DEPLOYMENTS}:plan");
    let mut spec = json!({"name": "hello", "namespace": "team", "image": served.image("1"), "hostNetwork": true});
    assert_eq!(served.post(&plan, spec.clone()).await.status, 404, "there is none of that name");
    spec["namespaceSpec"] = json!({"name": "team", "allow": {"hostNetwork": true}});
    let planned = served.post(&plan, spec.clone()).await;
    assert_eq!((planned.status, &planned.body["isNew"]), (200, &json!(true)), "{planned:?}");
    spec["namespaceSpec"] = json!({"name": "team"});
    let refused = served.post(&plan, spec.clone()).await;
    assert_eq!((refused.status, refused.faults()), (422, vec!["hostNetwork"]), "what it will not allow is told");
    for (wrong, field) in [(json!({"name": "other"}), "namespaceSpec.name"), (json!({"name": "team", "x": 1}), "namespaceSpec.x")]
    {
        spec["namespaceSpec"] = wrong;
        let refused = served.post(&plan, spec.clone()).await;
        assert_eq!((refused.status, refused.faults()), (422, vec![field]));
    }
    let there = served.get("/api/v1/namespaces/team").await;
    assert_eq!(there.status, 404, "a plan makes none");
    served.stopped().await;
}

#[tokio::test]
async fn lists_go_on_where_they_ended() {
    let served = Served::new().await;
    for name in ["a", "b", "c"] {
        served.deploy(name).await;
    }
    let first = served.get(&format!("{DEPLOYMENTS}?limit=2")).await;
    let names = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| item["spec"]["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((names(&first.body), first.body["position"].as_u64()), (vec!["a".to_owned(), "b".into()], Some(3)));
    let second = served.get(&format!("{DEPLOYMENTS}?limit=2&after={}", first.text("next"))).await;
    assert_eq!((names(&second.body), second.body.get("next")), (vec!["c".to_owned()], None));
    let one = served.get(&format!("{DEPLOYMENTS}?namespace=default&name=b")).await;
    assert_eq!(names(&one.body), ["b"]);
    assert_eq!(served.get(&format!("{DEPLOYMENTS}?name=b")).await.faults(), ["?namespace"]);
    served.stopped().await;
}

#[tokio::test]
async fn an_act_that_changed_nothing_is_the_same_act_when_it_is_asked_again() {
    let served = Served::new().await;
    let path = served.deploy("hello").await;
    let scale = |replicas: u32, operation: &'static str| {
        let body = json!({"replicas": replicas, "operationId": operation});
        let request = served.request(Method::POST, &format!("{path}/scale"));
        served.send(request.json(&body))
    };
    let first = scale(2, "x").await;
    assert_eq!((first.status, &first.body["changed"]), (200, &json!(false)), "there are two already: {first:?}");
    assert_eq!(scale(5, "y").await.body["changed"], true);
    let again = scale(2, "x").await;
    assert_eq!((again.status, &again.body), (200, &first.body), "its answer was lost, and it is asked again");
    assert_eq!(served.get(&path).await.body["spec"]["replicas"], 5, "what another has asked for since stays");

    let same = |operation: &'static str| {
        let request = served.request(Method::PATCH, &path).header("if-match", "\"2\"").header("x-operation-id", operation);
        served.send(request.json(&json!({"replicas": 5})))
    };
    let first = same("p").await;
    assert_eq!((first.status, &first.body["changed"]), (200, &json!(false)), "{first:?}");
    assert_eq!(scale(6, "z").await.body["revision"], 3);
    assert_eq!(same("p").await.body, first.body, "the same answer, though it is at another revision");

    let put = |operation: &'static str, pods: u32, revision: u64| {
        let request = served.request(Method::PUT, "/api/v1/namespaces/team").header("x-operation-id", operation);
        let request = if revision > 0 { request.header("if-match", format!("\"{revision}\"")) } else { request };
        served.send(request.json(&json!({"quota": {"pods": pods}})))
    };
    assert_eq!(put("a", 1, 0).await.status, 201);
    let first = put("b", 1, 1).await;
    assert_eq!(put("c", 9, 1).await.status, 200);
    assert_eq!((first.status, first.body), (200, put("b", 1, 1).await.body));
    served.stopped().await;
}

#[tokio::test]
async fn going_back_leads_to_what_was_wanted_before_whatever_its_number() {
    let served = Served::new().await;
    let path = served.deploy("hello").await;
    for layer in ["two", "three"] {
        served.registry.push(layer, layer);
    }
    let apply = |tag: &str, revision: u64| served.change(Method::PATCH, &path, revision, json!({"image": served.image(tag)}));
    assert_eq!(apply("two", 1).await.body["revision"], 2);
    assert_eq!(apply("1", 2).await.body["revision"], 3, "the template of revision 1 again");
    let back_path = format!("{path}/rollback");
    let back = |revision: u64| served.change(Method::POST, &back_path, revision, json!({}));
    let two = served.image("two");
    assert_eq!(back(3).await.body["revision"], 4);
    assert_eq!(served.get(&path).await.body["spec"]["image"], json!(two), "what ran before 1 came again");
    assert_eq!(back(4).await.body["revision"], 5, "and from there to 1 again");
    assert_eq!(apply("three", 5).await.body["revision"], 6);
    assert_eq!(back(6).await.body["revision"], 7);
    assert_eq!(
        served.get(&path).await.body["spec"]["image"],
        json!(served.image("1")),
        "which ran last, though 2 is the greater"
    );
    let unsaid = served.post(&format!("{path}/rollback"), json!({})).await;
    assert!(unsaid.status == 428 && unsaid.text("detail").contains("ifRevision"), "{unsaid:?}");
    served.stopped().await;
}
