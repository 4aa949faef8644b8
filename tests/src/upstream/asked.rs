use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use longshore_oci::Digest;

use super::request::Request;

/// Something that an upstream was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The method, in capitals.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// What follows the `?`, or nothing.
    pub query: String,
    /// The headers, their names in small letters.
    pub headers: BTreeMap<String, String>,
    sent_bytes: Arc<AtomicU64>,
}

impl Asked {
    pub(super) fn new(request: &Request) -> Self {
        let Request { method, path, query, headers } = request.clone();
        Self { method, path, query, headers, sent_bytes: Arc::default() }
    }

    /// Whether it is a GET of this blob or part of it.
    pub fn is_get_of(&self, blob: &Digest) -> bool {
        self.method == "GET" && self.path.ends_with(&format!("/blobs/{blob}"))
    }

    /// Whether it is about a manifest.
    pub fn is_about_a_manifest(&self) -> bool {
        self.path.contains("/manifests/")
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// How many bytes of the answer's body were sent so far.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    /// Counts bytes that are about to be sent: a client that has them may look at the count at once.
    pub(super) fn sends(&self, count: usize) {
        self.sent_bytes.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Takes back what was counted and could not be sent.
    pub(super) fn sends_not(&self, count: usize) {
        self.sent_bytes.fetch_sub(count as u64, Ordering::Relaxed);
    }
}
