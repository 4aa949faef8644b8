//! What the orchestrator's client makes of answers, over a real connection. The server answers each request with the next of a list of
//! texts, so it can say, and break off, what no good orchestrator would.

mod server;

use std::{net::SocketAddr, time::Duration};

use longshore_client::{
    ClientOptions, Credentials, FleetClient, FleetError, FleetOptions, KnownLogin, LogsWish, Patience, PodFilter, RegistryUrl,
    Terms, WatchFilter,
};
use longshore_fleet::{
    DeploymentSpec, NamespaceSpec, PodId,
    api::{Code, DeploymentView},
};
use serde_json::json;
use server::{answer, serve, server};
use tokio::net::TcpListener;

fn url(address: SocketAddr) -> RegistryUrl {
    RegistryUrl::parse(&format!("http://{address}"), false).expect("an address makes a URL")
}

fn options(address: SocketAddr) -> FleetOptions {
    let patience =
        Patience { first: Duration::from_millis(1), longest: Duration::from_millis(5), total: Duration::from_millis(200) };
    FleetOptions { patience, ..FleetOptions::new(ClientOptions::new(url(address))) }
}

fn client(address: SocketAddr) -> FleetClient {
    FleetClient::new(options(address)).expect("plain HTTP needs no set-up")
}

fn spec() -> DeploymentSpec {
    DeploymentSpec::read(json!({"name": "hello", "image": "localhost:5000/hello:1"})).expect("a deployment")
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

const APPLIED: &str = r#"{"deploymentId":"dep_00000000000000000000000000000001","status":{"state":"progressing","wanted":1,"pods":0,
    "updated":0,"ready":0,"available":0,"unplaced":0},"revision":2,"changed":true,"image":"localhost:5000/hello:1"}"#;

fn problem(status: &str, code: &str, more: &str) -> String {
    let number = status.split(' ').next().expect("a status begins with a number");
    let body = format!(r#"{{"type":"about:blank","title":"t","status":{number},"code":"{code}","detail":"it is so"{more}}}"#);
    answer(status, "Content-Type: application/problem+json\r\n", &body)
}

#[tokio::test]
async fn an_act_that_is_sent_again_is_the_same_act() {
    let busy = problem("503 Service Unavailable", "503_CONTROL_PLANE_DEGRADED", "");
    // The second connection is closed without an answer: nobody knows whether it was done.
    let (address, served) = server(vec![busy, String::new(), answer("201 Created", "", APPLIED)]).await;
    let applied = client(address).create::<DeploymentView>(&spec(), Terms::default()).await.expect("it is done in the end");
    assert_eq!(applied.revision, 2);
    let heads = served.await.expect("the server ends");
    let ids: Vec<_> = heads.iter().map(|head| header(head, "x-operation-id").expect("an act is named")).collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0] && !id.is_empty()), "{ids:?}");
    assert!(heads[0].starts_with("POST /api/v1/workloads/deployments HTTP/1.1\r\n"), "{}", heads[0]);
}

#[tokio::test]
async fn another_act_has_another_name() {
    let (address, served) = server(vec![answer("200 OK", "", APPLIED), answer("200 OK", "", APPLIED)]).await;
    let (client, id) = (client(address), "dep_00000000000000000000000000000001".parse().expect("an id"));
    for revision in [3, 4] {
        client
            .replace::<DeploymentView>(id, &spec(), revision, Terms { if_fits: true, if_idle: false })
            .await
            .expect("it is done");
    }
    let heads = served.await.expect("the server ends");
    assert_ne!(header(&heads[0], "x-operation-id"), header(&heads[1], "x-operation-id"));
    assert_eq!(header(&heads[0], "if-match"), Some("\"3\""));
    assert!(heads[1].starts_with("PUT /api/v1/workloads/deployments/dep_00000000000000000000000000000001?ifFits=true HTTP/1.1"));
}

#[tokio::test]
async fn a_refusal_is_not_tried_again_and_keeps_its_words() {
    let more = r#","faults":[{"field":"image","message":"is gone"}],"revision":7"#;
    let (address, served) = server(vec![problem("409 Conflict", "409_WORKLOAD_VERSION_CONFLICT", more)]).await;
    let error = client(address).create::<DeploymentView>(&spec(), Terms::default()).await.expect_err("a refusal");
    assert_eq!(error.code(), Some(Code::WorkloadVersionConflict));
    assert_eq!(error.to_string(), "it is so (409_WORKLOAD_VERSION_CONFLICT)\n  image: is gone");
    assert!(matches!(&error, FleetError::Refused { problem, .. } if problem.revision == Some(7)));
    assert_eq!(served.await.expect("the server ends").len(), 1);
}

#[tokio::test]
async fn a_plan_is_of_the_whole_spec() {
    let plan = r#"{"name":"hello","isNew":false,"revision":4,"image":"localhost:5000/hello:1","makes":0,"ends":0,"changes":[],
        "placements":[],"unplaced":0,"remedies":[]}"#;
    let (address, served) = server(vec![answer("200 OK", "", plan), answer("200 OK", "", plan)]).await;
    let client = client(address);
    let namespace = NamespaceSpec::read(json!({"name": "default", "quota": {"pods": 3}})).expect("a namespace");
    for namespace in [None, Some(&namespace)] {
        assert_eq!(client.plan_workload::<DeploymentView>(&spec(), namespace).await.expect("a plan").revision, Some(4));
    }
    let heads = served.await.expect("the server ends");
    // Not to one that merges what it is sent into what there is: that would keep what the spec no longer has.
    assert!(heads.iter().all(|head| head.starts_with("POST /api/v1/workloads/deployments:plan HTTP")), "{heads:?}");
}

#[tokio::test]
async fn who_never_answered_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    drop(listener);
    let patience = Patience { total: Duration::from_mins(10), ..Patience::default() };
    let client = FleetClient::new(FleetOptions { patience, ..options(address) }).expect("a client");
    let error = tokio::time::timeout(Duration::from_secs(20), client.node_health(None)).await.expect("it ends at once");
    assert!(matches!(error, Err(FleetError::Unreachable { .. })));
}

#[tokio::test]
async fn what_is_something_else_is_told_so() {
    let (address, _served) = server(vec![answer("404 Not Found", "", "<html>")]).await;
    let error = client(address).node_health(None).await.expect_err("a stranger").to_string();
    assert!(error.ends_with("answered 404 Not Found, and not as an orchestrator does"), "{error}");
}

#[tokio::test]
async fn follows_pages_and_notices_circles() {
    let page = |name: &str, next: &str| {
        let items = format!(r#"{{"name":"{name}","revision":1,"asked":{{}},"pods":0}}"#);
        answer("200 OK", "", &format!(r#"{{"items":[{items}]{next},"position":9}}"#))
    };
    let (address, served) = server(vec![page("a", r#","next":"a&b""#), page("b", "")]).await;
    let names: Vec<_> = client(address).namespaces().all(10).await.expect("two pages");
    assert_eq!(names.iter().map(|namespace| namespace.spec.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(served.await.expect("the server ends")[1].contains("after=a%26b"));
    let (address, _served) = server(vec![page("a", r#","next":"a""#), page("b", r#","next":"a""#)]).await;
    assert!(matches!(client(address).namespaces().all(10).await, Err(FleetError::Malformed { .. })));
}

#[tokio::test]
async fn a_token_comes_from_the_registry_that_knows_the_caller() {
    let registry = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let at = registry.local_addr().expect("a bound socket has an address");
    let tokens = serve(registry, vec![answer("200 OK", "", r#"{"token":"t-1","expires_in":300}"#)]);
    let challenge =
        format!("WWW-Authenticate: Bearer realm=\"http://{at}/token\",service=\"o\",scope=\"fleet:default:view\"\r\n");
    let health = r#"{"all":{"nodes":1,"ready":1,"cordoned":0,"partitioned":false},"zones":{},"notReady":{}}"#;
    let answers = vec![answer("401 Unauthorized", &challenge, ""), answer("200 OK", "", health), answer("200 OK", "", health)];
    let (address, served) = server(answers).await;
    let credentials = Credentials::Basic { username: "ada".to_owned(), password: "secret".to_owned() };
    let given = Some(KnownLogin { registry: url(at), credentials });
    let client = FleetClient::new(FleetOptions { given, ..options(address) }).expect("a client");
    for _ in 0..2 {
        assert_eq!(client.node_health(None).await.expect("an answer").all.nodes, 1);
    }
    let (heads, tokens) = (served.await.expect("the server ends"), tokens.await.expect("the registry ends"));
    assert_eq!(header(&heads[0], "authorization"), None, "the password is not shown to the orchestrator");
    assert_eq!(header(&heads[1], "authorization"), Some("Bearer t-1"));
    assert_eq!(header(&heads[2], "authorization"), Some("Bearer t-1"), "a token is used for as long as it lasts");
    assert!(tokens.len() == 1 && tokens[0].starts_with("GET /token?service=o&scope=fleet%3Adefault%3Aview "), "{}", tokens[0]);
    assert!(header(&tokens[0], "authorization").is_some_and(|value| value.starts_with("Basic ")));
}

#[tokio::test]
async fn a_login_goes_to_its_own_registry_alone() {
    let registry = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let at = registry.local_addr().expect("a bound socket has an address");
    let tokens = serve(registry, vec![answer("401 Unauthorized", "", r#"{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}"#)]);
    let challenge = format!("WWW-Authenticate: Bearer realm=\"http://{at}/token\",scope=\"namespace:team:view\"\r\n");
    let (address, _served) = server(vec![answer("401 Unauthorized", &challenge, "")]).await;
    let credentials = Credentials::Basic { username: "ada".to_owned(), password: "secret".to_owned() };
    let other = RegistryUrl::parse("http://127.0.0.1:5000", false).expect("a URL");
    let given = Some(KnownLogin { registry: other, credentials });
    let client = FleetClient::new(FleetOptions { given, ..options(address) }).expect("a client");
    let error = client.node_health(None).await.expect_err("nobody in particular asks");
    assert!(matches!(&error, FleetError::Login { registry, .. } if *registry == url(at)), "{error}");
    let tokens = tokens.await.expect("the registry ends");
    assert!(tokens.len() == 1 && header(&tokens[0], "authorization").is_none(), "{tokens:?}");
}

#[tokio::test]
async fn a_watch_goes_on_where_it_broke_off() {
    let event = |position: u64| {
        format!(
            "id: {position}\ndata: {{\"position\":{position},\"at\":\"2026-06-01T12:00:00Z\",\"kind\":\"pod\",\"change\":\"added\",\
             \"id\":\"x\",\"name\":\"p{position}\",\"reason\":\"Created\"}}\n\n"
        )
    };
    let stream = |body: String| format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}");
    let end = |kind: &str| stream(format!("event: {kind}\ndata: {{\"position\":6,\"message\":\"it is over\"}}\n\n"));
    let torn = stream(event(4) + ": there\n\n" + &event(5) + "data: {\"posi");
    let answers = vec![torn, stream(event(5) + &event(6)), end("draining"), end("behind"), end("gone")];
    let (address, served) = server(answers).await;
    let client = client(address);
    let mut watch = client.watch(WatchFilter::default(), Some(3));
    for position in [4, 5, 6] {
        assert_eq!(watch.next().await.expect("an event").position, position);
    }
    let error = watch.next().await.expect_err("the history is gone");
    assert_eq!((error.code(), error.to_string().as_str()), (Some(Code::HistoryGone), "it is over (410_HISTORY_GONE)"));
    let heads = served.await.expect("the server ends");
    let since: Vec<_> = heads.iter().map(|head| head.split(' ').nth(1).expect("a path")).collect();
    assert_eq!(since.len(), 5);
    assert_eq!(since[..3], ["/api/v1/watch?since=3", "/api/v1/watch?since=5", "/api/v1/watch?since=6"]);
}

#[tokio::test]
async fn a_watch_does_not_go_back_behind_what_it_was_told_is_not_for_it() {
    let stream = |body: &str| format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}");
    let answers = vec![
        // It says from where it begins, and breaks off before anything has happened.
        stream(":\nid: 7\n\n"),
        // Others had news; the sign of life says up to where.
        stream(":\nid: 7\n\n:\nid: 40\n\nid: 41\ndata: {\"posi"),
        stream("event: draining\ndata: {\"position\":90,\"message\":\"come again\"}\n\n"),
        stream("event: behind\ndata: {\"message\":\"you did not keep up\"}\n\n"),
        stream("event: gone\ndata: {\"message\":\"it is over\"}\n\n"),
    ];
    let (address, served) = server(answers).await;
    let client = client(address);
    let error = client.watch(WatchFilter::default(), None).next().await.expect_err("the history is gone");
    assert_eq!(error.code(), Some(Code::HistoryGone));
    let heads = served.await.expect("the server ends");
    let asked: Vec<_> = heads.iter().map(|head| head.split(' ').nth(1).expect("a path")).collect();
    let since = |position: u64| format!("/api/v1/watch?since={position}");
    assert_eq!(asked, ["/api/v1/watch", &since(7), &since(40), &since(90), &since(90)]);
}

#[tokio::test]
async fn a_list_that_comes_whole_is_asked_for_as_it_is() {
    let (address, served) = server(vec![answer("200 OK", "", r#"{"items":[],"position":4}"#)]).await;
    assert!(client(address).join_tokens().all(10).await.expect("a list").is_empty());
    assert!(served.await.expect("the server ends")[0].starts_with("GET /api/v1/nodes/tokens HTTP"));
}

#[tokio::test]
async fn logs_come_as_they_are() {
    let (address, served) = server(vec![answer("200 OK", "", "one\ntwo\n")]).await;
    let id: PodId = "pod_00000000000000000000000000000001".parse().expect("an id");
    let wish = LogsWish { tail: Some(2), timestamps: true, ..LogsWish::default() };
    let mut logs = client(address).logs(id, wish).await.expect("logs");
    let mut text = Vec::new();
    while let Some(bytes) = logs.next().await.expect("the whole answer") {
        text.extend_from_slice(&bytes);
    }
    assert_eq!(text, b"one\ntwo\n");
    let head = &served.await.expect("the server ends")[0];
    assert!(head.starts_with("GET /api/v1/pods/pod_00000000000000000000000000000001/logs?tail=2&timestamps=true HTTP"), "{head}");
}

#[tokio::test]
async fn logs_that_break_off_are_not_taken_for_their_end() {
    let torn = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n".to_owned();
    let (address, _served) = server(vec![torn]).await;
    let id: PodId = "pod_00000000000000000000000000000001".parse().expect("an id");
    let mut logs = client(address).logs(id, LogsWish { follow: true, ..LogsWish::default() }).await.expect("logs");
    assert_eq!(logs.next().await.expect("what has come").as_deref(), Some(&b"one\n"[..]));
    let error = logs.next().await.expect_err("it has no end");
    assert!(matches!(error, FleetError::BrokenOff { .. }), "{error}");
}

#[tokio::test]
async fn what_is_asked_for_is_in_the_path() {
    let empty = || answer("200 OK", "", r#"{"items":[]}"#);
    let (address, served) = server(vec![empty(), answer("204 No Content", "", "")]).await;
    let client = client(address);
    let filter =
        PodFilter { name: Some("a/b?".to_owned()), phase: Some(longshore_fleet::Phase::Running), ..PodFilter::default() };
    assert!(client.pods(&filter).first().await.expect("a page").is_none());
    let namespace = NamespaceSpec::read(json!({"name": "team"})).expect("a namespace");
    client.put_namespace(&namespace, None).await.expect("it is made");
    let heads = served.await.expect("the server ends");
    assert!(heads[0].starts_with("GET /api/v1/pods?phase=Running&name=a%2Fb%3F&limit=500 HTTP"), "{}", heads[0]);
    assert!(heads[1].starts_with("PUT /api/v1/namespaces/team HTTP"), "{}", heads[1]);
    assert_eq!(header(&heads[1], "if-none-match"), Some("*"));
}
