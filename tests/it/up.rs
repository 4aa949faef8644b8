//! `longshore up`, whole: a registry, its tracker and a node; and a second node that joins it.

use std::{os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use http::Method;
use longshore_tests::{
    Account, Answer, Client, Containerd, Image, Layout, Process, longshore, run, run_ok, temporary_folder, until,
};
use serde_json::{Value, json};

longshore_tests::once!(
    a_second_up_shares_with_the_first,
    up_loses_nothing_and_a_taken_port_of_the_node_is_no_matter,
    up_says_what_can_not_be_joined,
    the_node_of_an_up_with_accounts_pulls_what_is_private,
    up_says_that_its_folder_is_another_s,
    up_with_accounts_runs_what_those_may_deploy_who_log_in,
);

const LIMIT: Duration = Duration::from_secs(60);
const MIB: usize = 1 << 20;

/// The URL that follows `words` where it is printed.
async fn printed(process: &mut Process, words: &str) -> String {
    let find = |line: &str| {
        let rest = &line[line.find(words)? + words.len()..];
        let end = rest.find(|character: char| character == ',' || character.is_whitespace()).unwrap_or(rest.len());
        Some(rest[..end].to_owned())
    };
    process.printed(words, LIMIT, find).await
}

/// Runs `longshore up`, with these arguments besides.
fn up(name: &str, data: &Path, arguments: &[&str]) -> Process {
    Process::start(name, longshore(), |command| {
        command.args(["up", "--data"]).arg(data).args(["--admin-listen", "off", "--log", "info"]).args(arguments);
    })
}

async fn received(client: &Client) -> Value {
    client.get("/v2/_longshore/edge/swarm").await.expect(200).json()["peers"].clone()
}

async fn a_second_up_shares_with_the_first() {
    let (one, other) = (temporary_folder("up"), temporary_folder("joined"));
    let mut first = up("up", one.path(), &["--listen", "127.0.0.1:0"]);
    let registry = printed(&mut first, "registry on ").await;
    let mirror = printed(&mut first, "node on ").await;
    let joined = printed(&mut first, "longshore up --join ").await;
    assert_eq!(format!("http://{joined}"), registry, "it says what to type next");
    let image = Image::random(710, &[24 * MIB]);
    Client::new(&registry).push_image("team/app", "v1", &image).await;
    assert_eq!(Client::new(&mirror).pull_image("team/app", "v1").await, image.digest);
    // By another of its names it is the same registry.
    let mut second =
        up("joined", other.path(), &["--join", &joined.replace("127.0.0.1", "localhost"), "--listen", "127.0.0.1:0"]);
    let second_mirror = printed(&mut second, "node on ").await;
    assert!(second.output().contains("longshore node peers --at"), "{}", second.output());
    second
        .printed("that it has found the tracker", LIMIT, |line| line.contains("the upstream has a tracker").then_some(()))
        .await;
    // Else all of it may be here from the registry before a neighbour is heard of.
    let tracked = async || {
        let status = Client::new(&mirror).get("/v2/_longshore/edge/swarm").await.expect(200).json();
        status["trackers"].as_array()?.iter().any(|tracker| tracker["answers"] == true).then_some(())
    };
    until("the tracker to answer the first", LIMIT, tracked).await;
    let client = Client::new(&second_mirror);
    assert_eq!(client.pull_image("team/app", "v1").await, image.digest);
    let peers = received(&client).await;
    let bytes: u64 = peers.as_array().expect("a list").iter().filter_map(|peer| peer["receivedBytes"].as_u64()).sum();
    assert!(bytes > 0, "nothing came from the first node: {peers}");
    for process in [&mut second, &mut first] {
        process.terminate(LIMIT);
    }
}

async fn up_loses_nothing_and_a_taken_port_of_the_node_is_no_matter() {
    let folder = temporary_folder("up");
    let mut process = up("up", folder.path(), &["--listen", "127.0.0.1:0"]);
    let registry = printed(&mut process, "registry on ").await;
    let image = Image::random(711, &[3 * MIB]);
    Client::new(&registry).push_image("team/app", "v1", &image).await;
    assert_eq!(Client::new(&printed(&mut process, "node on ").await).pull_image("team/app", "v1").await, image.digest);
    process.kill9();
    // Somebody else has the port that the node would have.
    let port: u16 = registry.rsplit_once(':').expect("a port").1.parse().expect("a port");
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port.saturating_add(200)));
    let mut process = up("up again", folder.path(), &["--listen", &format!("127.0.0.1:{port}")]);
    let mirror = printed(&mut process, "node on ").await;
    assert_eq!(printed(&mut process, "registry on ").await, registry);
    for url in [&registry, &mirror] {
        assert_eq!(Client::new(url).pull_image("team/app", "v1").await, image.digest, "{url}");
    }
    process.terminate(LIMIT);
}

/// By a robot that the first start makes, and that whoever administers the registry may take away.
async fn the_node_of_an_up_with_accounts_pulls_what_is_private() {
    const ROBOT: &str = "longshore-up-node";
    let folder = temporary_folder("up");
    let start = || up("up", folder.path(), &["--auth", "--listen", "127.0.0.1:0", "--node-listen", "127.0.0.1:0"]);
    let mut process = start();
    let registry = printed(&mut process, "registry on ").await;
    let mirror = printed(&mut process, "node on ").await;
    let password = printed(&mut process, "with the password ").await;
    let password = password.trim_end_matches(';');
    assert!(process.output().contains("what the robot longshore-up-node may"), "{}", process.output());
    let secret_file = folder.path().join("node-account.secret");
    let kept = std::fs::read_to_string(&secret_file).expect("it is kept");
    let mode = std::fs::metadata(&secret_file).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!process.output().contains(kept.trim()));
    let admin = Client::new(&registry).as_basic("admin", password);
    let image = Image::random(712, &[3 * MIB]);
    admin.push_image("team/private", "v1", &image).await;
    Client::new(&registry).get("/v2/team/private/manifests/v1").await.expect(401);
    assert_eq!(Client::new(&mirror).pull_image("team/private", "v1").await, image.digest);
    // It may pull, and no more.
    let robot = Client::new(&registry).as_basic(ROBOT, kept.trim());
    robot.get_manifest("team/private", "v1").await.expect(200);
    assert!([401, 403].contains(&robot.get("/v2/_longshore/accounts").await.status.as_u16()));

    process.terminate(LIMIT);
    let mut process = start();
    let registry = printed(&mut process, "registry on ").await;
    let mirror = printed(&mut process, "node on ").await;
    assert_eq!(std::fs::read_to_string(&secret_file).expect("it is kept"), kept);
    let admin = Client::new(&registry).as_basic("admin", password);
    let image = Image::random(713, &[MIB]);
    admin.push_image("team/private", "v2", &image).await;
    assert_eq!(Client::new(&mirror).pull_image("team/private", "v2").await, image.digest);

    Answer::to(admin.request(Method::DELETE, &format!("/v2/_longshore/accounts/{ROBOT}"))).await.expect(204);
    process.terminate(LIMIT);
    let mut process = start();
    let registry = printed(&mut process, "registry on ").await;
    assert!(process.output().contains("has no account longshore-up-node any more"), "{}", process.output());
    let admin = Client::new(&registry).as_basic("admin", password);
    admin.get(&format!("/v2/_longshore/accounts/{ROBOT}")).await.expect(404);
    process.terminate(LIMIT);
    std::fs::remove_file(&secret_file).expect("it is there");
    let mut process = start();
    let mirror = printed(&mut process, "node on ").await;
    assert_eq!(Client::new(&mirror).pull_image("team/private", "v2").await, image.digest);
    process.terminate(LIMIT);
}

async fn up_says_that_its_folder_is_another_s() {
    let folder = temporary_folder("up");
    let mut first = up("up", folder.path(), &["--listen", "127.0.0.1:0"]);
    let registry = printed(&mut first, "registry on ").await;
    printed(&mut first, "node on ").await;
    let joined = registry.trim_start_matches("http://");
    for arguments in [&["--join", joined][..], &[]] {
        let data = folder.path().display().to_string();
        let usual = ["up", "--data", &data, "--listen", "127.0.0.1:0", "--admin-listen", "off"];
        let output = run(longshore(), usual.into_iter().chain(arguments.iter().copied())).await;
        assert!(output.code == Some(1) && output.stderr.contains("--data"), "{arguments:?}: {output}");
    }
    Client::new(&registry).get("/v2/").await.expect(200);
    first.terminate(LIMIT);
}

async fn up_says_what_can_not_be_joined() {
    for (arguments, code, words) in [
        (&["--join", "ftp://x"][..], 2, "does not say where a registry is"),
        (&["--join", "10.0.0.1:5000"], 2, "--allow-plain-http"),
        (&["--join", "127.0.0.1:5000", "--auth"], 2, "cannot be used with"),
        (&["--no-node", "--node-listen", "127.0.0.1:0"], 2, "cannot be used with"),
        (&["--join", "127.0.0.1:5000", "--listen", "0.0.0.0:5200"], 2, "--allow-plain-http"),
    ] {
        let output = run(longshore(), ["up"].iter().chain(arguments).copied()).await;
        assert!(output.code == Some(code) && output.stderr.contains(words), "{arguments:?}: {output}");
    }
}

/// One login for both: the orchestrator beside the registry asks who calls, and finds and runs what is private.
async fn up_with_accounts_runs_what_those_may_deploy_who_log_in() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let host = free.local_addr().expect("it is bound").to_string();
    let containerd = Containerd::with_cri(&format!("{host}/public/pause:v1")).await;
    let (folder, socket) = (temporary_folder("up"), containerd.socket().display().to_string());
    drop(free);
    let listen = ["--listen", &host, "--node-listen", "127.0.0.1:0", "--orchestrator-listen", "127.0.0.1:0"];
    let mut process = up("up", folder.path(), &[&["--auth", "--containerd", &socket], &listen[..]].concat());
    let registry = printed(&mut process, "registry on ").await;
    let password = printed(&mut process, "with the password ").await;
    let root = Account::of("admin", password.trim_end_matches(';'));
    let orchestrator = printed(&mut process, "orchestrator on ").await;
    let login = process.printed("how to log in", LIMIT, |line| line.contains("longshore login").then(|| line.to_owned())).await;
    assert!(login.contains(&format!("--orchestrator {orchestrator}")), "{login}");

    let admin = Client::new(&registry).as_basic(&root.name, &root.secret);
    admin.grant("anonymous", "pull", "public/**").await;
    let credentials = format!("--dest-creds={}:{}", root.name, root.secret);
    for (layout, name) in [(Layout::sandbox().await, "public/pause"), (Layout::workload(20, &[10_000]).await, "team/private")] {
        let (from, to) = (layout.reference(), format!("docker://{host}/{name}:v1"));
        let copy = ["--insecure-policy", "copy", "--preserve-digests", "--dest-tls-verify=false"];
        run_ok("skopeo", [&copy[..], &[&credentials, &from, &to]].concat()).await;
    }
    let alice = admin.create_person("alice", "a password of somebody", &[]).await;
    let role = json!({"subject": "alice", "actions": ["deploy"], "namespaces": "default"});
    admin.send_json(Method::POST, "/v2/_longshore/roles", &role).await.expect(201);

    let ask = async |account: Option<&Account>, words: &[&str]| {
        let (name, secret) = account.map_or(("", ""), |account| (account.name.as_str(), account.secret.as_str()));
        let shown = [
            format!("LONGSHORE_REGISTRY_URL={registry}"),
            format!("LONGSHORE_REGISTRY_USERNAME={name}"),
            format!("LONGSHORE_REGISTRY_PASSWORD={secret}"),
            format!("LONGSHORE_ORCHESTRATOR={orchestrator}"),
            longshore().display().to_string(),
        ];
        run("env", shown.into_iter().chain(words.iter().map(ToString::to_string))).await
    };
    let nobody = ask(None, &["get", "pods"]).await;
    assert!(nobody.code == Some(7) && nobody.stderr.contains("longshore login"), "{nobody}");
    let nodes = ask(Some(&alice), &["get", "nodes"]).await;
    assert!(nodes.code == Some(7) && nodes.stderr.contains("role grant alice --view"), "{nodes}");
    let image = format!("{host}/team/private:v1");
    let words = ["run", &image, "--name", "hello", "--wait", "--timeout", "60s", "--", "write", "1"];
    let ran = ask(Some(&alice), &words).await;
    assert_eq!(ran.code, Some(0), "{ran}\n{}", process.output());
    let pods = ask(Some(&alice), &["get", "pods"]).await;
    assert!(pods.stdout.contains("Running"), "{pods}");
    assert_eq!(ask(Some(&alice), &["delete", "deployment", "hello", "--wait"]).await.code, Some(0));
    process.terminate(LIMIT);
}
