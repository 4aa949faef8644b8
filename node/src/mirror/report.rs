use std::{fmt, path::PathBuf};

/// What was done; displayed for people.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// For each registry, what was done in which file.
    pub outcomes: Vec<Outcome>,
    /// What remains to be done by hand.
    pub notes: Vec<Note>,
}

/// What was done for a registry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// The registry, as images name it.
    pub registry: String,
    /// The file; none where nothing was found anywhere.
    pub path: Option<PathBuf>,
    /// What was done in it.
    pub done: Done,
}

/// What was done in a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Done {
    /// The mirror was written.
    Written,
    /// It was there already.
    WasThere,
    /// It was there already, and another wrote it; so it will not be removed.
    IsAnothers,
    /// It was taken out.
    Removed,
    /// It was not there.
    WasNotThere,
    /// What is there is for the mirror at this URL, and stays.
    OtherMirror(String),
}

/// What remains to be done by hand.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Note {
    /// containerd before 2.2 reads the folder for Kubernetes and crictl only once its configuration says so.
    ConfigPathMissing {
        /// containerd's configuration.
        path: PathBuf,
        /// The lines that it lacks.
        lines: String,
    },
    /// containerd's configuration has mirrors of the old form, which rule `config_path` out.
    OldMirrors {
        /// containerd's configuration.
        path: PathBuf,
    },
    /// The registry's own table forbids to pull from it, through the mirror or not.
    Blocked {
        /// The registry.
        registry: String,
        /// Where.
        path: PathBuf,
    },
    /// The registry's own table has mirrors asked for digests alone.
    DigestsOnly {
        /// The registry.
        registry: String,
        /// Where.
        path: PathBuf,
    },
    /// containerd's own configuration was changed, and is read at its start alone.
    RestartContainerd,
    /// CRI-O reads its registries when it is told to.
    ReloadCrio,
    /// dockerd reads its configuration when it is told to.
    ReloadDocker,
    /// dockerd keeps the mirrors that it has where it reads of none.
    RestartDocker,
}

/// A mirror that is installed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Installed {
    /// The registry, as images name it.
    pub registry: String,
    /// The mirror's URL.
    pub mirror: String,
    /// The file that it is written in.
    pub path: PathBuf,
}

impl Outcome {
    pub(super) fn new(registry: impl Into<String>, path: impl Into<Option<PathBuf>>, done: Done) -> Self {
        Self { registry: registry.into(), path: path.into(), done }
    }
}

impl Report {
    /// Notes it where a file is another than it was.
    pub(super) fn note_if_changed(&mut self, note: Note) {
        if self.outcomes.iter().any(|outcome| matches!(outcome.done, Done::Written | Done::Removed)) {
            self.notes.push(note);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.outcomes.is_empty() {
            writeln!(formatter, "nothing is installed there")?;
        }
        for outcome in &self.outcomes {
            writeln!(formatter, "{outcome}")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(formatter, "{note}"))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = match &self.done {
            Done::Written => "written to",
            Done::WasThere => "was there already, in",
            Done::IsAnothers => "was there already, by another's hand, in",
            Done::Removed => "taken out of",
            Done::WasNotThere => "was not installed",
            Done::OtherMirror(mirror) => return write!(formatter, "{}: goes through {mirror}, which stays", self.registry),
        };
        write!(formatter, "{}: {done}", self.registry)?;
        self.path.iter().try_for_each(|path| write!(formatter, " {}", path.display()))
    }
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConfigPathMissing { path, lines } => {
                let path = path.display();
                write!(
                    formatter,
                    "{path} sets no config_path, so containerd before 2.2 does not go by this for Kubernetes and crictl. Unless a \
                     file that it imports does, add these lines and restart containerd, or install with --edit-config:\n{lines}"
                )
            }
            Self::OldMirrors { path } => write!(
                formatter,
                "{} has registry.mirrors or registry.configs, so containerd does not go by this for Kubernetes and crictl. Move them to \
                 hosts.toml files and set config_path.",
                path.display()
            ),
            Self::Blocked { registry, path } => write!(
                formatter,
                "{} has blocked = true for {registry}, so nothing of it is pulled at all, through the node or past it",
                path.display()
            ),
            Self::DigestsOnly { registry, path } => write!(
                formatter,
                "{} has mirror-by-digest-only = true for {registry}, so what is pulled by a tag does not go through the node",
                path.display()
            ),
            Self::RestartContainerd => {
                write!(formatter, "containerd reads its own configuration when it starts: systemctl restart containerd")
            }
            Self::ReloadCrio => write!(formatter, "CRI-O reads this when it is told to: systemctl reload crio"),
            Self::ReloadDocker => write!(formatter, "dockerd reads this when it is told to: systemctl reload docker"),
            Self::RestartDocker => {
                write!(
                    formatter,
                    "dockerd asks the mirror until it is restarted, and Docker Hub where that is away: systemctl restart docker"
                )
            }
        }
    }
}
