use tempfile::TempDir;

use crate::{Output, run, temporary_folder};

/// podman with storage of its own.
pub struct Podman {
    folder: TempDir,
}

impl Podman {
    /// One with nothing in its storage.
    pub fn new() -> Self {
        Self { folder: temporary_folder("podman") }
    }

    /// Runs `podman` with these arguments.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let (root, state, temporary) = (path("root"), path("state"), path("temporary"));
        // runc also runs where the newer cgroups are only half there.
        let own = [
            "--runtime=runc",
            "--root",
            &root,
            "--runroot",
            &state,
            "--tmpdir",
            &temporary,
            "--cgroup-manager=cgroupfs",
            "--events-backend=none",
        ];
        run("podman", [&own, arguments].concat()).await
    }

    /// Like [`Self::run`], for what has to succeed.
    pub async fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert!(output.code == Some(0), "podman {arguments:?}: {output}");
        output.stdout
    }
}

impl Default for Podman {
    fn default() -> Self {
        Self::new()
    }
}
