use std::{io, path::Path, sync::Arc, time::Duration};

use jiff::Timestamp;
use sigstore_trust_root::SigstoreInstance;
use sigstore_tuf::{FileStore, MemoryStore, MetadataStore, Repository as Source, StoreRepository, Updater, UpdaterConfig};
use tokio::{runtime::Handle, task::spawn_blocking};

use super::{folder::Folder, server::Server};
use crate::{
    config::{Tuf, TufRepository},
    signature::{SigstoreRoot, install_arithmetic},
};

/// The repositories whose address and first root metadata are built in, and the trusted roots that they had when this was built.
pub const BUILT_IN: [(&str, SigstoreInstance); 3] = [
    ("sigstore", SigstoreInstance::PublicGood),
    ("sigstore-staging", SigstoreInstance::Staging),
    ("github", SigstoreInstance::GitHub),
];

/// What a repository calls the trusted root.
const TARGET: &str = "trusted_root.json";
/// The largest trusted root, in bytes: as large as the files that policies name may be.
const MOST_ROOT_BYTES: u64 = 1 << 20;
/// The largest root metadata that trust begins with, in bytes.
const MOST_BOOTSTRAP_BYTES: u64 = 512_000;

/// Why a repository can't be used, or has not said anything new that holds.
#[derive(Debug, thiserror::Error)]
pub enum TufError {
    /// The file of its first root metadata can't be read.
    #[error("{path} can't be read")]
    File {
        /// The file.
        path: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// That is no root metadata.
    #[error("{path} is no root metadata of a TUF repository (root.json): {reason}")]
    Bootstrap {
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// What it says does not hold, or it says nothing.
    #[error("{0}")]
    Refresh(String),
    /// It has no trusted root where one is looked for. What delegated roles say is not kept, so nothing could be verified by it later.
    #[error("its targets metadata (targets.json) has no {TARGET}; one in a delegated role is not taken")]
    NoTarget,
    /// What it says holds, and is no trusted root.
    #[error("its {TARGET} is no trusted root of Sigstore's: {0}")]
    Root(String),
    /// What it says could not be written down.
    #[error("what it says is in force, and could not be kept below tuf.folder: {0}")]
    Folder(io::Error),
    /// What was written down does not hold.
    #[error("what it says is in force, and does not hold as it was written down below tuf.folder: {0}")]
    Copy(Box<TufError>),
    /// What was written down can't be read.
    #[error("what it said last can't be read below tuf.folder: {0}")]
    Kept(io::Error),
    /// It takes too long.
    #[error("no answer in {0:?} (tuf.timeout)")]
    Timeout(Duration),
}

impl TufError {
    /// Whether it is of what holds, and is in force, and could not be kept.
    pub fn is_of_keeping(&self) -> bool {
        matches!(self, Self::Folder(_) | Self::Copy(_))
    }
}

/// What a repository says, which holds.
pub struct Answer {
    /// The trusted root.
    pub root: SigstoreRoot,
    /// Its text.
    pub content: Vec<u8>,
    /// Why it will not be known at the next start, if it will not.
    pub kept: Result<(), TufError>,
}

/// Metadata that is read and left as it is: the library writes what it has verified back to where that was, and does not sync it.
struct ReadOnly(FileStore);

impl MetadataStore for ReadOnly {
    fn load(&self, name: &str) -> sigstore_tuf::Result<Option<Vec<u8>>> {
        self.0.load(name)
    }

    fn store(&self, _: &str, _: &[u8]) -> sigstore_tuf::Result<()> {
        Ok(())
    }
}

/// A TUF repository that keeps a trusted root.
pub struct Repository {
    /// What policies call it.
    pub name: String,
    url: String,
    /// The root metadata that trust begins with.
    bootstrap: Vec<u8>,
    built_in: Option<SigstoreInstance>,
    folder: Folder,
}

impl Repository {
    /// Those that are built in, and those that the configuration names.
    pub fn all(config: &Tuf) -> Result<Vec<Arc<Self>>, TufError> {
        let folder = |name: &str| Folder::new(config.folder.join(name));
        let built_in = BUILT_IN.into_iter().map(|(name, instance)| {
            let (url, bootstrap) = (instance.tuf_url().to_owned(), instance.tuf_root().to_vec());
            Ok(Self { name: name.to_owned(), url, bootstrap, built_in: Some(instance), folder: folder(name) })
        });
        let configured = config.repositories.0.iter().map(|TufRepository { name, url, root_file }| {
            let bootstrap = check_bootstrap(root_file)?;
            Ok(Self { name: name.clone(), url: url.clone(), bootstrap, built_in: None, folder: folder(name) })
        });
        built_in.chain(configured).map(|repository| repository.map(Arc::new)).collect()
    }

    /// What it said when it was last asked with success, verified as of that time, which may be long ago; where it never was, what is
    /// built in. What was kept and does not hold any more closes: what is built in may trust what was revoked since.
    pub async fn last_root(&self) -> Result<Arc<SigstoreRoot>, String> {
        match (self.kept_root().await, self.built_in) {
            (Ok(Some(root)), _) => Ok(Arc::new(root)),
            (Ok(None), Some(instance)) => SigstoreRoot::parse(instance.embedded_trusted_root_json()).map(Arc::new),
            (Ok(None), None) => {
                Err(format!("the TUF repository {:?} has not given its trusted root yet; the registry's log says why", self.name))
            }
            (Err(error), _) => {
                let (repository, error) = (&self.name, &error as &dyn std::error::Error);
                tracing::error!(repository, error, "what a TUF repository said last can't be used any more");
                Err(format!(
                    "what the TUF repository {repository:?} said last can't be used any more; the registry's log says why"
                ))
            }
        }
    }

    async fn kept_root(&self) -> Result<Option<SigstoreRoot>, TufError> {
        let Some((path, at)) = self.folder.verified().map_err(TufError::Kept)? else { return Ok(None) };
        let source = StoreRepository::new(FileStore::new(&path));
        let content = self.verified(source, ReadOnly(FileStore::new(&path)), at.min(Timestamp::now())).await?;
        read(&content).map(Some)
    }

    /// When it was last asked with success.
    pub fn refreshed_at(&self) -> Option<Timestamp> {
        self.folder.verified().ok().flatten().map(|(_, at)| at)
    }

    /// Asks it, and keeps what it says. Nothing is kept of what does not hold; what holds is said also where it can't be kept.
    pub async fn refresh(self: &Arc<Self>, timeout: Duration) -> Result<Answer, TufError> {
        let now = Timestamp::now();
        let metadata = self.folder.metadata();
        let asking = self.verified(Server::new(&self.url), FileStore::new(&metadata), now);
        let content = tokio::time::timeout(timeout, asking).await.map_err(|_| TufError::Timeout(timeout))??;
        let root = read(&content)?;
        let (this, runtime) = (self.clone(), Handle::current());
        let said = content.clone();
        let kept = spawn_blocking(move || runtime.block_on(this.keep(now, &said))).await;
        let kept = kept.unwrap_or_else(|error| Err(TufError::Folder(io::Error::other(error))));
        Ok(Answer { root, content, kept })
    }

    /// Keeps what it said at this time. Waits for the disk, where the library is silent about what it could not write.
    async fn keep(&self, at: Timestamp, said: &[u8]) -> Result<(), TufError> {
        let _alone = self.folder.lock().map_err(TufError::Folder)?;
        let copy = self.folder.copy().map_err(TufError::Folder)?;
        let source = StoreRepository::new(FileStore::new(&copy));
        let kept = self.verified(source, FileStore::new(&copy), at).await.map_err(|error| TufError::Copy(Box::new(error)))?;
        if kept != said {
            return Err(TufError::Folder(io::Error::other("what lies there is older than what it says")));
        }
        self.folder.take(at).map_err(TufError::Folder)
    }

    /// The trusted root from somewhere, after all of the metadata there was verified as of a time, and none of it is older than what is
    /// in the store, which is told of it.
    async fn verified(
        &self,
        source: impl Source + 'static,
        store: impl MetadataStore + 'static,
        at: Timestamp,
    ) -> Result<Vec<u8>, TufError> {
        install_arithmetic();
        let failed = |error: sigstore_tuf::Error| TufError::Refresh(chain(&error));
        let mut limits = UpdaterConfig::default();
        limits.target_max_length = MOST_ROOT_BYTES;
        let updater = Updater::new(source, &self.bootstrap).map_err(failed)?;
        let mut updater = updater.with_config(limits).with_store(store);
        updater.refresh(at).await.map_err(failed)?;
        if updater.trusted().targets_role("targets").is_none_or(|targets| targets.target(TARGET).is_none()) {
            return Err(TufError::NoTarget);
        }
        updater.get_target(TARGET, at).await.map_err(failed)
    }
}

/// The root metadata in a file, from which trust in a repository can begin.
pub fn check_bootstrap(path: &Path) -> Result<Vec<u8>, TufError> {
    use std::io::Read as _;
    install_arithmetic();
    let shown = || path.display().to_string();
    let mut content = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MOST_BOOTSTRAP_BYTES + 1).read_to_end(&mut content));
    read.map_err(|source| TufError::File { path: shown(), source })?;
    if content.len() as u64 > MOST_BOOTSTRAP_BYTES {
        return Err(TufError::Bootstrap { path: shown(), reason: format!("it has more than {MOST_BOOTSTRAP_BYTES} bytes") });
    }
    let tried = Updater::new(StoreRepository::new(MemoryStore::new()), &content);
    tried.map_err(|error| TufError::Bootstrap { path: shown(), reason: chain(&error) })?;
    Ok(content)
}

fn read(content: &[u8]) -> Result<SigstoreRoot, TufError> {
    let text = std::str::from_utf8(content).map_err(|error| TufError::Root(error.to_string()))?;
    SigstoreRoot::parse(text).map_err(TufError::Root)
}

/// An error with all of its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        told = format!("{told}: {cause}");
        source = cause.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_built_in_is_there_without_a_network_or_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let config = Tuf { folder: folder.path().join("none"), ..Tuf::default() };
        for repository in Repository::all(&config).unwrap() {
            repository.last_root().await.unwrap_or_else(|reason| panic!("{}: {reason}", repository.name));
            assert_eq!(repository.refreshed_at(), None);
        }
        assert!(!config.folder.exists(), "nothing is written where nothing was asked for");
    }

    #[tokio::test]
    async fn what_was_kept_and_does_not_hold_is_not_replaced_by_what_is_built_in() {
        let folder = tempfile::tempdir().unwrap();
        let config = Tuf { folder: folder.path().to_owned(), ..Tuf::default() };
        for repository in Repository::all(&config).unwrap() {
            let kept = config.folder.join(&repository.name).join("verified");
            std::fs::create_dir_all(&kept).unwrap();
            assert!(repository.last_root().await.is_err(), "it does not say when that was");
            std::fs::write(kept.join("refreshed-at"), "2026-01-01T00:00:00Z").unwrap();
            let reason = repository.last_root().await.unwrap_err();
            assert!(reason.contains("can't be used any more"), "{reason}");
        }
    }

    #[test]
    fn what_trust_begins_with_is_signed_root_metadata() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.json");
        assert!(matches!(check_bootstrap(&path), Err(TufError::File { .. })));
        let good = SigstoreInstance::PublicGood.tuf_root();
        std::fs::write(&path, good).unwrap();
        assert_eq!(check_bootstrap(&path).unwrap(), good);
        let changed = String::from_utf8(good.to_vec()).unwrap().replacen("\"threshold\": 3", "\"threshold\": 2", 1);
        assert_ne!(changed.as_bytes(), good);
        for bad in [changed.as_str(), "", "{}"] {
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(check_bootstrap(&path), Err(TufError::Bootstrap { .. })), "{bad:.100}");
        }
    }
}
