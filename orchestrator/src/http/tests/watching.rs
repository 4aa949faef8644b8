use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::fixture::Served;

/// Server-sent events as they come.
struct Stream {
    response: reqwest::Response,
    text: String,
}

impl Stream {
    async fn open(served: &Served, path: &str) -> Self {
        let response = served.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The next event that has data: its kind, its id and its data. None at the end.
    async fn next(&mut self) -> Option<(String, String, Value)> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").trim().to_owned();
                let told = (field("event:"), field("id:"), field("data:"));
                self.text = rest.to_owned();
                if !told.2.is_empty() {
                    return Some((told.0, told.1, serde_json::from_str(&told.2).unwrap()));
                }
            }
            let chunk = tokio::time::timeout(Duration::from_secs(5), self.response.chunk()).await.expect("something comes");
            self.text.push_str(std::str::from_utf8(&chunk.unwrap()?).unwrap());
        }
    }
}

#[tokio::test]
async fn changes_are_told_as_they_happen_and_none_is_missed() {
    let served = Served::new().await;
    served.deploy("a").await;
    let mut live = Stream::open(&served, "/api/v1/watch").await;
    let first = live.response.chunk().await.unwrap().unwrap();
    assert_eq!(first, ":\nid: 1\n\n", "whoever loses the connection now knows from where to go on");
    let mut all = Stream::open(&served, "/api/v1/watch?since=0").await;
    let path = served.deploy("b").await;
    served.post(&format!("{path}/scale"), json!({"replicas": 5})).await;
    let (kind, id, event) = live.next().await.unwrap();
    assert_eq!((kind.as_str(), id.as_str(), &event["name"], &event["reason"]), ("", "2", &json!("b"), &json!("Created")));
    assert_eq!(event["object"]["spec"]["replicas"], 2);
    assert_eq!(live.next().await.unwrap().2["reason"], "Scaled");
    for position in 1..=3 {
        assert_eq!(all.next().await.unwrap().2["position"], position);
    }
    let resumed = served.request(Method::GET, "/api/v1/watch").header("last-event-id", "2").send().await.unwrap();
    let mut resumed = Stream { response: resumed, text: String::new() };
    assert_eq!(resumed.next().await.unwrap().1, "3");
    served.stopped().await;
}

#[tokio::test]
async fn a_watch_can_be_narrowed_and_history_has_an_end() {
    let served = Served::new().await;
    let mut nodes = Stream::open(&served, "/api/v1/watch?since=0&kinds=namespace,node").await;
    served.deploy("a").await;
    served.send(served.request(Method::PUT, "/api/v1/namespaces/team").json(&json!({}))).await;
    let (_, id, event) = nodes.next().await.unwrap();
    assert_eq!((id.as_str(), &event["kind"]), ("2", &json!("namespace")));
    let mut elsewhere = Stream::open(&served, "/api/v1/watch?since=0&namespace=team").await;
    assert_eq!(elsewhere.next().await.unwrap().1, "2");
    let gone = served.get("/api/v1/watch?since=999").await;
    assert_eq!((gone.status, gone.code()), (410, "410_HISTORY_GONE"));
    assert_eq!(served.get("/api/v1/watch?kinds=pots").await.faults(), ["?kinds"]);
    let latest = served.get("/api/v1/events?limit=1").await;
    assert_eq!(latest.body["items"][0]["position"], 2);
    served.stopped().await;
}

#[tokio::test]
async fn watches_end_where_the_replica_stops_or_has_no_room() {
    let served = Served::with(|config| config.requests.max_watchers = 1, true).await;
    let mut live = Stream::open(&served, "/api/v1/watch").await;
    let refused = served.get("/api/v1/watch").await;
    assert_eq!((refused.status, refused.code(), refused.header("retry-after")), (503, "503_CONTROL_PLANE_DEGRADED", "1"));
    served.begin_to_stop();
    assert_eq!(live.next().await.unwrap().0, "draining");
    assert!(live.next().await.is_none());
    served.stopped().await;
}

#[tokio::test]
async fn many_watch_and_each_is_told_everything() {
    let served = Served::new().await;
    let mut watchers = Vec::new();
    for _ in 0..50 {
        watchers.push(Stream::open(&served, "/api/v1/watch?since=0").await);
    }
    let path = served.deploy("a").await;
    for replicas in 3..20 {
        assert_eq!(served.post(&format!("{path}/scale"), json!({"replicas": replicas})).await.status, 200);
    }
    for watcher in &mut watchers {
        for position in 1..=18 {
            assert_eq!(watcher.next().await.unwrap().2["position"], position);
        }
    }
    drop(watchers);
    served.stopped().await;
}
