use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
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
    key: Ed25519KeyPair,
    version: u64,
    files: Arc<Mutex<Files>>,
    accepting: JoinHandle<()>,
}

/// What a repository serves, by path.
pub type Files = BTreeMap<String, Vec<u8>>;

const NAME: &str = "trusted_root.json";
const LATER: &str = "2100-01-01T00:00:00Z";

impl TufRepository {
    /// One with a new key.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let files: Arc<Mutex<Files>> = Arc::default();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&files)));
        Self { url, key: new_key(), version: 0, files, accepting }
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The root metadata that trust in it begins with.
    pub fn root(&self) -> String {
        let (id, public) = (key_id(&self.key), hexadecimal(self.key.public_key().as_ref()));
        let role = json!({ "keyids": [id], "threshold": 1 });
        let root = json!({
            "_type": "root",
            "spec_version": "1.0.31",
            "version": 1,
            "expires": LATER,
            "consistent_snapshot": true,
            "keys": { id: { "keytype": "ed25519", "scheme": "ed25519", "keyval": { "public": public } } },
            "roles": { "root": role, "timestamp": role, "snapshot": role, "targets": role },
        });
        signed(&self.key, &root)
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

    fn files_of(&self, key: &Ed25519KeyPair, trusted_root: &str, expires: &str) -> Files {
        let version = self.version;
        let hash = hexadecimal(digest(&SHA256, trusted_root.as_bytes()).as_ref());
        let part = |kind: &str, expires: &str, member: &str, value: Value| {
            let part = json!({ "_type": kind, "spec_version": "1.0.31", "version": version, "expires": expires, member: value });
            signed(key, &part).into_bytes()
        };
        let target = json!({ NAME: { "length": trusted_root.len(), "hashes": { "sha256": hash } } });
        let snapshot = json!({ "targets.json": { "version": version } });
        let timestamp = json!({ "snapshot.json": { "version": version } });
        Files::from([
            ("/timestamp.json".to_owned(), part("timestamp", expires, "meta", timestamp)),
            (format!("/{version}.snapshot.json"), part("snapshot", LATER, "meta", snapshot)),
            (format!("/{version}.targets.json"), part("targets", LATER, "targets", target)),
            (format!("/targets/{hash}.{NAME}"), trusted_root.as_bytes().to_vec()),
        ])
    }

    /// What it serves now.
    pub fn files(&self) -> Files {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves these, and nothing else any more.
    pub fn serve(&self, files: Files) {
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = files;
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

/// Metadata with its signature. Names are sorted, and there is nothing in it that canonical JSON would write in another way.
fn signed(key: &Ed25519KeyPair, metadata: &Value) -> String {
    let signature = hexadecimal(key.sign(metadata.to_string().as_bytes()).as_ref());
    json!({ "signed": metadata, "signatures": [{ "keyid": key_id(key), "sig": signature }] }).to_string()
}

/// Bytes in hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn accept(listener: TcpListener, files: Arc<Mutex<Files>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, Arc::clone(&files)));
    }
}

async fn answer(mut stream: TcpStream, files: Arc<Mutex<Files>>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let found = files.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
    let (status, body) = found.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), &body].concat()).await?;
    stream.shutdown().await
}
