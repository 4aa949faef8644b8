use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A repository of The Update Framework, with one key for all roles and consistent snapshots, served on loopback. Nothing is published
/// until it is told to. It is gone when dropped.
pub struct TufRepository {
    url: String,
    root: String,
    key: Ed25519KeyPair,
    version: u64,
    /// The root metadata that came after the first.
    later_roots: Files,
    serving: Arc<Mutex<Serving>>,
    accepting: JoinHandle<()>,
}

/// What a repository serves, by path.
pub type Files = BTreeMap<String, Vec<u8>>;

#[derive(Default)]
struct Serving {
    files: Files,
    /// Where everybody is sent instead.
    elsewhere: Option<String>,
    requests: usize,
}

const NAME: &str = "trusted_root.json";
const LATER: &str = "2100-01-01T00:00:00Z";

impl TufRepository {
    /// One with a new key.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let serving: Arc<Mutex<Serving>> = Arc::default();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&serving)));
        let key = new_key();
        let root = signed(&[&key], &root_of(&key, 1));
        Self { url, root, key, version: 0, later_roots: Files::new(), serving, accepting }
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The root metadata that trust in it begins with.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Has a new key for all roles, as root metadata says that the old key has signed first, and then the new one. What is published
    /// after that is signed by the new one alone.
    pub fn rotate(&mut self) {
        let key = new_key();
        let version = self.later_roots.len() + 2;
        let root = signed(&[&self.key, &key], &root_of(&key, version));
        self.later_roots.insert(format!("/{version}.root.json"), root.into_bytes());
        self.key = key;
    }

    /// Publishes this trusted root, in a new version.
    pub fn publish(&mut self, trusted_root: &str) {
        self.publish_until(trusted_root, LATER);
    }

    /// Like [`Self::publish`], with a timestamp that is good until a time.
    pub fn publish_until(&mut self, trusted_root: &str, expires: &str) {
        self.version += 1;
        self.serve(self.files_of(&self.key, trusted_root, expires));
    }

    /// Publishes this trusted root in a new version that somebody else has signed.
    pub fn forge(&mut self, trusted_root: &str) {
        self.version += 1;
        self.serve(self.files_of(&new_key(), trusted_root, LATER));
    }

    /// Publishes this trusted root in a new version, as a target of a delegated role.
    pub fn publish_delegated(&mut self, trusted_root: &str) {
        self.version += 1;
        let (version, id) = (self.version, key_id(&self.key));
        let part = |kind: &str, members: Value| part(&self.key, kind, version, LATER, members);
        let mut files = self.files_of(&self.key, trusted_root, LATER);
        let delegated = files.remove(&format!("/{version}.targets.json")).expect("it was just made");
        let role = json!({ "name": "roots", "keyids": [id], "threshold": 1, "terminating": true, "paths": [NAME] });
        let delegations = json!({ "keys": { &id: key_of(&self.key) }, "roles": [role] });
        let pinned = json!({ "targets.json": { "version": version }, "roots.json": { "version": version } });
        files.extend([
            (format!("/{version}.snapshot.json"), part("snapshot", json!({ "meta": pinned }))),
            (format!("/{version}.targets.json"), part("targets", json!({ "targets": {}, "delegations": delegations }))),
            (format!("/{version}.roots.json"), delegated),
        ]);
        self.serve(files);
    }

    fn files_of(&self, key: &Ed25519KeyPair, trusted_root: &str, expires: &str) -> Files {
        let version = self.version;
        let hash = hexadecimal(digest(&SHA256, trusted_root.as_bytes()).as_ref());
        let part = |kind: &str, expires: &str, members: Value| part(key, kind, version, expires, members);
        let target = json!({ NAME: { "length": trusted_root.len(), "hashes": { "sha256": hash } } });
        let snapshot = json!({ "targets.json": { "version": version } });
        let timestamp = json!({ "snapshot.json": { "version": version } });
        let mut files = self.later_roots.clone();
        files.extend([
            ("/timestamp.json".to_owned(), part("timestamp", expires, json!({ "meta": timestamp }))),
            (format!("/{version}.snapshot.json"), part("snapshot", LATER, json!({ "meta": snapshot }))),
            (format!("/{version}.targets.json"), part("targets", LATER, json!({ "targets": target }))),
            (format!("/targets/{hash}.{NAME}"), trusted_root.as_bytes().to_vec()),
        ]);
        files
    }

    /// What it serves now.
    pub fn files(&self) -> Files {
        lock(&self.serving).files.clone()
    }

    /// Serves these, and nothing else any more.
    pub fn serve(&self, files: Files) {
        let mut serving = lock(&self.serving);
        (serving.files, serving.elsewhere) = (files, None);
    }

    /// Sends everybody to the same path of another server, until it serves something again.
    pub fn redirect(&self, url: &str) {
        lock(&self.serving).elsewhere = Some(url.to_owned());
    }

    /// How often it was asked for anything.
    pub fn requests(&self) -> usize {
        lock(&self.serving).requests
    }
}

impl Drop for TufRepository {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn new_key() -> Ed25519KeyPair {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("the system gives randomness");
    Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("it was just made")
}

fn key_id(key: &Ed25519KeyPair) -> String {
    hexadecimal(digest(&SHA256, key.public_key().as_ref()).as_ref())
}

/// What metadata says of a key.
fn key_of(key: &Ed25519KeyPair) -> Value {
    json!({ "keytype": "ed25519", "scheme": "ed25519", "keyval": { "public": hexadecimal(key.public_key().as_ref()) } })
}

/// Root metadata that has one key for all roles.
fn root_of(key: &Ed25519KeyPair, version: usize) -> Value {
    let id = key_id(key);
    let role = json!({ "keyids": [&id], "threshold": 1 });
    json!({
        "_type": "root",
        "spec_version": "1.0.31",
        "version": version,
        "expires": LATER,
        "consistent_snapshot": true,
        "keys": { &id: key_of(key) },
        "roles": { "root": role, "timestamp": role, "snapshot": role, "targets": role },
    })
}

/// Metadata of another kind, with its members.
fn part(key: &Ed25519KeyPair, kind: &str, version: u64, expires: &str, mut members: Value) -> Vec<u8> {
    let shared = json!({ "_type": kind, "spec_version": "1.0.31", "version": version, "expires": expires });
    let members = members.as_object_mut().expect("members are an object");
    members.extend(shared.as_object().expect("it was just written").clone());
    signed(&[key], &json!(members)).into_bytes()
}

/// Metadata with its signatures. Names are sorted, and there is nothing in it that canonical JSON would write in another way.
fn signed(keys: &[&Ed25519KeyPair], metadata: &Value) -> String {
    let text = metadata.to_string();
    let signature =
        |key: &&Ed25519KeyPair| json!({ "keyid": key_id(key), "sig": hexadecimal(key.sign(text.as_bytes()).as_ref()) });
    json!({ "signed": metadata, "signatures": keys.iter().map(signature).collect::<Vec<_>>() }).to_string()
}

/// Bytes in hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn lock(serving: &Mutex<Serving>) -> MutexGuard<'_, Serving> {
    serving.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, serving: Arc<Mutex<Serving>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, Arc::clone(&serving)));
    }
}

async fn answer(mut stream: TcpStream, serving: Arc<Mutex<Serving>>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let (status, body) = {
        let mut serving = lock(&serving);
        serving.requests += 1;
        match (&serving.elsewhere, serving.files.get(path)) {
            (Some(url), _) => (format!("307 Temporary Redirect\r\nLocation: {url}{path}"), Vec::new()),
            (None, Some(body)) => ("200 OK".to_owned(), body.clone()),
            (None, None) => ("404 Not Found".to_owned(), Vec::new()),
        }
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), &body].concat()).await?;
    stream.shutdown().await
}
