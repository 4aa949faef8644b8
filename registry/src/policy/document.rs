use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering},
};

use longshore_oci::Digest;
use longshore_service::config::ByteSize;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::{
    material::{Material, Materials, StoreMaterial},
    mistakes::mistakes,
    pattern::{RepositoryPattern, TextPattern},
    pull::{Pull, PullRules},
};

/// What the next document that is read is known by.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A policy document: TOML, a `[[policy]]` each.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Another one for each document that was read.
    #[serde(skip)]
    pub id: u64,
    /// The keys that requirements name.
    #[serde(default, rename = "key")]
    keys: Vec<Material>,
    /// The trusted roots of Sigstore's that requirements name.
    #[serde(default, rename = "trusted_root")]
    trusted_roots: Vec<Material>,
    /// The trust stores of Notation's that requirements name.
    #[serde(default, rename = "trust_store")]
    trust_stores: Vec<StoreMaterial>,
    /// The policies, of which every one that covers a repository must be satisfied.
    #[serde(default, rename = "policy")]
    pub policies: Vec<Policy>,
}

/// What is asked of some repositories.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// What refusals call it.
    pub name: String,
    /// Whose.
    pub repositories: Vec<RepositoryPattern>,
    /// What follows where it is not satisfied.
    #[serde(default)]
    pub mode: Mode,
    /// What may be pushed.
    #[serde(default)]
    pub push: PushRules,
    /// What may be pulled.
    #[serde(default)]
    pub pull: PullRules,
    /// As `pull`, ready to be judged.
    #[serde(skip)]
    pub pull_compiled: Pull,
    /// Why nothing is done with what it covers, where it is of a document that this program can't read.
    #[serde(skip)]
    pub closed: Option<String>,
}

impl Policy {
    /// One that asks nothing.
    pub fn empty(name: &str, repositories: Vec<RepositoryPattern>, mode: Mode) -> Self {
        Self {
            name: name.to_owned(),
            repositories,
            mode,
            push: PushRules::default(),
            pull: PullRules::default(),
            pull_compiled: Pull::default(),
            closed: None,
        }
    }
}

/// What follows where a policy is not satisfied.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The request is refused.
    #[default]
    Enforce,
    /// It is done, and the answer says what is wrong.
    Warn,
    /// Nothing.
    Off,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Enforce => "enforce",
            Self::Warn => "warn",
            Self::Off => "off",
        })
    }
}

/// Whether a push may have a tag go from an image to one that does not satisfy the policy's pulls.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Overwrites {
    /// It may.
    #[default]
    Allow,
    /// It may not: what is new must be signed, or whatever pulls ask for, before it takes a tag over.
    Refuse,
}

/// What may be pushed. Each rule that is left out allows everything.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushRules {
    /// The media types of manifests that are taken.
    #[serde(default)]
    pub media_types: Option<Vec<TextPattern>>,
    /// The media types of layers that are taken.
    #[serde(default)]
    pub layer_media_types: Option<Vec<TextPattern>>,
    /// Tags that stay where they were first set.
    #[serde(default)]
    pub immutable_tags: Vec<TextPattern>,
    /// Tags that may be moved though they are among those.
    #[serde(default)]
    pub mutable_tags: Vec<TextPattern>,
    /// Whether what does not satisfy the policy's pulls may take over a tag that is set.
    #[serde(default)]
    pub unsigned_overwrites: Overwrites,
    /// The most layers that an image may have.
    #[serde(default)]
    pub max_layers: Option<usize>,
    /// The largest manifest.
    #[serde(default, deserialize_with = "byte_size")]
    pub max_manifest_size: Option<ByteSize>,
    /// What may not be pushed, nor be what something is made of: manifests, layers, configurations, members of an index, and base images
    /// that an image's annotations name. Each is known by the digest given here alone.
    #[serde(default)]
    pub refused_content: Vec<Digest>,
}

fn byte_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ByteSize>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(|error| D::Error::custom(format!("{text:?}: {error}")))
}

/// A file that a document names, as it does there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NamedFile {
    /// A text: a key, certificates, a trusted root.
    Text(String),
    /// Lists of revoked certificates, which are texts, or one of them is no text.
    RevocationLists(String),
}

/// Why a text is no policy document.
#[derive(Clone, Debug, thiserror::Error)]
pub enum InvalidDocument {
    /// It is not TOML of the right shape.
    #[error("{}", .0.join("; "))]
    Shape(Vec<String>),
    /// It can be read, and makes no sense.
    #[error("{}", .0.join("; "))]
    Sense(Vec<String>),
}

impl InvalidDocument {
    /// What is wrong, all of it.
    pub fn problems(self) -> Vec<String> {
        match self {
            Self::Shape(problems) | Self::Sense(problems) => problems,
        }
    }
}

fn next_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

impl Document {
    /// The document that these policies make, of which each has what it names.
    pub fn of(policies: Vec<Policy>) -> Self {
        Self { id: next_id(), keys: Vec::new(), trusted_roots: Vec::new(), trust_stores: Vec::new(), policies }
    }

    /// The TUF repositories that keep trusted roots which policies name.
    pub fn tuf_repositories(&self) -> BTreeSet<&str> {
        self.policies.iter().flat_map(|policy| policy.pull_compiled.tuf_repositories()).collect()
    }

    /// Reads a document that names no files; whatever makes no sense in it is told together.
    pub fn parse(text: &str) -> Result<Self, InvalidDocument> {
        Self::parse_with(text, |file| Err(format!("the file {file:?} is not to be had here")))
    }

    /// The files that a document names; none where it is no document.
    pub fn files(text: &str) -> Vec<NamedFile> {
        let Self { keys, trusted_roots, trust_stores, .. } = toml::from_str(text).unwrap_or_default();
        let lists: Vec<String> = trust_stores.iter().filter_map(|store| store.crl_files.clone()).flatten().collect();
        let texts = keys.into_iter().chain(trusted_roots).map(|material| material.file);
        let texts = texts.chain(trust_stores.into_iter().map(|store| store.file)).flatten();
        texts.map(NamedFile::Text).chain(lists.into_iter().map(NamedFile::RevocationLists)).collect()
    }

    /// Reads a document, and what is in the files that it names.
    pub fn parse_with(text: &str, file: impl Fn(&str) -> Result<String, String>) -> Result<Self, InvalidDocument> {
        let mut document: Self = toml::from_str(text).map_err(|error| InvalidDocument::Shape(mistakes::<Self>(text, &error)))?;
        let mut problems = Vec::new();
        for (index, policy) in document.policies.iter().enumerate() {
            let Policy { name, repositories, push, .. } = policy;
            if name.is_empty() || !name.chars().all(|character| character.is_ascii_graphic()) {
                problems.push(format!("{name:?} is no name for a policy: it must have visible ASCII characters alone"));
            }
            if document.policies[..index].iter().any(|other| other.name == *name) {
                problems.push(format!("there is more than one policy {name:?}"));
            }
            if repositories.is_empty() {
                problems.push(format!("policy {name:?} covers no repositories"));
            }
            if [&push.media_types, &push.layer_media_types].iter().any(|taken| taken.as_ref().is_some_and(Vec::is_empty)) {
                problems.push(format!("policy {name:?} takes no media type at all"));
            }
            if push.immutable_tags.is_empty() && !push.mutable_tags.is_empty() {
                problems.push(format!("policy {name:?} has mutable_tags, which are exceptions, and no immutable_tags"));
            }
            if push.unsigned_overwrites == Overwrites::Refuse && policy.pull.require.is_empty() {
                problems.push(format!("policy {name:?} refuses unsigned_overwrites, and its pulls require no signature"));
            }
        }
        document.id = next_id();
        let Self { keys, trusted_roots, trust_stores, .. } = &document;
        let materials = Materials::read(keys, trusted_roots, trust_stores, file, &mut problems);
        for policy in &mut document.policies {
            match materials.compile(&policy.pull) {
                Ok(pull) => policy.pull_compiled = pull,
                Err(problem) => problems.push(format!("policy {:?}: {problem}", policy.name)),
            }
        }
        if problems.is_empty() { Ok(document) } else { Err(InvalidDocument::Sense(problems)) }
    }
}
