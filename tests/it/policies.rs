//! Policy documents in the database: applied, changed, removed, and tried out before.

use std::time::{Duration, Instant};

use http::Method;
use longshore_tests::{
    Answer, Backend, Client, Docker, Image, Layout, Output, ROOT_FILE_SYSTEM_WORDS, Registry, Signer, longshore,
    on_both_backends, run, run_ok, temporary_folder, until,
};
use serde_json::{Value, json};
use tempfile::TempDir;

on_both_backends!(
    an_applied_policy_decides_until_it_is_removed,
    a_trial_tells_what_would_be_blocked_and_changes_nothing,
    what_makes_no_sense_is_told_and_changes_nothing,
    what_was_not_seen_is_not_replaced,
    what_can_not_be_read_is_closed,
    a_rebuilding_keeps_them,
);
longshore_tests::once!(
    a_change_is_in_force_on_every_replica_within_two_seconds,
    the_file_and_the_database_are_in_force_together,
    a_trial_goes_through_all_pages,
    documents_are_bounded_and_listed,
    docker_is_told_which_key_is_needed,
);

const POLICIES: &str = "/v2/_longshore/policies";
const SIGNED: &str = "[[policy.pull.require]]\nsignature = { key = 'release.pub' }";

/// A registry without policies, and who would apply one.
struct Harbor {
    registry: Registry,
    signer: Signer,
    puller: Client,
    folder: TempDir,
}

impl Harbor {
    async fn open(backend: Backend) -> Self {
        Self::with(backend, &[]).await
    }

    async fn with(backend: Backend, values: &[(&str, Value)]) -> Self {
        let registry = Registry::with_accounts(backend, values).await;
        let robot = registry.admin().create_robot("node", &[("pull", "**")]).await;
        let puller = registry.as_account(&robot);
        Self { registry, signer: Signer::new(), puller, folder: temporary_folder("policies") }
    }

    async fn push(&self, repository: &str, tag: &str, image: &Image) {
        self.registry.admin().push_image(repository, tag, image).await;
    }

    async fn sign(&self, repository: &str, image: &Image) {
        let tag = format!("{}.sig", image.digest.as_str().replace(':', "-"));
        self.push(repository, &tag, &self.signer.simple(&image.digest)).await;
    }

    async fn pull(&self, repository: &str, tag: &str) -> Answer {
        self.puller.get_manifest(repository, tag).await
    }

    /// A document as it is sent, whose key is the signer's.
    fn document(&self, policy: &str, repositories: &str, rules: &str) -> String {
        let key = self.signer.public_key();
        format!(
            "[[key]]\nname = 'release.pub'\ntext = '''\n{key}'''\n[[policy]]\nname = '{policy}'\nrepositories = ['{repositories}']\n{rules}\n"
        )
    }

    /// The same as a file, whose key is a file too.
    fn write(&self, file: &str, policy: &str, repositories: &str, rules: &str) -> String {
        std::fs::write(self.folder.path().join("release.pub"), self.signer.public_key()).unwrap();
        let text = format!(
            "# {file}\n[[key]]\nname = 'release.pub'\nfile = 'release.pub'\n[[policy]]\nname = '{policy}'\n\
             repositories = ['{repositories}']\n{rules}\n"
        );
        let path = self.folder.path().join(file);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// `longshore policy …`, as the administrator.
    async fn policy(&self, arguments: &[&str]) -> Output {
        let settings = [
            format!("LONGSHORE_REGISTRY_URL={}", self.registry.url()),
            "LONGSHORE_REGISTRY_USERNAME=admin".to_owned(),
            format!("LONGSHORE_REGISTRY_PASSWORD={}", Registry::ADMIN_PASSWORD),
            longshore().to_str().unwrap().to_owned(),
            "policy".to_owned(),
        ];
        run("env", settings.iter().map(String::as_str).chain(arguments.iter().copied())).await
    }

    async fn policy_ok(&self, arguments: &[&str]) -> String {
        let output = self.policy(arguments).await;
        assert_eq!(output.code, Some(0), "{arguments:?}: {output}");
        output.stdout
    }
}

async fn put(client: &Client, name: &str, document: &str) -> Answer {
    put_if(client, name, document, &[]).await
}

async fn put_if(client: &Client, name: &str, document: &str, headers: &[(&'static str, &str)]) -> Answer {
    let request = client.request(Method::PUT, &format!("{POLICIES}/{name}")).header("content-type", "application/toml");
    let request = headers.iter().fold(request, |request, (header, value)| request.header(*header, *value));
    Answer::to(request.body(document.to_owned())).await
}

/// The problems in a refusal of a document.
#[track_caller]
fn problems(answer: Answer) -> Vec<String> {
    let answer = answer.expect_error(400, "POLICY_INVALID");
    let problems = answer.json()["errors"][0]["detail"]["problems"].clone();
    problems.as_array().unwrap().iter().map(|problem| problem.as_str().unwrap().to_owned()).collect()
}

async fn names(client: &Client) -> Vec<String> {
    let listed = client.get(POLICIES).await.expect(200).json();
    listed["policies"].as_array().unwrap().iter().map(|policy| policy["name"].as_str().unwrap().to_owned()).collect()
}

async fn an_applied_policy_decides_until_it_is_removed(backend: Backend) {
    let mut harbor = Harbor::open(backend).await;
    let [image, other] = [900, 901].map(|seed| Image::random(seed, &[100]));
    harbor.push("prod/app", "v1", &image).await;
    harbor.push("prod/app", "v2", &other).await;
    harbor.pull("prod/app", "v1").await.expect(200);
    let file = harbor.write("prod.toml", "prod", "prod/**", SIGNED);
    let said = harbor.policy_ok(&["apply", &file]).await;
    assert!(said.starts_with("applied prod, revision ") && said.contains(": prod (enforce)\n"), "{said}");
    assert!(said.contains("prod/app:v1") && said.contains("2 newly blocked"), "it says what that blocks: {said}");
    let answer = harbor.pull("prod/app", "v1").await.expect_error(403, "DENIED");
    let message = answer.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("policy \"prod\" needs a signature by key release.pub: "), "{message}");
    harbor.sign("prod/app", &image).await;
    harbor.pull("prod/app", "v1").await.expect(200);
    harbor.pull("prod/app", "v2").await.expect(403);

    let shown = harbor.policy_ok(&["show", "prod"]).await;
    assert!(shown.starts_with("# prod.toml\n") && shown.contains("BEGIN PUBLIC KEY"), "{shown}");
    let listed = harbor.policy_ok(&["ls", "--output", "json"]).await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed[0]["name"], &listed[0]["appliedBy"]), (&json!("prod"), &json!("admin")), "{listed}");
    assert_eq!(listed[0]["policies"], json!([{"name": "prod", "mode": "enforce", "repositories": ["prod/**"]}]));

    harbor.registry.restart().await;
    harbor.pull("prod/app", "v2").await.expect(403);
    // What is shown can be applied again, and what is applied takes the place of what was.
    let again = harbor.folder.path().join("again.toml");
    std::fs::write(&again, shown.replace("name = 'prod'\n", "name = 'prod'\nmode = 'warn'\n")).unwrap();
    let said = harbor.policy_ok(&["apply", again.to_str().unwrap(), "--name", "prod"]).await;
    assert!(said.contains("prod (warn)") && said.contains(" 0 newly blocked"), "{said}");
    let answer = harbor.pull("prod/app", "v2").await.expect(200);
    assert!(answer.required("warning").starts_with("299 - \"policy 'prod' needs a signature"), "{answer:?}");
    harbor.policy_ok(&["rm", "prod"]).await;
    assert!(harbor.pull("prod/app", "v2").await.expect(200).header("warning").is_none());
    let output = harbor.policy(&["rm", "prod"]).await;
    assert!(output.code == Some(1) && output.stderr.contains("POLICY_UNKNOWN"), "{output}");
    assert!(names(&harbor.registry.admin()).await.is_empty());
}

async fn a_trial_tells_what_would_be_blocked_and_changes_nothing(backend: Backend) {
    let harbor = Harbor::open(backend).await;
    let [good, bad, far] = [910, 911, 912].map(|seed| Image::random(seed, &[100]));
    harbor.push("prod/app", "good", &good).await;
    harbor.sign("prod/app", &good).await;
    for tag in ["bad", "worse"] {
        harbor.push("prod/app", tag, &bad).await;
    }
    harbor.push("dev/app", "far", &far).await;
    let file = harbor.write("prod.toml", "prod", "prod/**", SIGNED);
    let rows = async |arguments: &[&str], code: i32| {
        let output = harbor.policy(&[arguments, &["--output", "json"]].concat()).await;
        assert_eq!(output.code, Some(code), "{output}");
        let json: Value = serde_json::from_str(&output.stdout).unwrap();
        let images = if json.is_array() { json } else { json["changes"].clone() };
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let row = |image: &Value| [text(&image["reference"]), text(&image["now"]), text(&image["then"])].join(" ");
        images.as_array().unwrap().iter().map(row).collect::<Vec<_>>()
    };
    let blocked = ["prod/app:bad allowed denied", "prod/app:worse allowed denied"];
    let all = [blocked[0], "prod/app:good allowed allowed", blocked[1]];
    assert_eq!(rows(&["test", &file], 3).await, all);
    assert_eq!(rows(&["test", &file, "--changes"], 3).await, blocked);
    assert_eq!(rows(&["apply", &file, "--dry-run"], 3).await, blocked);
    assert_eq!(
        rows(&["test", &file, "prod/app:good", "dev/app:far"], 0).await,
        ["prod/app:good allowed allowed", "dev/app:far allowed allowed"]
    );
    let by_digest = format!("prod/app@{}", bad.digest);
    assert_eq!(rows(&["test", &file, &by_digest], 3).await, [format!("{by_digest} allowed denied")]);
    let table = harbor.policy(&["test", &file]).await;
    let why = "policy \"prod\": needs a signature by key release.pub";
    assert!(table.stdout.starts_with("IMAGE ") && table.stdout.contains(why), "{table}");
    assert!(table.stdout.ends_with("3 images judged, 2 newly blocked\n"), "{table}");
    let output = harbor.policy(&["test", &file, "prod/app:absent"]).await;
    assert!(output.code == Some(1) && output.stderr.contains("prod/app:absent"), "{output}");
    // The API's own way to try out what would be kept.
    let admin = harbor.registry.admin();
    let tried =
        put(&admin, "prod?dryRun=true&changes=true", &harbor.document("prod", "prod/**", SIGNED)).await.expect(200).json();
    assert_eq!((&tried["judged"], tried["images"].as_array().map(Vec::len)), (&json!(3), Some(2)), "{tried}");
    put(&admin, "prod?dryRun=yes", &harbor.document("prod", "prod/**", SIGNED)).await.expect(400);

    assert!(names(&admin).await.is_empty(), "nothing was applied");
    harbor.pull("prod/app", "bad").await.expect(200);
    harbor.policy_ok(&["apply", &file]).await;
    harbor.pull("prod/app", "bad").await.expect(403);
    // What would be freed, and what would only be warned of.
    let soft = harbor.write("soft.toml", "prod", "prod/**", &format!("mode = 'warn'\n{SIGNED}"));
    assert_eq!(
        rows(&["test", &soft, "--name", "prod", "--changes"], 0).await,
        ["prod/app:bad denied warned", "prod/app:worse denied warned"]
    );
    let moved = harbor.write("moved.toml", "prod", "dev/**", SIGNED);
    assert_eq!(
        rows(&["apply", &moved, "--name", "prod", "--dry-run"], 3).await,
        ["dev/app:far allowed denied", "prod/app:bad denied allowed", "prod/app:worse denied allowed"]
    );
    // As a document of its own it comes beside the first, whose policy has its name already.
    let output = harbor.policy(&["test", &moved]).await;
    assert!(output.code == Some(1) && output.stderr.contains("a policy \"prod\" in the document \"prod\""), "{output}");
    harbor.pull("prod/app", "bad").await.expect(403);
    harbor.pull("dev/app", "far").await.expect(200);
}

async fn what_makes_no_sense_is_told_and_changes_nothing(backend: Backend) {
    let harbor = Harbor::open(backend).await;
    let (admin, image) = (harbor.registry.admin(), Image::random(920, &[100]));
    harbor.push("prod/app", "v1", &image).await;
    let good = harbor.document("prod", "prod/**", SIGNED);
    put(&admin, "prod", &good).await.expect(201);
    let shape = "[[policy]]\nname = 'a'\n[[policy]]\nname = 'b'\nrepositories = ['**']\nmode = 'of'\n[[key]]\nnom = 'k'\n";
    let told = problems(put(&admin, "prod", shape).await);
    assert_eq!(told.len(), 3, "{told:?}");
    for (line, words) in [(1, "missing field `repositories`"), (6, "unknown variant `of`"), (8, "unknown field `nom`")] {
        let is_told = |problem: &String| problem.starts_with(&format!("line {line}, ")) && problem.contains(words);
        assert!(told.iter().any(is_told), "{line} {words}: {told:?}");
    }
    let sense = "[[key]]\nname = 'k'\nfile = 'k.pub'\n[[policy]]\nname = 'p p'\nrepositories = []\n\
                 [policy.push]\nunsigned_overwrites = 'refuse'\n";
    let told = problems(put(&admin, "prod", sense).await);
    for words in ["is no name for a policy", "covers no repositories", "unsigned_overwrites", "\"k.pub\""] {
        assert!(told.iter().any(|problem| problem.contains(words)), "{words}: {told:?}");
    }
    for (name, document, words) in [
        ("prod", "[[key]]\nname = 'k'\ntext = '-----BEGIN PRIVATE KEY-----'\n", "private key"),
        ("prod", "a = [", "line 1, "),
        ("other", good.as_str(), "there is a policy \"prod\" in the document \"prod\""),
        (".other", "", "a document's name"),
    ] {
        let told = problems(put(&admin, name, document).await);
        assert!(told.len() == 1 && told[0].contains(words), "{words}: {told:?}");
    }
    put(&admin, "prod", &"#".repeat(300 << 10)).await.expect_error(413, "SIZE_INVALID");
    let file = harbor.folder.path().join("wrong.toml");
    std::fs::write(&file, shape).unwrap();
    for verb in ["apply", "test"] {
        let output = harbor.policy(&[verb, file.to_str().unwrap()]).await;
        assert_eq!(output.code, Some(2), "{output}");
        for line in ["line 1, ", "line 6, ", "line 8, "] {
            assert!(output.stderr.contains(line), "{line}: {output}");
        }
    }
    std::fs::write(harbor.folder.path().join("cosign.key"), "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n").unwrap();
    std::fs::write(&file, "[[key]]\nname = 'k'\nfile = 'cosign.key'\n").unwrap();
    let output = harbor.policy(&["apply", file.to_str().unwrap()]).await;
    assert!(output.code == Some(2) && output.stderr.contains("cosign.key holds a private key"), "{output}");

    assert_eq!(names(&admin).await, ["prod"]);
    let shown = admin.get(&format!("{POLICIES}/prod")).await.expect(200).json();
    assert_eq!(shown["document"], good);
    harbor.pull("prod/app", "v1").await.expect(403);
}

/// The tag of the revision that a document is at.
async fn revision_of(admin: &Client, name: &str) -> String {
    admin.get(&format!("{POLICIES}/{name}")).await.expect(200).required("etag").to_owned()
}

async fn what_was_not_seen_is_not_replaced(backend: Backend) {
    let harbor = Harbor::open(backend).await;
    let admin = harbor.registry.admin();
    let documents = ["one", "two", "three"].map(|policy| harbor.document(policy, "prod/**", SIGNED));
    let first = put_if(&admin, "prod", &documents[0], &[("if-none-match", "*")]).await.expect(201);
    put_if(&admin, "prod", &documents[1], &[("if-none-match", "*")]).await.expect_error(412, "POLICY_CHANGED");
    let tag = first.required("etag").to_owned();
    assert_eq!(admin.get(&format!("{POLICIES}/prod")).await.required("etag"), tag);
    let headers = [("if-match", tag.as_str())];
    let pushes = [&documents[1], &documents[2]].map(|document| put_if(&admin, "prod", document, &headers));
    let answers = futures_util::future::join_all(pushes).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412], "{answers:?}");
    let delete = admin.request(Method::DELETE, &format!("{POLICIES}/prod")).header("if-match", &tag);
    Answer::to(delete).await.expect_error(412, "POLICY_CHANGED");
    put_if(&admin, "absent", &documents[0], &[("if-match", "*")]).await.expect_error(412, "POLICY_CHANGED");
    // A condition that can't be read is not passed over.
    let revision = revision_of(&admin, "prod").await;
    for conditions in [
        &[("if-match", "W/\"1\"")][..],
        &[("if-match", tag.as_str()), ("if-match", "\"x\"")],
        &[("if-match", "1")],
        &[("if-match", ""), ("if-none-match", "*")],
        &[("if-none-match", "\"1\"")],
    ] {
        put_if(&admin, "prod", &documents[0], conditions).await.expect_error(400, "UNSUPPORTED");
    }
    assert_eq!(revision_of(&admin, "prod").await, revision);
    assert_eq!(names(&admin).await, ["prod"]);
    // Many at once, each without having looked: all are kept one after the other, whichever is last.
    let many = (0..8).map(|number| {
        let (admin, name) = (&admin, format!("d{number}"));
        let document = harbor.document(&format!("p{number}"), "x/**", SIGNED);
        async move { put(admin, &name, &document).await.status.as_u16() }
    });
    let statuses = futures_util::future::join_all(many).await;
    assert!(statuses.iter().all(|status| *status == 201), "{statuses:?}");
    assert_eq!(names(&admin).await.len(), 9);
}

/// As a later version would write it, whose rules this one can't know.
async fn what_can_not_be_read_is_closed(backend: Backend) {
    let harbor = Harbor::open(backend).await;
    let (admin, image) = (harbor.registry.admin(), Image::random(930, &[100]));
    for repository in ["prod/app", "dev/app"] {
        harbor.push(repository, "v1", &image).await;
    }
    let later = "[[policy]]\nname = ''later''\nrepositories = [''prod/**'']\nfuture = true\n";
    let insert = format!(
        "INSERT INTO policies (name, document, revision, applied_at) VALUES ('new', '{later}', 1, 1); \
         UPDATE policy_version SET version = version + 1"
    );
    harbor.registry.index().execute(&insert).await;
    let answer = until("it to be closed", Duration::from_secs(10), async || {
        Some(harbor.pull("prod/app", "v1").await).filter(|answer| answer.status == 403)
    })
    .await;
    let message = answer.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("policy \"later\": its document \"new\" can't be read"), "{message}");
    assert!(
        !message.contains("future") && message.contains("an administrator is told why"),
        "what stands in it is nobody else's: {message}"
    );
    admin.put_manifest("prod/app", "v2", &image.media_type, &image.manifest).await.expect_error(403, "DENIED");
    admin.delete("/v2/prod/app/manifests/v1").await.expect_error(403, "DENIED");
    admin.get_manifest("prod/app", "v1").await.expect(200);
    harbor.pull("dev/app", "v1").await.expect(200);
    let listed = admin.get(POLICIES).await.expect(200).json();
    assert!(listed["policies"][0]["problem"].as_str().unwrap().contains("future"), "{listed}");
    assert!(harbor.policy_ok(&["ls"]).await.contains("can't be read"));
    // Another that can be read takes its place.
    put(&admin, "new", &harbor.document("later", "prod/**", "")).await.expect(200);
    harbor.pull("prod/app", "v1").await.expect(200);
}

async fn a_rebuilding_keeps_them(backend: Backend) {
    let mut harbor = Harbor::open(backend).await;
    let image = Image::random(940, &[100]);
    harbor.push("prod/app", "v1", &image).await;
    let document = harbor.document("prod", "prod/**", SIGNED);
    put(&harbor.registry.admin(), "prod", &document).await.expect(201);
    harbor.registry.kill9();
    let output = harbor.registry.reindex().await;
    assert_eq!(output.code, Some(0), "{output}");
    harbor.registry.restart().await;
    harbor.pull("prod/app", "v1").await.expect_error(403, "DENIED");
    let shown = harbor.registry.admin().get(&format!("{POLICIES}/prod")).await.expect(200).json();
    assert_eq!(shown["document"], document);
}

async fn a_change_is_in_force_on_every_replica_within_two_seconds() {
    let harbor = Harbor::open(Backend::Bucket).await;
    let replica = harbor.registry.replica().await;
    let image = Image::random(950, &[100]);
    harbor.push("prod/app", "v1", &image).await;
    let robot = harbor.registry.admin().create_robot("other", &[("pull", "**")]).await;
    let others = Client::new(replica.url()).as_basic(&robot.name, &robot.secret);
    let follows = async |status: u16| {
        let began = Instant::now();
        until(&format!("the replica to answer {status}"), Duration::from_secs(20), async || {
            (others.get_manifest("prod/app", "v1").await.status == status).then_some(())
        })
        .await;
        began.elapsed()
    };
    follows(200).await;
    let replica_admin = replica.admin();
    let strict = harbor.document("prod", "prod/**", SIGNED);
    let mild = harbor.document("prod", "prod/**", &format!("mode = 'off'\n{SIGNED}"));
    for round in 0..3 {
        put(&harbor.registry.admin(), "prod", &strict).await;
        let took = follows(403).await;
        assert!(took < Duration::from_secs(2), "round {round}: {took:?}");
        // Where it was applied it is in force at once.
        if round == 0 {
            put(&replica_admin, "prod", &mild).await.expect(200);
        } else {
            replica_admin.delete(&format!("{POLICIES}/prod")).await.expect(204);
        }
        assert_eq!(others.get_manifest("prod/app", "v1").await.status, 200);
        let began = Instant::now();
        until("the first to follow", Duration::from_secs(20), async || {
            (harbor.pull("prod/app", "v1").await.status == 200).then_some(())
        })
        .await;
        assert!(began.elapsed() < Duration::from_secs(2), "round {round}: {:?}", began.elapsed());
    }
}

async fn the_file_and_the_database_are_in_force_together() {
    let folder = temporary_folder("policy");
    let file = folder.path().join("policy.toml");
    let strict = "[[policy]]\nname = 'small'\nrepositories = ['**']\n[policy.push]\nmax_layers = 1\n";
    std::fs::write(&file, strict).unwrap();
    let harbor = Harbor::with(Backend::Folder, &[("policy.file", file.to_str().unwrap().into())]).await;
    let (admin, small) = (harbor.registry.admin(), Image::random(960, &[100]));
    let large = Image::random(961, &[100, 100]);
    harbor.push("prod/app", "v1", &small).await;
    put(&admin, "prod", &harbor.document("prod", "prod/**", SIGNED)).await.expect(201);
    harbor.pull("prod/app", "v1").await.expect(403);
    for blob in &large.blobs {
        admin.push_blob("prod/app", blob).await;
    }
    let push = async || admin.put_manifest("prod/app", "large", &large.media_type, &large.manifest).await;
    push().await.expect(403);
    let told = problems(put(&admin, "second", &harbor.document("small", "dev/**", SIGNED)).await);
    assert!(told[0].contains("a policy \"small\" in the configured file"), "{told:?}");
    // A new form of the file can be tried out in its place.
    let signed = "[[policy]]\nname = 'small'\nrepositories = ['**']\n";
    std::fs::write(folder.path().join("release.pub"), harbor.signer.public_key()).unwrap();
    let next = folder.path().join("next.toml");
    std::fs::write(&next, format!("[[key]]\nname = 'release.pub'\nfile = 'release.pub'\n{signed}{SIGNED}\n")).unwrap();
    harbor.push("dev/app", "v1", &small).await;
    let output = harbor.policy(&["test", next.to_str().unwrap(), "--in-place-of-file", "--changes"]).await;
    assert!(output.code == Some(3) && output.stdout.contains("dev/app:v1  allowed  denied"), "{output}");
    // The file takes a name that is taken: both are in force, and that is told.
    std::fs::write(&file, strict.replace("small", "prod").replace("= 1", "= 2")).unwrap();
    until("the file to be in force", Duration::from_secs(10), async || (push().await.status == 201).then_some(())).await;
    harbor.pull("prod/app", "v1").await.expect(403);
    assert!(harbor.registry.log().contains("more than one policy of this name"), "{}", harbor.registry.log());
}

async fn a_trial_goes_through_all_pages() {
    let harbor = Harbor::open(Backend::Folder).await;
    let image = Image::random(970, &[100]);
    let repositories = ["a/one", "prod/a", "prod/b", "z/last"];
    for repository in repositories {
        harbor.push(repository, "t0", &image).await;
        let tags: Vec<String> = (1..90).map(|number| format!("tag=t{number}")).collect();
        let path = format!("/v2/{repository}/manifests/{}?{}", image.digest, tags.join("&"));
        let admin = harbor.registry.admin();
        let put = admin.request(Method::PUT, &path).header("content-type", &image.media_type).body(image.manifest.clone());
        Answer::to(put).await.expect(201);
    }
    let file = harbor.write("all.toml", "all", "**", SIGNED);
    let output = harbor.policy(&["test", &file, "--output", "json"]).await;
    let tested: Value = serde_json::from_str(&output.stdout).unwrap();
    let mut found: Vec<String> =
        tested.as_array().unwrap().iter().map(|image| image["reference"].as_str().unwrap().to_owned()).collect();
    assert_eq!((output.code, found.len()), (Some(3), 4 * 90));
    found.dedup();
    assert_eq!(found.len(), 4 * 90, "each once");
    let admin = harbor.registry.admin();
    let test = admin.request(Method::POST, "/v2/_longshore/policy-test?name=all").body(harbor.document("all", "**", SIGNED));
    let page = Answer::to(test).await.expect(200).json();
    assert_eq!((&page["judged"], page["next"].is_string()), (&json!(200), true), "{}", page["next"]);
    let file = harbor.write("prod.toml", "prod", "prod/*", SIGNED);
    assert!(harbor.policy(&["test", &file]).await.stdout.ends_with("180 images judged, 180 newly blocked\n"));
}

async fn documents_are_bounded_and_listed() {
    let values = [("policy.max_documents", 3.into()), ("policy.max_document_size", "1KiB".into())];
    let harbor = Harbor::with(Backend::Folder, &values).await;
    let admin = harbor.registry.admin();
    for name in ["c", "a", "b"] {
        put(&admin, name, "").await.expect(201);
    }
    let told = problems(put(&admin, "d", "").await);
    assert!(told[0].contains("policy.max_documents"), "{told:?}");
    put(&admin, "a", "# again").await.expect(200);
    put(&admin, "a", &"#".repeat(1025)).await.expect_error(413, "SIZE_INVALID");
    let (mut found, mut next) = (Vec::new(), Some(format!("{POLICIES}?n=2")));
    while let Some(path) = next {
        let page = admin.get(&path).await.expect(200);
        next = page.next_page();
        let names = page.json()["policies"].as_array().unwrap().clone();
        found.extend(names.iter().map(|policy| policy["name"].as_str().unwrap().to_owned()));
    }
    assert_eq!(found, ["a", "b", "c"]);
    assert!(harbor.policy_ok(&["ls"]).await.lines().count() == 4);
}

/// The example of the handbook, as it stands there.
async fn docker_is_told_which_key_is_needed() {
    let harbor = Harbor::open(Backend::Folder).await;
    let layout = Layout::runnable(980, &[]).await;
    let reference = format!("{}/prod/app:1", harbor.registry.authority());
    let credentials = format!("admin:{}", Registry::ADMIN_PASSWORD);
    let target = format!("docker://{reference}");
    let copy =
        ["--insecure-policy", "copy", "--dest-tls-verify=false", "--dest-creds", &credentials, &layout.reference(), &target];
    run_ok("skopeo", copy).await;
    let (docker, robot) = (Docker::start().await, harbor.registry.admin().create_robot("docker", &[("pull", "prod/**")]).await);
    assert_eq!(docker.login(harbor.registry.authority(), &robot).await.code, Some(0));
    let file = harbor.write("prod.toml", "prod", "prod/**", SIGNED);
    harbor.policy_ok(&["apply", &file]).await;
    let denied = docker.run(&["pull", &reference]).await;
    let words = "denied: policy \"prod\" needs a signature by key release.pub";
    assert!(denied.code != Some(0) && denied.stderr.contains(words), "{denied}");
    let digest = harbor.registry.admin().head("/v2/prod/app/manifests/1").await.required("docker-content-digest").to_owned();
    let tag = format!("{}.sig", digest.replace(':', "-"));
    harbor.push("prod/app", &tag, &harbor.signer.simple(&digest.parse().unwrap())).await;
    docker.ok(&["pull", &reference]).await;
    assert_eq!(docker.ok(&["run", "--rm", "--network=host", &reference]).await.trim(), ROOT_FILE_SYSTEM_WORDS);
}
