//! Who may do what: each action, on each pattern of repositories, against each operation.

use std::fmt;

use bytes::Bytes;
use http::{Method, header};
use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Account, Answer, Backend, Client, Image, Registry, artifact, media_type, on_both_backends};
use serde_json::json;

on_both_backends!(
    each_role_allows_what_it_says_and_no_more,
    what_anybody_may_needs_no_account,
    whoever_signs_can_and_moves_no_tag_of_others,
);

const REPOSITORIES: [&str; 2] = ["team/app", "team/app/deep"];
/// Each with which of the repositories it covers.
const PATTERNS: [(&str, [bool; 2]); 5] = [
    ("team/app", [true, false]),
    ("team/*", [true, false]),
    ("team/**", [true, true]),
    ("**", [true, true]),
    ("other/app", [false, false]),
];
const ACTIONS: [&str; 5] = ["pull", "push", "delete", "sign", "admin"];

/// An upload, a tag, content, an account and a role that are nowhere: who may ask is told that, and nothing changes.
const NO_UPLOAD: &str = "01890000-0000-7000-8000-000000000000";
const NO_DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
const NO_ROLE: &str = "role_01890000-0000-7000-8000-000000000000";

/// What an operation takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Need {
    /// Nothing.
    Anybody,
    /// An account, whatever it may do; or a token, if only one for nobody in particular.
    Account,
    Pull,
    /// Bringing blobs, which images and signatures both are made of.
    Upload,
    Push,
    /// A manifest about another one, that moves no tag but a signature's.
    Sign,
    Delete,
    /// Deciding about the registry as a whole.
    Administer,
}

/// Who asks: what the one role of it allows, if it has one, and where.
#[derive(Clone, Copy, Debug)]
struct Holder {
    action: Option<&'static str>,
    /// Whether the repository in question is one of the role's.
    is_covered: bool,
    /// Whether all repositories are.
    has_all: bool,
}

/// What the documentation says of the roles.
fn may(holder: Holder, need: Need) -> bool {
    let holds = |actions: &[&str]| holder.is_covered && holder.action.is_some_and(|action| actions.contains(&action));
    match need {
        Need::Anybody | Need::Account => true,
        Need::Pull => holds(&["pull", "push", "delete", "sign", "admin"]),
        Need::Upload | Need::Sign => holds(&["push", "sign", "admin"]),
        Need::Push => holds(&["push", "admin"]),
        Need::Delete => holds(&["delete", "admin"]),
        Need::Administer => holder.has_all && holder.action == Some("admin"),
    }
}

/// One request that the API has an answer to.
struct Operation {
    method: Method,
    path: String,
    content: Option<(&'static str, Bytes)>,
    need: Need,
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.path)
    }
}

impl Operation {
    fn new(method: Method, path: impl Into<String>, need: Need) -> Self {
        Self { method, path: path.into(), content: None, need }
    }

    fn with(self, content_type: &'static str, content: impl Into<Bytes>) -> Self {
        Self { content: Some((content_type, content.into())), ..self }
    }

    async fn ask(&self, client: &Client) -> Answer {
        let request = client.request(self.method.clone(), &self.path);
        Answer::to(match &self.content {
            Some((content_type, content)) => request.header(header::CONTENT_TYPE, *content_type).body(content.clone()),
            None if [Method::GET, Method::HEAD].contains(&self.method) => request,
            None => request.header(header::CONTENT_LENGTH, 0),
        })
        .await
    }
}

/// What lies in each of the repositories.
struct Content {
    image: Image,
    /// About the image.
    signature: Image,
}

impl Content {
    fn new() -> Self {
        let image = Image::random(700, &[300]);
        let signature = artifact("application/vnd.example.signature.v1", &image.descriptor(), &json!({}));
        Self { image, signature }
    }

    async fn push(&self, client: &Client, repository: &str) {
        client.push_image(repository, "v1", &self.image).await;
        client.push_image(repository, self.signature.digest.as_str(), &self.signature).await;
    }

    fn layer(&self) -> Digest {
        Digest::of(Algorithm::Sha256, &self.image.blobs[1])
    }
}

fn reads(repository: &str, content: &Content) -> Vec<Operation> {
    let (digest, layer) = (&content.image.digest, content.layer());
    let paths = [
        "manifests/v1".to_owned(),
        format!("manifests/{digest}"),
        format!("blobs/{layer}"),
        "tags/list".to_owned(),
        format!("referrers/{digest}"),
        "_longshore/images/v1".to_owned(),
        format!("_longshore/metainfo/{layer}"),
    ];
    let both = |path: &String| {
        let path = format!("/v2/{repository}/{path}");
        [Method::GET, Method::HEAD].map(|method| Operation::new(method, path.clone(), Need::Pull))
    };
    paths.iter().flat_map(both).collect()
}

fn uploads(repository: &str, content: &Content) -> Vec<Operation> {
    let base = format!("/v2/{repository}/blobs/uploads/");
    let upload = format!("{base}{NO_UPLOAD}");
    let (layer, octets) = (content.layer(), "application/octet-stream");
    let operation = |method, path: String| Operation::new(method, path, Need::Upload);
    vec![
        operation(Method::POST, base.clone()),
        operation(Method::POST, format!("{base}?digest={layer}")).with(octets, content.image.blobs[1].clone()),
        operation(Method::POST, format!("{base}?mount={layer}&from={repository}")),
        operation(Method::POST, format!("{base}?mount={NO_DIGEST}")),
        operation(Method::GET, upload.clone()),
        operation(Method::HEAD, upload.clone()),
        operation(Method::PATCH, upload.clone()).with(octets, "x"),
        operation(Method::PUT, format!("{upload}?digest={layer}")).with(octets, "x"),
        operation(Method::DELETE, upload),
    ]
}

fn manifest_changes(repository: &str, content: &Content) -> Vec<Operation> {
    let put = |reference: &str, image: &Image, need| {
        let path = format!("/v2/{repository}/manifests/{reference}");
        Operation::new(Method::PUT, path, need).with(media_type::MANIFEST, image.manifest.clone())
    };
    let (image, signature) = (&content.image, &content.signature);
    let signature_tag = |kind: &str| format!("{}.{kind}", image.digest.as_str().replace(':', "-"));
    let mut operations = vec![
        put("v2", image, Need::Push),
        put(image.digest.as_str(), image, Need::Push),
        put(&format!("{}?tag=v2", image.digest), image, Need::Push),
        put(signature.digest.as_str(), signature, Need::Sign),
        // It says that it is about another; yet a tag that it moves may be anything to those who pull it.
        put("v2", signature, Need::Push),
        put(&format!("{}?tag=v2", signature.digest), signature, Need::Push),
        put(&format!("{}.txt", signature_tag("sig")), image, Need::Push),
    ];
    operations.extend(["sig", "att", "sbom"].map(|kind| put(&signature_tag(kind), image, Need::Sign)));
    for path in ["manifests/absent", &format!("manifests/{NO_DIGEST}"), &format!("blobs/{NO_DIGEST}")] {
        operations.push(Operation::new(Method::DELETE, format!("/v2/{repository}/{path}"), Need::Delete));
    }
    operations
}

fn in_repository(repository: &str, content: &Content) -> Vec<Operation> {
    [reads(repository, content), uploads(repository, content), manifest_changes(repository, content)]
        .into_iter()
        .flatten()
        .collect()
}

fn of_the_whole() -> Vec<Operation> {
    let json = "application/json";
    let (accounts, roles, policies) = ("/v2/_longshore/accounts", "/v2/_longshore/roles", "/v2/_longshore/policies");
    let issuers = "/v2/_longshore/issuers";
    let administer = |method, path: &str| Operation::new(method, path, Need::Administer);
    vec![
        Operation::new(Method::GET, "/v2/", Need::Account),
        Operation::new(Method::HEAD, "/v2/", Need::Account),
        Operation::new(Method::GET, "/token", Need::Anybody),
        Operation::new(Method::GET, "/v2/_catalog", Need::Account),
        Operation::new(Method::GET, "/v2/_longshore/images", Need::Account),
        Operation::new(Method::GET, "/v2/_longshore/keys", Need::Anybody),
        administer(Method::GET, accounts),
        administer(Method::POST, accounts).with(json, "{}"),
        administer(Method::GET, &format!("{accounts}/absent")),
        administer(Method::GET, &format!("{accounts}/admin")),
        administer(Method::PATCH, &format!("{accounts}/absent")).with(json, r#"{"isDisabled":true}"#),
        administer(Method::DELETE, &format!("{accounts}/absent")),
        administer(Method::GET, roles),
        administer(Method::POST, roles).with(json, "{}"),
        administer(Method::DELETE, &format!("{roles}/{NO_ROLE}")),
        administer(Method::GET, issuers),
        administer(Method::GET, &format!("{issuers}/absent")),
        administer(Method::PUT, &format!("{issuers}/absent")).with(json, "{}"),
        administer(Method::DELETE, &format!("{issuers}/absent")),
        administer(Method::POST, &format!("{issuers}/absent/check")).with(json, "{}"),
        administer(Method::GET, policies),
        administer(Method::GET, &format!("{policies}/absent")),
        administer(Method::PUT, &format!("{policies}/absent")).with("application/toml", "no document"),
        administer(Method::DELETE, &format!("{policies}/absent")),
        administer(Method::POST, "/v2/_longshore/policy-test?name=absent").with("application/toml", ""),
        administer(Method::GET, "/v2/_longshore/audit"),
        administer(Method::GET, "/v2/_longshore/audit/head"),
        Operation::new(Method::GET, "/v2/_longshore/events", Need::Account),
    ]
}

/// That an answer is a 403 that says who may not, and where, or one that a caller who may gets.
fn check(operation: &Operation, account: &Account, repository: &str, answer: &Answer, is_allowed: bool) {
    let status = answer.status.as_u16();
    if is_allowed {
        assert!(![401, 403].contains(&status) && status < 500, "{} may {operation}: {answer:?}", account.name);
        return;
    }
    assert_eq!(status, 403, "{} may not {operation}: {answer:?}", account.name);
    if operation.method != Method::HEAD {
        let answer = answer.clone().expect_error(403, "DENIED");
        let message = answer.json()["errors"][0]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(&account.name) && message.contains(repository), "{operation}: {message}");
    }
}

async fn each_role_allows_what_it_says_and_no_more(backend: Backend) {
    let registry = Registry::with_accounts(backend, &[]).await;
    let (admin, content) = (registry.admin(), Content::new());
    for repository in REPOSITORIES {
        content.push(&admin, repository).await;
    }
    let of_the_whole = of_the_whole();
    let in_repositories = REPOSITORIES.map(|repository| in_repository(repository, &content));

    let mut robots = vec![(admin.create_robot("idle", &[]).await, None, ("none", [false; 2]))];
    for action in ACTIONS {
        for (number, pattern) in PATTERNS.iter().enumerate() {
            let robot = admin.create_robot(&format!("{action}-{number}"), &[(action, pattern.0)]).await;
            robots.push((robot, Some(action), *pattern));
        }
    }
    for (robot, action, (pattern, covered)) in &robots {
        let client = registry.as_account(robot);
        for ((repository, operations), is_covered) in REPOSITORIES.iter().zip(&in_repositories).zip(covered) {
            let holder = Holder { action: *action, is_covered: *is_covered, has_all: *pattern == "**" };
            for operation in operations {
                check(operation, robot, repository, &operation.ask(&client).await, may(holder, operation.need));
            }
        }
        let holder = Holder { action: *action, is_covered: false, has_all: *pattern == "**" };
        for operation in &of_the_whole {
            check(operation, robot, "", &operation.ask(&client).await, may(holder, operation.need));
        }
    }
    let refused = registry.as_account(&robots[0].0).post("/v2/team/app/blobs/uploads/").await.expect_error(403, "DENIED").json();
    assert_eq!(refused["errors"][0]["message"], r#""idle" may not push to team/app"#);

    let client = registry.client();
    for operation in of_the_whole.iter().chain(in_repositories.iter().flatten()) {
        let answer = operation.ask(&client).await;
        if operation.need == Need::Anybody {
            assert_eq!(answer.status, 200, "{operation}: {answer:?}");
        } else {
            assert_eq!(answer.status, 401, "{operation}: {answer:?}");
            assert!(answer.required("www-authenticate").starts_with("Bearer realm="), "{operation}: {answer:?}");
            assert!(operation.method == Method::HEAD || answer.error_codes() == ["UNAUTHORIZED"], "{operation}: {answer:?}");
        }
    }
    for repository in REPOSITORIES {
        assert_eq!(admin.pull_image(repository, "v1").await, content.image.digest, "nobody harmed it");
    }
}

async fn what_anybody_may_needs_no_account(backend: Backend) {
    let registry = Registry::with_accounts(backend, &[]).await;
    let (admin, anonymous) = (registry.admin(), registry.client());
    let image = Image::random(701, &[100]);
    for repository in ["public/app", "private/app"] {
        admin.push_image(repository, "v1", &image).await;
    }
    anonymous.get_manifest("public/app", "v1").await.expect_error(401, "UNAUTHORIZED");
    let role = admin.grant("anonymous", "pull", "public/**").await;
    assert_eq!(anonymous.pull_image("public/app", "v1").await, image.digest);
    // Lists are for who has said that it is nobody: who has an account is asked for it before it sees less than it may.
    let lister = anonymous.with_token(&["registry:catalog:*"]).await;
    assert_eq!(lister.get("/v2/_catalog").await.expect(200).texts("repositories"), ["public/app"]);
    // As docker does it, which first gets itself a token for nobody.
    let bearer = anonymous.with_token(&["repository:public/app:pull,push", "repository:private/app:pull"]).await;
    bearer.get("/v2/").await.expect(200);
    assert_eq!(bearer.pull_image("public/app", "v1").await, image.digest);
    for client in [&anonymous, &bearer] {
        client.get_manifest("private/app", "v1").await.expect_error(401, "UNAUTHORIZED");
        client.post("/v2/public/app/blobs/uploads/").await.expect_error(401, "UNAUTHORIZED");
        client.delete("/v2/public/app/manifests/v1").await.expect_error(401, "UNAUTHORIZED");
    }
    // Who says who it is may what it could have had by saying nothing.
    let robot = admin.create_robot("reader", &[]).await;
    let known = registry.as_account(&robot);
    for client in [&known, &known.with_token(&["repository:public/app:pull"]).await] {
        assert_eq!(client.pull_image("public/app", "v1").await, image.digest);
        client.get_manifest("private/app", "v1").await.expect_error(403, "DENIED");
    }
    admin.revoke(&role).await;
    longshore_tests::until("nobody to be let in", std::time::Duration::from_secs(5), async || {
        let answers = [anonymous.get_manifest("public/app", "v1").await, bearer.get_manifest("public/app", "v1").await];
        answers.iter().all(|answer| answer.status == 401).then_some(())
    })
    .await;
}

/// As cosign signs: the signature's blobs first, then a manifest that is about another, or is tagged after it.
async fn whoever_signs_can_and_moves_no_tag_of_others(backend: Backend) {
    let registry = Registry::with_accounts(backend, &[]).await;
    let (admin, content) = (registry.admin(), Content::new());
    admin.push_image("team/app", "v1", &content.image).await;
    let robot = admin.create_robot("signer", &[("sign", "team/app")]).await;
    let basic = registry.as_account(&robot);
    // Clients that sign ask for what a push takes.
    let bearer = basic.with_token(&["repository:team/app:pull,push"]).await;
    for (seed, client) in [(702, &basic), (703, &bearer)] {
        let payload = longshore_tests::Random::seeded(seed).bytes(200);
        client.push_blob("team/app", &payload).await;
        client.push_image("team/app", content.signature.digest.as_str(), &content.signature).await;
        let tagged = Image::of(content.image.blobs[0].clone(), vec![payload]);
        let tag = format!("{}.sig", content.image.digest.as_str().replace(':', "-"));
        client.push_image("team/app", &tag, &tagged).await;
        let disguised =
            artifact("application/vnd.example.image", &content.image.descriptor(), &json!({"seed": seed.to_string()}));
        for reference in ["v1", "v2", &format!("{}?tag=v1", disguised.digest)] {
            client
                .put_manifest("team/app", reference, &disguised.media_type, &disguised.manifest)
                .await
                .expect_error(403, "DENIED");
        }
    }
    let referrers = admin.get(&format!("/v2/team/app/referrers/{}", content.image.digest)).await.expect(200).json();
    assert_eq!(referrers["manifests"][0]["digest"], content.signature.digest.as_str());
    assert_eq!(admin.pull_image("team/app", "v1").await, content.image.digest);
}
