//! Prewarming: "an operation that reports bytes and pieces as it goes (JSON, and server-sent events); a manifest pulled starts fetching its
//! layers for the caller's platform; idempotent; cancellable; such work yields to clients' reads".

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Method;
use longshore_tests::{
    Answer, Backend, Edge, EdgeUpstream, Image, Misdeed, Output, Plan, Process, Registry, Upstream, Wire, digest_of, done,
    image_index, longshore, run, until,
};
use rustix::process::Signal;
use serde_json::{Value, json};

longshore_tests::once!(
    an_image_is_there_for_its_platform_before_it_is_asked_for,
    the_same_wish_is_the_same_operation_and_costs_no_second_copy,
    a_cancelled_operation_ends_and_pins_nothing,
    a_process_that_ends_leaves_nothing_pinned_that_is_not_here,
    a_deadline_ends_an_operation,
    an_upstream_that_is_away_is_waited_for,
    an_operation_tells_as_events_how_far_it_is,
    the_layers_of_a_pulled_manifest_are_fetched_for_its_platform,
    prewarming_waits_while_clients_are_served,
    a_terminal_shows_bars,
    what_is_no_terminal_gets_plain_lines,
    who_interrupts_the_command_is_told_how_to_end_the_operation,
    what_is_wrong_is_said,
);

const MIB: usize = 1 << 20;
const REPOSITORY: &str = "warm/app";
const NAME: &str = "warm/app:v1";
const LIMIT: Duration = Duration::from_secs(60);

fn size_bytes(image: &Image) -> usize {
    image.blobs.iter().map(Bytes::len).sum()
}

/// An image of two platforms: of `linux/amd64`, of `linux/arm64`, and both.
fn image_of_two(seed: u64) -> (Image, Image, Image) {
    let (amd64, arm64) = (Image::random(seed, &[2 * MIB + 5, 1000]), Image::random(seed + 500, &[MIB, 700]));
    let index = image_index(&[("amd64", &amd64), ("arm64", &arm64)]);
    (amd64, arm64, index)
}

/// An edge, and an upstream that stops in the middle of the layer of [`NAME`].
async fn halfway(seed: u64) -> (Upstream, Edge, Image) {
    let upstream = Upstream::start().await;
    let image = Image::random(seed, &[2 * MIB]);
    upstream.hold(REPOSITORY, "v1", &image);
    let layer = digest_of(&image.blobs[1]);
    upstream.misbehave(vec![Plan::always(Misdeed::HoldAt(MIB as u64)).method("GET").containing(layer.as_str())]);
    let edge = Edge::with(&[EdgeUpstream::other(&upstream)], &[("cache.sync_delay", "20ms".into())]).await;
    (upstream, edge, image)
}

/// Runs `longshore prewarm --at` an edge.
async fn prewarm(edge: &Edge, arguments: &[&str]) -> Output {
    run(longshore(), [&["prewarm", "--at", edge.url()], arguments].concat()).await
}

/// What an edge answers to a wish.
async fn wish(edge: &Edge, wish: &Value) -> Answer {
    Answer::to(edge.client().request(Method::POST, "/v2/_longshore/prewarm").body(wish.to_string())).await
}

/// The operation that a wish begins.
async fn begin(edge: &Edge, wished: &Value) -> Value {
    let answer = wish(edge, wished).await.expect(202);
    let operation = answer.json();
    assert_eq!(answer.required("location"), path(&operation));
    operation
}

fn path(operation: &Value) -> String {
    format!("/v2/_longshore/operations/{}", operation["id"].as_str().expect("it has an id"))
}

/// How an operation has ended.
async fn ended(edge: &Edge, operation: &Value) -> Value {
    until("the operation to end", LIMIT, async || {
        let operation = edge.client().get(&path(operation)).await.expect(200).json();
        (operation["state"] != "running").then_some(operation)
    })
    .await
}

/// What `longshore edge status` prints.
async fn status(edge: &Edge) -> String {
    done(edge.command("status", &[]).await).stdout
}

async fn pins(edge: &Edge) -> Vec<Value> {
    edge.json("ls", &["--pins"]).await.as_array().expect("a list").clone()
}

/// What an edge keeps all of, and who pins it.
async fn kept(edge: &Edge) -> BTreeMap<String, Value> {
    let blobs = edge.json("ls", &[]).await.as_array().expect("a list").clone();
    let all = blobs.into_iter().filter(|blob| blob["presentBytes"] == blob["sizeBytes"]);
    all.map(|blob| (blob["digest"].as_str().expect("a digest").to_owned(), blob["pinnedBy"].clone())).collect()
}

/// That all of an image's blobs have been asked of an upstream so often.
#[track_caller]
fn is_asked_for(upstream: &Upstream, image: &Image, count: usize) {
    for blob in &image.blobs {
        assert_eq!(upstream.gets_of(&digest_of(blob)).len(), count, "{}", digest_of(blob));
    }
}

async fn an_image_is_there_for_its_platform_before_it_is_asked_for() {
    let mut registry = Registry::start(Backend::Folder).await;
    let (amd64, arm64, index) = image_of_two(2300);
    for image in [&amd64, &arm64] {
        registry.client().push_image(REPOSITORY, image.digest.as_str(), image).await;
    }
    registry.client().push_image(REPOSITORY, "v1", &index).await;
    let wire = Wire::http(registry.authority()).await;
    // Whoever follows is told at first to forget all.
    let upstream = EdgeUpstream::through(&wire).set("follow_events", false);
    let edge = Edge::with(&[upstream], &[("cache.sync_delay", "20ms".into())]).await;
    let arguments = [NAME, "--platform", "linux/amd64", "--pin", "7d", "--output", "json"];
    let printed = done(prewarm(&edge, &arguments).await).stdout;
    let operation: Value = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error} in {printed}"));
    assert_eq!((&operation["state"], &operation["images"][0]["digest"]), (&json!("done"), &json!(index.digest)));
    let size = json!(size_bytes(&amd64));
    assert_eq!((&operation["bytesDone"], &operation["bytesTotal"]), (&size, &size), "{operation}");
    let pieces: usize = amd64.blobs.iter().map(|blob| blob.len().div_ceil(MIB)).sum();
    assert_eq!((&operation["piecesDone"], &operation["piecesTotal"]), (&json!(pieces), &json!(pieces)), "{operation}");
    let calls = wire.take_calls();
    let is_asked = |blob: &Bytes| calls.iter().any(|call| call.path.ends_with(digest_of(blob).as_str()));
    assert!(amd64.blobs.iter().all(is_asked) && !arm64.blobs.iter().any(is_asked), "{calls:?}");

    // An operator sees it, and until when.
    let kept = kept(&edge).await;
    for content in amd64.blobs.iter().chain([&amd64.manifest, &index.manifest]) {
        assert_eq!(kept.get(digest_of(content).as_str()), Some(&json!(["prewarm"])), "{kept:?}");
    }
    assert!(arm64.blobs.iter().all(|blob| !kept.contains_key(digest_of(blob).as_str())), "{kept:?}");
    let status = status(&edge).await;
    assert!(["7 d left", "6 d left"].iter().any(|left| status.contains(&format!("1 image (prewarm: {left})"))), "{status}");
    let listed = done(edge.command("ls", &["--pins"]).await).stdout;
    assert!(["prewarm", NAME, " d left"].iter().all(|word| listed.contains(word)), "{listed}");
    let pinned = pins(&edge).await.len();
    assert_eq!(pinned, amd64.blobs.len() + 2, "its manifests, and what they are made of");

    // The same again costs nothing.
    done(prewarm(&edge, &arguments).await);
    let calls = wire.take_calls();
    assert!(calls.iter().all(|call| call.method != "GET" || !call.path.contains("/blobs/")), "{calls:?}");
    assert_eq!(pins(&edge).await.len(), pinned);

    registry.kill9();
    assert_eq!(edge.client().get_manifest(REPOSITORY, "v1").await.expect(200).body, index.manifest);
    assert_eq!(edge.client().pull_image(REPOSITORY, amd64.digest.as_str()).await, amd64.digest);
    let other = edge.client().get_manifest(REPOSITORY, arm64.digest.as_str()).await;
    assert!(other.status.is_server_error(), "what was not wished for is not here: {other:?}");
}

async fn the_same_wish_is_the_same_operation_and_costs_no_second_copy() {
    let (upstream, edge, image) = halfway(2301).await;
    let first = begin(&edge, &json!({ "images": [NAME], "platforms": ["linux/amd64"], "pin": "7d" })).await;
    upstream.holds().await;
    let second = begin(&edge, &json!({ "images": [NAME, NAME], "platforms": ["linux/amd64"], "pin": "168h" })).await;
    assert_eq!((&second["id"], &second["state"]), (&first["id"], &json!("running")));
    let other = begin(&edge, &json!({ "images": [NAME], "platforms": ["linux/amd64"], "pin": "1d" })).await;
    assert_ne!(other["id"], first["id"], "another wish is another operation");
    let listed = edge.client().get("/v2/_longshore/operations").await.expect(200).json();
    assert_eq!(listed["operations"].as_array().map(Vec::len), Some(2), "{listed}");
    upstream.behave();
    for operation in [&first, &other] {
        let ended = ended(&edge, operation).await;
        assert_eq!((&ended["state"], &ended["bytesDone"]), (&json!("done"), &json!(size_bytes(&image))), "{ended}");
    }
    let again = begin(&edge, &json!({ "images": [NAME], "platforms": ["linux/amd64"], "pin": "7d" })).await;
    assert_eq!(ended(&edge, &again).await["state"], "done");
    is_asked_for(&upstream, &image, 1);
}

async fn a_cancelled_operation_ends_and_pins_nothing() {
    let (upstream, edge, _image) = halfway(2302).await;
    let wished = json!({ "images": [NAME], "pin": "7d" });
    for by_command in [false, true] {
        let operation = begin(&edge, &wished).await;
        upstream.holds().await;
        until("it to be pinned", LIMIT, async || (!pins(&edge).await.is_empty()).then_some(())).await;
        if by_command {
            let id = operation["id"].as_str().expect("it has an id");
            let told = done(prewarm(&edge, &["--cancel", id]).await).stdout;
            assert!(told.contains(id), "{told}");
        } else {
            edge.client().delete(&path(&operation)).await.expect(202);
        }
        let ended = ended(&edge, &operation).await;
        assert_eq!((&ended["state"], &ended["images"][0]["state"]), (&json!("cancelled"), &json!("cancelled")), "{ended}");
        assert_eq!(pins(&edge).await, Vec::<Value>::new());
    }
    upstream.behave();
    let again = begin(&edge, &wished).await;
    assert_eq!(ended(&edge, &again).await["state"], "done", "what was cancelled can be had later");
}

/// "pins with expiry": of an operation that is not done nothing stays pinned, however the process ends, and all of one that is does.
async fn a_process_that_ends_leaves_nothing_pinned_that_is_not_here() {
    for (seed, is_killed) in [(2312, false), (2313, true)] {
        let (upstream, mut edge, image) = halfway(seed).await;
        let whole = Image::random(seed + 100, &[MIB + 5, 1000]);
        upstream.hold(REPOSITORY, "whole", &whole);
        let operation = begin(&edge, &json!({ "images": ["warm/app:whole"], "pin": "7d" })).await;
        assert_eq!(ended(&edge, &operation).await["state"], "done");
        let before = pins(&edge).await;
        assert_eq!(before.len(), whole.blobs.len() + 1, "{before:?}");
        begin(&edge, &json!({ "images": [NAME], "pin": "7d" })).await;
        upstream.holds().await;
        let most = before.len() + image.blobs.len() + 1;
        until("it to be pinned", LIMIT, async || (pins(&edge).await.len() == most).then_some(())).await;
        if is_killed {
            edge.restart().await;
        } else {
            edge.restart_gently().await;
        }
        assert_eq!(pins(&edge).await, before, "killed: {is_killed}");
        let kept = kept(&edge).await;
        for pin in &before {
            assert!(kept.contains_key(pin["digest"].as_str().expect("a digest")), "{pin} in {kept:?}");
        }
        let status = status(&edge).await;
        assert!(status.contains("1 image (prewarm: "), "{status}");
    }
}

async fn a_deadline_ends_an_operation() {
    let (_upstream, edge, _image) = halfway(2303).await;
    let deadline = jiff::Timestamp::from_millisecond(jiff::Timestamp::now().as_millisecond() + 3000).expect("a time");
    let operation = begin(&edge, &json!({ "images": [NAME], "pin": "7d", "deadline": deadline.to_string() })).await;
    let ended = ended(&edge, &operation).await;
    assert_eq!((&ended["state"], &ended["images"][0]["state"]), (&json!("failed"), &json!("failed")), "{ended}");
    assert!(ended["error"].as_str().is_some_and(|error| error.contains("deadline")), "{ended}");
    assert!(ended["endedAt"].as_str().expect("it has ended").parse::<jiff::Timestamp>().expect("a time") >= deadline);
    assert_eq!(pins(&edge).await, Vec::<Value>::new());
    let told = prewarm(&edge, &[NAME, "--deadline", "300ms"]).await;
    assert!(told.code == Some(1) && told.stderr.contains("deadline"), "{told}");
    wish(&edge, &json!({ "images": [NAME], "deadline": deadline.to_string() })).await.expect_error(400, "OPERATION_INVALID");
}

/// "try again in 5 s" is for who waits for an answer, and not for work that nobody waits for.
async fn an_upstream_that_is_away_is_waited_for() {
    let upstream = Upstream::start().await;
    let image = Image::random(2316, &[2 * MIB]);
    upstream.hold(REPOSITORY, "v1", &image);
    let soon_left_alone = EdgeUpstream::other(&upstream).set("breaker_failures", 1).set("breaker_pause", "1s");
    let edge = Edge::start(&[soon_left_alone]).await;
    let waits = async |operation: &Value| {
        edge.logs(&[operation["id"].as_str().expect("it has an id"), "waits for its upstream"]).await;
    };
    upstream.go_away();
    let operation = begin(&edge, &json!({ "images": [NAME], "pin": "7d" })).await;
    waits(&operation).await;
    upstream.come_back();
    let done = ended(&edge, &operation).await;
    assert_eq!((&done["state"], &done["bytesDone"]), (&json!("done"), &json!(size_bytes(&image))), "{done}");
    let pinned = pins(&edge).await;

    upstream.go_away();
    let operation = begin(&edge, &json!({ "images": ["warm/app:another"], "pin": "7d" })).await;
    waits(&operation).await;
    edge.client().delete(&path(&operation)).await.expect(202);
    assert_eq!(ended(&edge, &operation).await["state"], "cancelled");
    assert_eq!(pins(&edge).await, pinned);
}

async fn an_operation_tells_as_events_how_far_it_is() {
    let (upstream, edge, image) = halfway(2304).await;
    let operation = begin(&edge, &json!({ "images": [NAME] })).await;
    upstream.holds().await;
    let request = edge.client().request(Method::GET, &path(&operation)).header("accept", "text/event-stream");
    let mut response = request.send().await.expect("an answer begins");
    let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
    assert_eq!((response.status().as_u16(), kind), (200, Some("text/event-stream")));
    let mut text = String::new();
    let mut is_held = true;
    while let Some(chunk) = response.chunk().await.expect("it ends as it should") {
        text += std::str::from_utf8(&chunk).expect("events are text");
        if std::mem::take(&mut is_held) {
            upstream.behave();
        }
    }
    let data = text.split("\n\n").filter_map(|event| event.lines().find_map(|line| line.strip_prefix("data: ")));
    let told: Vec<Value> = data.map(|data| serde_json::from_str(data).expect("an operation")).collect();
    let (first, last) = (told.first().expect("how it was"), told.last().expect("how it ended"));
    let count = |event: &Value, name: &str| event[name].as_u64().unwrap_or_else(|| panic!("no {name} in {event}"));
    assert_eq!((&first["state"], &first["id"]), (&json!("running"), &operation["id"]));
    assert!(count(first, "bytesDone") < size_bytes(&image) as u64, "{first}");
    let all = (size_bytes(&image) as u64, 3);
    assert_eq!((&last["state"], count(last, "bytesDone"), count(last, "piecesDone")), (&json!("done"), all.0, all.1));
    assert_eq!((count(last, "bytesTotal"), count(last, "piecesTotal")), all);
    assert!(told.is_sorted_by_key(|event| count(event, "bytesDone")), "{told:?}");
}

async fn the_layers_of_a_pulled_manifest_are_fetched_for_its_platform() {
    let upstream = Upstream::start().await;
    let (amd64, arm64, index) = image_of_two(2305);
    for (tag, image) in [("amd64", &amd64), ("arm64", &arm64), ("v1", &index)] {
        upstream.hold(REPOSITORY, tag, image);
    }
    let upstreams = [EdgeUpstream::other(&upstream)];
    let lazy = Edge::with(&upstreams, &[("cache.prefetch", false.into())]).await;
    let edge = Edge::start(&upstreams).await;
    for edge in [&lazy, &edge] {
        // As a client does that runs on `linux/amd64`, up to where it would ask for layers.
        assert_eq!(edge.client().get_manifest(REPOSITORY, "v1").await.expect(200).body, index.manifest);
        edge.client().get_manifest(REPOSITORY, amd64.digest.as_str()).await.expect(200);
    }
    until("its layers to be there", LIMIT, async || {
        let kept = kept(&edge).await;
        amd64.blobs.iter().all(|blob| kept.contains_key(digest_of(blob).as_str())).then_some(())
    })
    .await;
    is_asked_for(&upstream, &amd64, 1);
    is_asked_for(&upstream, &arm64, 0);
    edge.client().pull_image(REPOSITORY, amd64.digest.as_str()).await;
    is_asked_for(&upstream, &amd64, 1);
    assert_eq!(pins(&edge).await, Vec::<Value>::new(), "nobody wished for them");
}

async fn prewarming_waits_while_clients_are_served() {
    // How long it waits; then it goes on all the same.
    const PATIENCE: Duration = Duration::from_secs(1);
    let upstream = Upstream::start().await;
    let (wanted, later) = (Image::random(2306, &[200_000]), Image::random(2307, &[1000]));
    upstream.hold(REPOSITORY, "wanted", &wanted);
    upstream.hold(REPOSITORY, "v1", &later);
    let layer = digest_of(&wanted.blobs[1]);
    upstream.misbehave(vec![Plan::always(Misdeed::HoldAt(1000)).method("GET").containing(layer.as_str())]);
    let edge = Edge::start(&[EdgeUpstream::other(&upstream)]).await;
    let (client, content) = (edge.client(), wanted.blobs[1].clone());
    let reading = tokio::spawn(async move { client.take_blob(REPOSITORY, &content).await });
    upstream.holds().await;
    let began = Instant::now();
    let operation = begin(&edge, &json!({ "images": [NAME] })).await;
    let shown = async || edge.client().get(&path(&operation)).await.expect(200).json();
    until("it to be known what the image is made of", LIMIT, async || {
        (shown().await["bytesTotal"] == json!(size_bytes(&later))).then_some(())
    })
    .await;
    until("half of its patience to be over", LIMIT, async || {
        let is_asked = later.blobs.iter().any(|blob| !upstream.gets_of(&digest_of(blob)).is_empty());
        let shown = shown().await;
        let waits = !is_asked && shown["bytesDone"] == 0;
        assert!(waits || began.elapsed() >= PATIENCE, "it did not wait for the client: {shown}");
        (began.elapsed() > PATIENCE / 2).then_some(())
    })
    .await;
    assert_eq!(upstream.sent_bytes_of(&layer), 1000, "the client is being served");
    upstream.release();
    assert!(reading.await.expect("it ends").is_right());
    let ended = ended(&edge, &operation).await;
    assert_eq!((&ended["state"], &ended["bytesDone"]), (&json!("done"), &json!(size_bytes(&later))), "{ended}");
    is_asked_for(&upstream, &later, 1);
}

/// Whoever waits at a terminal sees bars that move, in bytes, and in their place what came of it.
async fn a_terminal_shows_bars() {
    const COLUMNS: usize = 80;
    let (upstream, edge, _image) = halfway(2310).await;
    let (long, cut) = ("warm/an-image-of-a-name-that-has-more-than-a-third-of-a-line:v1", "warm/an-i…-a-line:v1");
    let (repository, tag) = long.rsplit_once(':').expect("it has a tag");
    upstream.hold(repository, tag, &Image::random(2315, &[MIB]));
    let missing = "warm/app:that-nobody-has";
    let program = longshore().to_str().expect("our folders' names are ASCII");
    let words = [program, "prewarm", "--at", edge.url(), NAME, long, missing].join(" ");
    let script = format!("stty cols {COLUMNS} rows 24 && exec {words}");
    let mut terminal = Process::start("prewarm", "script", |command| {
        command.args(["--quiet", "--return", "--command", &script, "/dev/null"]).env("TERM", "xterm");
    });
    until("a bar with half of the bytes", LIMIT, async || {
        let output = terminal.output();
        assert!(terminal.exit_status().is_none(), "{output}");
        (output.contains("===>") && output.contains("1.00 MiB of 2.00 MiB")).then_some(())
    })
    .await;
    upstream.behave();
    let exit = terminal.ended(LIMIT).await;
    let output = terminal.output();
    assert_eq!(exit.code(), Some(1), "one of them is missing: {output}");
    let (bars, left) = output.rsplit_once('\u{1b}').expect("bars are moved by escape codes");
    for words in [NAME, "2.00 MiB of 2.00 MiB", cut, "1.00 MiB of 1.00 MiB", "can't be had"] {
        assert!(bars.contains(words), "{words:?} in {output}");
    }
    // None wraps, and the first of all frames is as the others are.
    for line in bars.split(['\u{1b}', '\r', '\n']) {
        // What is left of an escape code is no column.
        let line = line.trim_start_matches(|character: char| "[0123456789;?ABGHJKhlm".contains(character));
        // A bar fills its line, and the next follows it without a word.
        let length = line.chars().count();
        assert!(length <= COLUMNS || length.is_multiple_of(COLUMNS), "{line:?} in {output}");
        assert!(!line.contains(['█', '░']), "{line:?} in {output}");
    }
    assert!(["IMAGE", "SIZE", NAME, "2.0 MiB", "done"].iter().all(|word| left.contains(word)), "{output}");
    assert!(!left.contains("MiB of"), "the bars are gone: {output}");
}

async fn what_is_no_terminal_gets_plain_lines() {
    let upstream = Upstream::start().await;
    upstream.hold(REPOSITORY, "v1", &Image::random(2311, &[2 * MIB]));
    let edge = Edge::start(&[EdgeUpstream::other(&upstream)]).await;
    let output = done(prewarm(&edge, &[NAME]).await);
    let is_plain = |text: &str| !text.contains(|character: char| character.is_control() && character != '\n');
    assert!(is_plain(&output.stdout) && is_plain(&output.stderr), "{output}");
    let lines: Vec<&str> = output.stderr.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("op_") && lines[0].ends_with(": fetching 1 image"), "{output}");
    assert_eq!(lines[1], format!("{NAME}: done, 2.0 MiB in 3 pieces"));
    assert!(output.stdout.starts_with("IMAGE ") && output.stdout.lines().count() == 2, "{output}");
}

async fn who_interrupts_the_command_is_told_how_to_end_the_operation() {
    let (upstream, edge, image) = halfway(2317).await;
    let mut command = Process::start("prewarm", longshore(), |command| {
        command.args(["prewarm", "--at", edge.url(), NAME]);
    });
    let id_of = |line: &str| line.split_once(": fetching").map(|(id, _)| id.to_owned());
    let id = command.printed("which operation it is", LIMIT, id_of).await;
    upstream.holds().await;
    command.signal(Signal::INT);
    let exit = command.ended(LIMIT).await;
    let output = command.output();
    let how = format!("longshore prewarm --cancel {id} --at {}", edge.url());
    assert!(exit.code() == Some(130) && output.contains("the edge goes on") && output.contains(&how), "{exit}: {output}");
    upstream.behave();
    let ended = ended(&edge, &json!({ "id": id })).await;
    assert_eq!((&ended["state"], &ended["bytesDone"]), (&json!("done"), &json!(size_bytes(&image))), "{ended}");
}

async fn what_is_wrong_is_said() {
    let upstream = Upstream::start().await;
    let (amd64, arm64, index) = image_of_two(2308);
    for (tag, image) in [("amd64", &amd64), ("arm64", &arm64), ("v1", &index)] {
        upstream.hold(REPOSITORY, tag, image);
    }
    let large = Image::random(2309, &[17 * MIB]);
    upstream.hold(REPOSITORY, "large", &large);
    let edge = Edge::with(&[EdgeUpstream::other(&upstream)], &[("cache.quota", "16MiB".into())]).await;
    let cases: [(&[&str], &str); 3] = [
        (&["warm/app:absent"], "manifest absent can't be had"),
        (&[NAME, "--platform", "linux/s390x"], "it is for linux/amd64, linux/arm64"),
        (&["warm/app:large", "--pin", "1h"], "can't be pinned"),
    ];
    for (arguments, words) in cases {
        let told = prewarm(&edge, arguments).await;
        assert!(told.code == Some(1) && told.stderr.contains(words), "{told}");
        assert_eq!(pins(&edge).await, Vec::<Value>::new(), "{arguments:?}");
    }
    for image in [&amd64, &arm64, &large] {
        is_asked_for(&upstream, image, 0);
    }
    for wished in [json!({}), json!({ "images": [] }), json!({ "images": [NAME], "pin": "for ever" })] {
        wish(&edge, &wished).await.expect_error(400, "OPERATION_INVALID");
    }
    edge.client().get("/v2/_longshore/operations/op_none").await.expect_error(404, "OPERATION_UNKNOWN");
    let request = edge.client().request(Method::POST, "/v2/_longshore/prewarm").header("x-forwarded-for", "192.0.2.1");
    let stranger = Answer::to(request.body(json!({ "images": [NAME] }).to_string())).await;
    stranger.expect_error(401, "UNAUTHORIZED");
}
