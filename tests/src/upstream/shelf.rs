use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use longshore_oci::{Algorithm, Digest};

use crate::{Account, Image};

/// What an upstream holds, and who may have it.
pub(super) struct Shelf {
    repositories: BTreeMap<String, Repository>,
    accounts: BTreeMap<String, String>,
    /// Whom each token was given to; nobody's are of who has no account.
    tokens: BTreeMap<String, Option<String>>,
    tokens_given: usize,
    /// Where tokens are to be had.
    pub(super) realm: String,
    /// Whether a token has to be shown for what anybody may have, too.
    pub(super) asks_everybody: bool,
}

#[derive(Default)]
pub(super) struct Repository {
    pub(super) tags: BTreeMap<String, String>,
    pub(super) manifests: BTreeMap<String, (String, Bytes)>,
    pub(super) blobs: BTreeMap<String, Bytes>,
    /// The accounts that may pull; none where anybody may.
    readers: Option<BTreeSet<String>>,
}

/// Who asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Caller {
    /// Somebody who shows nothing.
    Unknown,
    /// Somebody with a token who has no account.
    Anonymous,
    /// An account.
    Account(String),
    /// Somebody who shows what is no good.
    False,
}

impl Shelf {
    pub(super) fn new(authority: &str) -> Self {
        Self {
            repositories: BTreeMap::new(),
            accounts: BTreeMap::new(),
            tokens: BTreeMap::new(),
            tokens_given: 0,
            realm: format!("http://{authority}/token"),
            asks_everybody: false,
        }
    }

    pub(super) fn hold(&mut self, repository: &str, tag: &str, image: &Image) {
        for blob in &image.blobs {
            self.hold_blob(repository, blob);
        }
        let repository = self.repositories.entry(repository.into()).or_default();
        let digest = image.digest.to_string();
        repository.manifests.insert(digest.clone(), (image.media_type.clone(), image.manifest.clone()));
        repository.tags.insert(tag.into(), digest);
    }

    pub(super) fn hold_blob(&mut self, repository: &str, content: &Bytes) -> Digest {
        let digest = Digest::of(Algorithm::Sha256, content);
        let repository = self.repositories.entry(repository.into()).or_default();
        repository.blobs.insert(digest.to_string(), content.clone());
        digest
    }

    pub(super) fn untag(&mut self, repository: &str, tag: &str) {
        if let Some(repository) = self.repositories.get_mut(repository) {
            repository.tags.remove(tag);
        }
    }

    pub(super) fn close(&mut self, repository: &str, readers: &[&Account]) {
        for reader in readers {
            self.accounts.insert(reader.name.clone(), reader.secret.clone());
        }
        let readers = readers.iter().map(|reader| reader.name.clone()).collect();
        self.repositories.entry(repository.into()).or_default().readers = Some(readers);
    }

    pub(super) fn repository(&self, name: &str) -> Option<&Repository> {
        self.repositories.get(name)
    }

    /// Who shows this as its `Authorization`.
    pub(super) fn caller(&self, authorization: Option<&str>) -> Caller {
        let Some(authorization) = authorization else { return Caller::Unknown };
        if let Some(token) = authorization.strip_prefix("Bearer ") {
            return match self.tokens.get(token) {
                Some(Some(name)) => Caller::Account(name.clone()),
                Some(None) => Caller::Anonymous,
                None => Caller::False,
            };
        }
        let shown = authorization.strip_prefix("Basic ").and_then(|encoded| STANDARD.decode(encoded).ok());
        let shown = shown.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        match shown.split_once(':') {
            Some((name, secret)) if self.accounts.get(name).is_some_and(|known| known == secret) => Caller::Account(name.into()),
            _ => Caller::False,
        }
    }

    pub(super) fn may_pull(&self, caller: &Caller, repository: &str) -> bool {
        let readers = self.repositories.get(repository).and_then(|repository| repository.readers.as_ref());
        match (caller, readers) {
            (Caller::False, _) | (Caller::Anonymous | Caller::Unknown, Some(_)) => false,
            (Caller::Unknown, None) => !self.asks_everybody,
            (Caller::Anonymous | Caller::Account(_), None) => true,
            (Caller::Account(name), Some(readers)) => readers.contains(name),
        }
    }

    pub(super) fn forget_tokens(&mut self) {
        self.tokens.clear();
    }

    /// A new token of somebody.
    pub(super) fn token(&mut self, account: Option<String>) -> String {
        let token = format!("token-{}", self.tokens_given);
        self.tokens_given += 1;
        self.tokens.insert(token.clone(), account);
        token
    }
}
