//! The changes of a registry, for those who keep copies: each is told, to those who may know of it, and nothing is missed unseen.

use std::time::Duration;

use http::Method;
use longshore_tests::{Answer, Backend, Client, Image, Registry, on_both_backends, until};
use serde_json::{Value, json};

on_both_backends!(
    changes_are_told_as_they_happen,
    a_page_is_waited_for,
    whoever_comes_again_goes_on,
    nobody_is_told_of_what_they_may_not_pull,
    what_was_missed_is_said,
    a_rebuilding_is_a_new_beginning,
    a_stop_ends_all_streams,
);
longshore_tests::once!(a_replica_tells_of_the_changes_of_another, there_are_no_more_streams_than_may_be);

const PATH: &str = "/v2/_longshore/events";
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream that is read.
struct Stream {
    response: reqwest::Response,
    text: String,
}

/// An event of it.
#[derive(Debug)]
struct Event {
    is_reset: bool,
    id: String,
    data: Value,
}

impl Stream {
    async fn open(client: &Client, path: &str) -> Self {
        let response = client.request(Method::GET, path).header("accept", "text/event-stream").send().await.unwrap();
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert_eq!((response.status().as_u16(), kind), (200, "text/event-stream"));
        Self { response, text: String::new() }
    }

    /// The next event that has data; `None` at the stream's end.
    async fn next(&mut self) -> Option<Event> {
        tokio::time::timeout(PATIENCE, self.wait()).await.expect("an event, or the end")
    }

    async fn wait(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let fields: Vec<_> = block.lines().filter_map(|line| line.split_once(": ")).collect();
                let field = |name: &str| fields.iter().find(|(found, _)| *found == name).map(|(_, value)| (*value).to_owned());
                let event = field("data").map(|data| Event {
                    is_reset: field("event").as_deref() == Some("reset"),
                    id: field("id").expect("each has an id"),
                    data: serde_json::from_str(&data).unwrap(),
                });
                self.text = rest.to_owned();
                if event.is_some() {
                    return event;
                }
            }
            let chunk = self.response.chunk().await.ok()??;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next change, as its kind and what it is of.
    async fn told(&mut self) -> String {
        let event = self.next().await.expect("the stream goes on");
        assert!(!event.is_reset && event.data["position"] == json!(event.id), "{event:?}");
        told(&event.data)
    }
}

fn told(change: &Value) -> String {
    let member = |name: &str| change[name].as_str().map(|text| format!(" {text}"));
    let parts = ["repository", "tag"].into_iter().filter_map(member).collect::<String>();
    format!("{}{parts}", change["kind"].as_str().unwrap())
}

async fn page(client: &Client, query: &str) -> Value {
    client.get(&format!("{PATH}?{query}")).await.expect(200).json()
}

/// Where it stands now.
async fn now(client: &Client) -> String {
    let page = page(client, "").await;
    assert_eq!((&page["isReset"], &page["events"]), (&json!(true), &json!([])));
    page["position"].as_str().unwrap().to_owned()
}

async fn changes_are_told_as_they_happen(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    client.push_image("events/before", "v1", &Image::random(900, &[10])).await;
    let mut stream = Stream::open(&client, PATH).await;
    let mut one = Stream::open(&client, &format!("{PATH}?repository=events/other")).await;
    assert!(stream.next().await.unwrap().is_reset, "whoever comes first knows nothing");
    assert!(one.next().await.unwrap().is_reset);
    let (first, second) = (Image::random(901, &[10]), Image::random(902, &[10]));
    let digest = client.push_image("events/app", "v1", &first).await;
    assert_eq!(stream.told().await, "manifest.pushed events/app");
    let event = stream.next().await.unwrap();
    assert_eq!((told(&event.data), &event.data["digest"]), ("tag.set events/app v1".into(), &json!(digest)));
    assert!(event.data["at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{event:?}");
    client.push_image("events/app", "v1", &second).await;
    assert_eq!([stream.told().await, stream.told().await], ["manifest.pushed events/app", "tag.set events/app v1"]);
    client.delete("/v2/events/app/manifests/v1").await.expect(202);
    assert_eq!(stream.told().await, "tag.deleted events/app v1");
    client.delete(&format!("/v2/events/app/manifests/{digest}")).await.expect(202);
    assert_eq!(stream.told().await, "manifest.deleted events/app");
    let blob = client.push_blob("events/app", &first.blobs[1]).await;
    client.delete(&format!("/v2/events/app/blobs/{blob}")).await.expect(202);
    let event = stream.next().await.unwrap();
    assert_eq!((told(&event.data), &event.data["digest"]), ("blob.deleted events/app".into(), &json!(blob)));
    client.push_image("events/other", "v2", &first).await;
    assert_eq!([one.told().await, one.told().await], ["manifest.pushed events/other", "tag.set events/other v2"]);
}

async fn a_page_is_waited_for(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let start = now(&client).await;
    assert_eq!(page(&client, &format!("after={start}")).await, json!({"position": start, "isReset": false, "events": []}));
    let waiting = tokio::spawn({
        let (client, query) = (client.clone(), format!("after={start}&wait=30"));
        async move { page(&client, &query).await }
    });
    until("it to wait", PATIENCE, async || (registry.metric("longshore_event_followers ").await >= 1.0).then_some(())).await;
    client.push_image("events/page", "v1", &Image::random(910, &[10])).await;
    let found = waiting.await.unwrap();
    assert_eq!((told(&found["events"][0]), &found["isReset"]), ("manifest.pushed events/page".into(), &json!(false)));
    // Bit by bit, nothing is left out.
    for number in 0..5 {
        client.push_image("events/page", &format!("t{number}"), &Image::random(911 + number, &[10])).await;
    }
    let (mut at, mut all) = (start.clone(), Vec::new());
    until("all to be told", PATIENCE, async || {
        let found = page(&client, &format!("after={at}&n=3&wait=1")).await;
        let events = found["events"].as_array().unwrap();
        assert!(events.len() <= 3 && found["isReset"] == json!(false), "{found}");
        all.extend(events.iter().map(told));
        at = found["position"].as_str().unwrap().to_owned();
        (all.len() >= 12).then_some(())
    })
    .await;
    assert_eq!(all.len(), 12, "{all:?}");
    assert_eq!(all.iter().filter(|told| told.starts_with("tag.set")).count(), 6);
    assert_eq!((all[2].as_str(), all[11].as_str()), ("manifest.pushed events/page", "tag.set events/page t4"));
    for wrong in ["wait=long", "wait=-1", "n=x", "repository=A"] {
        let status = client.get(&format!("{PATH}?{wrong}")).await.status.as_u16();
        assert_eq!(status, 400, "{wrong}");
    }
}

async fn whoever_comes_again_goes_on(backend: Backend) {
    let mut registry = Registry::start(backend).await;
    let client = registry.client();
    let mut stream = Stream::open(&client, PATH).await;
    stream.next().await.unwrap();
    client.push_image("events/again", "v1", &Image::random(920, &[10])).await;
    let first = stream.next().await.unwrap();
    drop(stream);
    registry.restart().await;
    client.push_image("events/again", "v2", &Image::random(921, &[10])).await;
    let expected = ["tag.set events/again v1", "manifest.pushed events/again", "tag.set events/again v2"];
    let mut by_query = Stream::open(&client, &format!("{PATH}?after={}", first.id)).await;
    let request = client.request(Method::GET, PATH).header("accept", "text/event-stream").header("last-event-id", &first.id);
    let mut by_header = Stream { response: request.send().await.unwrap(), text: String::new() };
    for change in expected {
        assert_eq!([by_query.told().await, by_header.told().await], [change; 2]);
    }
}

async fn nobody_is_told_of_what_they_may_not_pull(backend: Backend) {
    let registry = Registry::with_accounts(backend, &[]).await;
    let admin = registry.admin();
    let robot = admin.create_robot("edge", &[]).await;
    let role = admin.grant("edge", "pull", "team/*").await;
    let robot = registry.as_account(&robot);
    registry.client().get(PATH).await.expect_error(401, "UNAUTHORIZED");
    let (mut all, mut some) = (Stream::open(&admin, PATH).await, Stream::open(&robot, PATH).await);
    assert!(all.next().await.unwrap().is_reset && some.next().await.unwrap().is_reset);
    let start = now(&robot).await;
    admin.push_image("secret/app", "v1", &Image::random(930, &[10])).await;
    admin.push_image("team/app", "v1", &Image::random(931, &[10])).await;
    let expected = ["manifest.pushed secret/app", "tag.set secret/app v1", "manifest.pushed team/app", "tag.set team/app v1"];
    for change in expected {
        assert_eq!(all.told().await, change);
    }
    assert_eq!([some.told().await, some.told().await], expected[2..]);
    let found = page(&robot, &format!("after={start}&wait=5")).await;
    assert_eq!(found["events"].as_array().unwrap().iter().map(told).collect::<Vec<_>>(), expected[2..]);
    assert_eq!(page(&robot, &format!("after={start}&repository=secret/app")).await["events"], json!([]));

    // What is taken away is taken away while the stream goes on; and who is gone is told nothing.
    admin.revoke(&role).await;
    admin.grant("edge", "pull", "open/*").await;
    admin.push_image("team/app", "v2", &Image::random(932, &[10])).await;
    admin.push_image("open/app", "v1", &Image::random(933, &[10])).await;
    assert_eq!(some.told().await, "manifest.pushed open/app");
    assert_eq!(some.told().await, "tag.set open/app v1");
    admin.delete_account("edge").await;
    admin.push_image("open/app", "v2", &Image::random(934, &[10])).await;
    assert!(some.next().await.is_none(), "the stream ends");
}

async fn what_was_missed_is_said(backend: Backend) {
    let mut registry = Registry::start(backend).await;
    let client = registry.client();
    let start = now(&client).await;
    client.push_image("events/old", "v1", &Image::random(940, &[10])).await;
    assert_eq!(page(&client, &format!("after={start}&wait=5")).await["isReset"], json!(false));
    registry.restart_with(&[("sweep.events_retention", "1ms".into()), ("sweep.interval", "100ms".into())]).await;
    let found = until("the outbox to be emptied", PATIENCE, async || {
        let found = page(&client, &format!("after={start}")).await;
        (found["isReset"] == json!(true)).then_some(found)
    })
    .await;
    assert_eq!(found["events"], json!([]));
    let position = found["position"].as_str().unwrap();
    assert_eq!(page(&client, &format!("after={position}")).await["isReset"], json!(false));
    for unknown in [start.as_str(), "nonsense", "0123-5", &format!("{position}0")] {
        let mut stream = Stream::open(&client, &format!("{PATH}?after={unknown}")).await;
        assert!(stream.next().await.unwrap().is_reset, "{unknown}");
    }
}

async fn a_rebuilding_is_a_new_beginning(backend: Backend) {
    let mut registry = Registry::start(backend).await;
    let client = registry.client();
    client.push_image("events/rebuilt", "v1", &Image::random(950, &[10])).await;
    let start = now(&client).await;
    registry.kill9();
    let output = registry.reindex().await;
    assert_eq!(output.code, Some(0), "{output}");
    registry.restart().await;
    assert_eq!(page(&client, &format!("after={start}")).await["isReset"], json!(true));
}

async fn a_stop_ends_all_streams(backend: Backend) {
    let mut registry = Registry::start(backend).await;
    let client = registry.client();
    let mut stream = Stream::open(&client, PATH).await;
    assert!(stream.next().await.unwrap().is_reset);
    let start = now(&client).await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { Answer::attempt(client.request(Method::GET, &format!("{PATH}?after={start}&wait=60"))).await }
    });
    until("both to follow", PATIENCE, async || (registry.metric("longshore_event_followers").await >= 2.0).then_some(())).await;
    registry.sigterm();
    assert!(stream.next().await.is_none());
    assert_eq!(waiting.await.unwrap().unwrap().expect(200).json()["events"], json!([]));
    assert_eq!(registry.ended(Duration::from_secs(10)).await.code(), Some(0), "no stream holds it up");
}

async fn a_replica_tells_of_the_changes_of_another() {
    let first = Registry::start(Backend::Bucket).await;
    let second = first.replica().await;
    let mut streams = [Stream::open(&first.client(), PATH).await, Stream::open(&second.client(), PATH).await];
    for stream in &mut streams {
        assert!(stream.next().await.unwrap().is_reset);
    }
    const IMAGES: u64 = 20;
    let push = |registry: &Registry, repository: &'static str, seed: u64| {
        let client = registry.client();
        tokio::spawn(async move {
            for number in 0..IMAGES {
                client.push_image(repository, &format!("t{number}"), &Image::random(seed + number, &[10])).await;
            }
        })
    };
    let pushes = [push(&first, "events/first", 1000), push(&second, "events/second", 2000)];
    for push in pushes {
        push.await.unwrap();
    }
    let mut told = [Vec::new(), Vec::new()];
    for (stream, told) in streams.iter_mut().zip(&mut told) {
        for _ in 0..4 * IMAGES {
            told.push(stream.told().await);
        }
    }
    assert_eq!(told[0], told[1], "both tell the same in the same order");
    for repository in ["events/first", "events/second"] {
        let tags: Vec<_> = told[0].iter().filter_map(|told| told.strip_prefix(&format!("tag.set {repository} "))).collect();
        assert_eq!(tags, (0..IMAGES).map(|number| format!("t{number}")).collect::<Vec<_>>());
    }
}

async fn there_are_no_more_streams_than_may_be() {
    let registry = Registry::with(Backend::Folder, &[("requests.max_event_streams", 1.into())]).await;
    let client = registry.client();
    let mut stream = Stream::open(&client, PATH).await;
    assert!(stream.next().await.unwrap().is_reset);
    let refused = client.get(PATH).await.expect_error(503, "UNAVAILABLE");
    assert!(refused.header("retry-after").is_some());
    drop(stream);
    until("the place to be free", PATIENCE, async || client.get(PATH).await.status.is_success().then_some(())).await;
}
