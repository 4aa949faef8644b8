//! Has runtimes pull through the node for as long as it runs.
//!
//! What is installed is noted in a file of the node's folder before it is, so that after a crash the next start knows what is its own: what
//! is not wanted any more is taken out, and the rest is put right. What somebody installed by hand stays as it is.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use longshore_service::error_text::with_sources;
use serde::{Deserialize, Serialize};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{MirrorError, MirrorUrl, Registry, Request, Runtime, install, installed, remove};
use crate::config::Mirror;

/// The note, in the node's folder.
const NOTE: &str = "mirrors.json";
/// How soon it is tried again where it could not be installed.
const PAUSE: Duration = Duration::from_secs(30);

/// Why a runtime is not told of the node.
#[derive(Debug, thiserror::Error)]
enum NotKept {
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    #[error("what is installed can't be noted in {}", path.display())]
    Note {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A registry that this node has a runtime pull from through it.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    runtime: String,
    registry: String,
    mirror: String,
    root: PathBuf,
    config: Option<PathBuf>,
    containerd_config: Option<PathBuf>,
}

impl Kept {
    fn of(request: &Request, registry: &str) -> Self {
        Self {
            runtime: request.runtime.to_string(),
            registry: registry.to_owned(),
            mirror: request.mirror.to_string(),
            root: request.root.clone(),
            config: request.config.clone(),
            containerd_config: request.containerd_config.clone(),
        }
    }

    /// Where it is installed; `None` of what no version of ours has noted.
    fn request(&self) -> Option<Request> {
        let (runtime, registry): (Runtime, Registry) = (self.runtime.parse().ok()?, self.registry.parse().ok()?);
        let mirror: MirrorUrl = self.mirror.parse().ok()?;
        let (root, config, containerd_config) = (self.root.clone(), self.config.clone(), self.containerd_config.clone());
        Some(Request { root, config, containerd_config, ..Request::new(runtime, vec![registry], mirror) })
    }
}

/// Has runtimes pull through the node for as long as it runs.
#[derive(Debug)]
pub struct Keeper {
    requests: Vec<Request>,
    note: PathBuf,
}

impl Keeper {
    /// For these, with the mirror at `url` where they say nothing else; `None` where there is nothing to do. An error says which of them
    /// is wrong, and which of its values, and why.
    pub fn new(mirrors: &[Mirror], url: &str, folder: &Path) -> Result<Option<Self>, (usize, (&'static str, String))> {
        let request = |(position, mirror): (usize, &Mirror)| mirror.request(url).map_err(|wrong| (position, wrong));
        let requests: Vec<_> = mirrors.iter().enumerate().map(request).collect::<Result<_, _>>()?;
        let note = folder.join(NOTE);
        // What an earlier one has left is taken out.
        Ok((!requests.is_empty() || note.exists()).then_some(Self { requests, note }))
    }

    /// Installs until `shutdown` is cancelled, then takes it out, and lets `closing` go.
    pub async fn keep(self, shutdown: CancellationToken, closing: DropGuard) {
        let keeper = std::sync::Arc::new(self);
        loop {
            let installing = keeper.clone();
            let done = tokio::task::spawn_blocking(move || installing.install()).await;
            let Ok(Err(error)) = done else { break };
            tracing::error!(error = with_sources(&error), "a runtime is not told of the mirror; it is tried again");
            if shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                break;
            }
        }
        shutdown.cancelled().await;
        let removed = tokio::task::spawn_blocking(move || keeper.remove(&BTreeSet::new())).await;
        if let Ok(Err(error)) = removed {
            tracing::error!(
                error = with_sources(&error),
                "a runtime is told of the mirror still; it asks the registry where that is away"
            );
        }
        drop(closing);
    }

    /// Installs all, and takes out what an earlier process has left and nobody wants any more. Blocks.
    fn install(&self) -> Result<(), NotKept> {
        let earlier = self.read()?;
        let mut wanted = BTreeSet::new();
        for request in &self.requests {
            // What is there and nobody noted was installed by hand, and stays when the node goes.
            let by_hand: Vec<_> =
                installed(request)?.into_iter().filter(|one| one.mirror == request.mirror.to_string()).collect();
            for registry in &request.registries {
                let kept = Kept::of(request, registry.host());
                if earlier.contains(&kept) || !by_hand.iter().any(|one| one.registry == kept.registry) {
                    wanted.insert(kept);
                }
            }
        }
        self.remove(&wanted)?;
        self.write(&wanted)?;
        for request in &self.requests {
            let report = install(request)?;
            for outcome in &report.outcomes {
                tracing::info!(runtime = %request.runtime, %outcome, "a runtime pulls through the mirror");
            }
            for note in &report.notes {
                tracing::warn!(runtime = %request.runtime, %note, "something remains to be done for that");
            }
        }
        Ok(())
    }

    /// Takes out what is noted, but for these. Blocks.
    fn remove(&self, but: &BTreeSet<Kept>) -> Result<(), NotKept> {
        let mut left = self.read()?;
        for kept in left.clone().difference(but) {
            if let Some(request) = kept.request() {
                for outcome in &remove(&request)?.outcomes {
                    tracing::info!(runtime = %request.runtime, %outcome, "a runtime pulls through the mirror no more");
                }
            }
            left.remove(kept);
            self.write(&left)?;
        }
        Ok(())
    }

    fn read(&self) -> Result<BTreeSet<Kept>, NotKept> {
        match fs::read(&self.note) {
            // One that can't be understood is somebody else's; what it stands for is put right by what is installed anew.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(source) => Err(NotKept::Note { path: self.note.clone(), source }),
        }
    }

    fn write(&self, all: &BTreeSet<Kept>) -> Result<(), NotKept> {
        let written = if all.is_empty() {
            fs::remove_file(&self.note).or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
        } else {
            let whole = self.note.with_extension("json.new");
            let bytes = serde_json::to_vec_pretty(all).expect("texts are always JSON");
            fs::write(&whole, bytes).and_then(|()| fs::rename(&whole, &self.note))
        };
        written.map_err(|source| NotKept::Note { path: self.note.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Machine {
        root: tempfile::TempDir,
        folder: tempfile::TempDir,
    }

    impl Machine {
        fn new() -> Self {
            Self { root: tempfile::tempdir().unwrap(), folder: tempfile::tempdir().unwrap() }
        }

        fn keeper(&self, registries: &[&str], url: &str) -> Option<Keeper> {
            let mirror = Mirror {
                runtime: "containerd".into(),
                registries: registries.iter().map(|&text| text.to_owned()).collect(),
                root: Some(self.root.path().to_owned()),
                path: Some("/certs.d".into()),
                ..Mirror::default()
            };
            let mirrors = if registries.is_empty() { vec![] } else { vec![mirror] };
            Keeper::new(&mirrors, url, self.folder.path()).unwrap()
        }

        fn hosts(&self, registry: &str) -> Option<String> {
            fs::read_to_string(self.root.path().join("certs.d").join(registry).join("hosts.toml")).ok()
        }
    }

    const URL: &str = "http://127.0.0.1:5200";

    #[tokio::test]
    async fn it_is_there_while_the_node_runs() {
        let machine = Machine::new();
        let keeper = machine.keeper(&["a.example", "b.example"], URL).unwrap();
        let (shutdown, closing) = (CancellationToken::new(), CancellationToken::new());
        let keeping = tokio::spawn(keeper.keep(shutdown.clone(), closing.clone().drop_guard()));
        while machine.hosts("b.example").is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(machine.hosts("a.example").unwrap().contains(URL) && !closing.is_cancelled());
        shutdown.cancel();
        closing.cancelled().await;
        keeping.await.unwrap();
        assert_eq!((machine.hosts("a.example"), machine.hosts("b.example")), (None, None));
        assert!(!machine.folder.path().join(NOTE).exists());
        assert!(machine.keeper(&[], URL).is_none(), "nothing is left to do");
    }

    #[test]
    fn what_a_crash_leaves_is_put_right() {
        let machine = Machine::new();
        machine.keeper(&["a.example", "b.example"], URL).unwrap().install().unwrap();
        // It was killed; then it listens elsewhere, and is for one registry alone.
        let other = "http://127.0.0.1:5300";
        let keeper = machine.keeper(&["a.example"], other).unwrap();
        keeper.install().unwrap();
        let hosts = machine.hosts("a.example").unwrap();
        assert!(hosts.contains(other) && !hosts.contains(URL), "{hosts}");
        assert_eq!(machine.hosts("b.example"), None);
        // Killed again, and for none any more.
        machine.keeper(&[], other).unwrap().install().unwrap();
        assert_eq!(machine.hosts("a.example"), None);
    }

    #[test]
    fn what_was_installed_by_hand_stays() {
        let machine = Machine::new();
        let keeper = machine.keeper(&["a.example", "b.example"], URL).unwrap();
        let by_hand = Request { registries: vec!["a.example".parse().unwrap()], ..keeper.requests[0].clone() };
        install(&by_hand).unwrap();
        keeper.install().unwrap();
        keeper.remove(&BTreeSet::new()).unwrap();
        assert!(machine.hosts("a.example").unwrap().contains(URL));
        assert_eq!(machine.hosts("b.example"), None);
    }

    #[test]
    fn what_can_not_be_installed_is_told_and_changes_nothing() {
        let machine = Machine::new();
        let file = machine.root.path().join("certs.d/a.example/hosts.toml");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "host = \n").unwrap();
        let error = machine.keeper(&["a.example"], URL).unwrap().install().unwrap_err();
        assert!(error.to_string().contains("can't be understood"), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "host = \n");
    }
}
