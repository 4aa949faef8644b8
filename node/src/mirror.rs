//! Tells a container runtime to pull through the node's mirror, and takes that back.
//!
//! It is the runtime's own configuration that is written, in the form of a mirror: it is asked first, and while it is away or says no
//! the runtime goes on to the registry by itself. What others wrote in the same files stays. [`install`] twice is once; [`remove`] takes
//! out what was installed and nothing else, so that a file that nobody changed since is byte for byte what it was.
//!
//! | runtime | what is written | when it counts |
//! |---|---|---|
//! | containerd | a `[host]` in `certs.d/REGISTRY/hosts.toml` | at the next pull; CRI alone needs `config_path`, see [`Note`] |
//! | podman | a `[[registry.mirror]]` in `registries.conf.d`, or where the registry's table is already | at the next pull |
//! | CRI-O | the same | once reloaded |
//! | docker | an entry of `registry-mirrors` in `daemon.json` | once reloaded; out again once restarted |
//!
//! In TOML it stands between two comments, the first of which says what else was made for it. JSON has none, so that is in
//! `daemon.json.longshore` beside it, which is there before the entry and goes after it.
//!
//! The decisions are pure, text in and text out; `files.rs` alone reads and writes. A file is replaced as a whole, with its mode and its
//! owner, and not where another changed it meanwhile. Where one of several can't be written, those before it are put back. All calls
//! block for as long as the disk takes.

mod block;
mod containerd;
mod containers;
mod daemon_json;
mod docker;
mod error;
mod files;
mod hosts;
mod json_text;
mod keeper;
mod plan;
mod plugin_config;
mod registries;
mod registry;
mod report;
#[cfg(test)]
mod tests;
mod toml_text;
mod url;
mod written;

use std::{fmt, path::PathBuf, str::FromStr};

pub use error::MirrorError;
use files::Files;
pub use keeper::Keeper;
use plan::Plan;
pub use registry::{InvalidRegistry, Registry};
pub use report::{Done, Installed, Note, Outcome, Report};
pub use url::{InvalidMirrorUrl, MirrorUrl};

/// A container runtime, by what configures it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Runtime {
    /// containerd, with what reads its `certs.d`: CRI, nerdctl, `ctr --hosts-dir`.
    Containerd,
    /// CRI-O. It shares its files with podman, so what is installed for one is there for both.
    Crio,
    /// podman, buildah and skopeo.
    Podman,
    /// dockerd, for what is Docker Hub's.
    Docker,
}

impl fmt::Display for Runtime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Containerd => "containerd",
            Self::Crio => "crio",
            Self::Podman => "podman",
            Self::Docker => "docker",
        })
    }
}

/// The text names no runtime that can be told of a mirror.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no runtime that is known here: containerd, crio, podman or docker")]
pub struct UnknownRuntime(String);

impl FromStr for Runtime {
    type Err = UnknownRuntime;

    fn from_str(text: &str) -> Result<Self, UnknownRuntime> {
        let all = [Self::Containerd, Self::Crio, Self::Podman, Self::Docker];
        all.into_iter().find(|runtime| runtime.to_string() == text).ok_or_else(|| UnknownRuntime(text.to_owned()))
    }
}

/// What is to be installed, removed or looked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The runtime that is told.
    pub runtime: Runtime,
    /// The registries that are pulled from through the mirror. None means, where it is removed or looked for, all that are there.
    pub registries: Vec<Registry>,
    /// The mirror. What is installed for another one is not removed.
    pub mirror: MirrorUrl,
    /// What the files are below, `/` on a node itself. A link that leads out of it is not followed.
    pub root: PathBuf,
    /// What holds the configuration, below `root`, in place of where the runtime looks of its own accord: the folder `certs.d`, the folder
    /// `registries.conf.d`, or the file `daemon.json`.
    pub config: Option<PathBuf>,
    /// containerd's own configuration, below `root`, in place of `/etc/containerd/config.toml`.
    pub containerd_config: Option<PathBuf>,
    /// Whether containerd's own configuration is changed where it lacks `config_path`, and changed back when the mirror is removed.
    pub edits_containerd_config: bool,
}

impl Request {
    /// A request about this machine's own files.
    pub fn new(runtime: Runtime, registries: Vec<Registry>, mirror: MirrorUrl) -> Self {
        let (root, config, containerd_config) = (PathBuf::from("/"), None, None);
        Self { runtime, registries, mirror, root, config, containerd_config, edits_containerd_config: false }
    }
}

/// Has the runtime pull from the registries through the mirror. Nothing is changed where it can't be done for all of them.
pub fn install(request: &Request) -> Result<Report, MirrorError> {
    if request.registries.is_empty() {
        return Err(MirrorError::NoRegistry);
    }
    if let Some(registry) = request.registries.iter().find(|registry| registry.is_any() && request.runtime != Runtime::Containerd)
    {
        return Err(MirrorError::NoSuchRegistry { registry: registry.to_string(), runtime: request.runtime });
    }
    change(request, |plan| match request.runtime {
        Runtime::Containerd => containerd::install(request, plan),
        Runtime::Crio | Runtime::Podman => containers::install(request, plan),
        Runtime::Docker => docker::install(request, plan),
    })
}

/// Takes back what was installed for this mirror. That nothing was is no error; the report says so.
pub fn remove(request: &Request) -> Result<Report, MirrorError> {
    change(request, |plan| match request.runtime {
        Runtime::Containerd => containerd::remove(request, plan),
        Runtime::Crio | Runtime::Podman => containers::remove(request, plan),
        Runtime::Docker => docker::remove(request, plan),
    })
}

/// What is installed for the registries, through whichever mirror.
pub fn installed(request: &Request) -> Result<Vec<Installed>, MirrorError> {
    let mut plan = Plan::new(Files::new(&request.root)?);
    let mut all = match request.runtime {
        Runtime::Containerd => containerd::installed(request, &mut plan)?,
        Runtime::Crio | Runtime::Podman => containers::installed(request, &mut plan)?,
        Runtime::Docker => docker::installed(request, &mut plan)?,
    };
    let is_asked =
        |found: &Installed| request.registries.is_empty() || request.registries.iter().any(|one| one.host() == found.registry);
    all.retain(is_asked);
    Ok(all)
}

/// Decides with the files locked against others of us, and then writes.
fn change(request: &Request, decide: impl FnOnce(&mut Plan) -> Result<Report, MirrorError>) -> Result<Report, MirrorError> {
    let files = Files::new(&request.root)?;
    let _locked = files.lock()?;
    let mut plan = Plan::new(files);
    let report = decide(&mut plan)?;
    plan.apply()?;
    Ok(report)
}
