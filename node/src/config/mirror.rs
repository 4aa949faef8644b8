//! `[[mirror]]`: a container runtime that is told to pull through the node for as long as the node runs.

use std::path::PathBuf;

use longshore_service::config::Problems;

use crate::mirror::{MirrorUrl, Registry, Request, Runtime};

/// A container runtime that is told to pull through the node for as long as the node runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mirror {
    /// The runtime: `containerd`, `crio`, `podman` or `docker`.
    pub runtime: String,
    /// The registries, each as `node mirror install --for` takes it.
    pub registries: Vec<String>,
    /// Where the runtime reaches the mirror, as `http://127.0.0.1:5200`; empty for where it listens.
    pub at: String,
    /// The folder that the runtime's files are below; `/` where nothing is said.
    pub root: Option<PathBuf>,
    /// What is written to, below `root`, where it is not at its usual place.
    pub path: Option<PathBuf>,
    /// containerd's own configuration, below `root`, where it is not at its usual place.
    pub containerd_config: Option<PathBuf>,
}

longshore_service::settings!(Mirror { runtime, registries, at, root, path, containerd_config });

impl Mirror {
    /// What is to be installed, with the mirror at this URL unless another is set. An error says which value is wrong, and why.
    pub fn request(&self, url: &str) -> Result<Request, (&'static str, String)> {
        let runtime: Runtime = self.runtime.parse().map_err(|error| ("runtime", format!("{error}")))?;
        let registries: Result<Vec<Registry>, _> = self.registries.iter().map(|text| text.parse()).collect();
        let registries = registries.map_err(|error| ("registries", format!("{error}")))?;
        if registries.is_empty() {
            return Err(("registries", "no registry is named; name one, such as \"docker.io\"".to_owned()));
        }
        let url = if self.at.is_empty() { url } else { &self.at };
        let mirror: MirrorUrl = url.parse().map_err(|error| ("at", format!("{error}")))?;
        let root = self.root.clone().unwrap_or_else(|| "/".into());
        let (config, containerd_config) = (self.path.clone(), self.containerd_config.clone());
        Ok(Request { root, config, containerd_config, ..Request::new(runtime, registries, mirror) })
    }

    pub(super) fn check(&self, position: usize, problems: &mut Problems<'_>) {
        // Where it listens is known later, and always a URL.
        if let Err((key, reason)) = self.request("http://127.0.0.1") {
            problems.add(&[&format!("mirror.{position}.{key}")], reason);
        }
    }
}
