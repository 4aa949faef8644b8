use std::path::PathBuf;

use tempfile::TempDir;

use crate::{Account, Output, run, run_with_input, temporary_folder};

/// podman with storage of its own.
pub struct Podman {
    folder: TempDir,
}

impl Podman {
    /// One with nothing in its storage.
    pub fn new() -> Self {
        let podman = Self { folder: temporary_folder("podman") };
        std::fs::write(podman.folder.path().join("logins.json"), "{}").expect("the folder is ours");
        podman
    }

    /// One that finds registries as this says (containers-registries.conf(5)).
    pub fn with_registries(registries: &str) -> Self {
        let podman = Self::new();
        std::fs::write(podman.registries_file(), registries).expect("the folder is ours");
        podman
    }

    /// Runs `podman` with these arguments.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let registries = self.registries_file();
        if !registries.exists() {
            return run("podman", self.arguments(arguments)).await;
        }
        let program = [format!("CONTAINERS_REGISTRIES_CONF={}", registries.display()), "podman".into()];
        run("env", program.into_iter().chain(self.arguments(arguments))).await
    }

    fn registries_file(&self) -> PathBuf {
        self.folder.path().join("registries.conf")
    }

    /// `podman login`; what it keeps lies in [`Self::authfile`].
    pub async fn login(&self, registry: &str, account: &Account) -> Output {
        let authfile = self.authfile();
        let arguments = ["login", "--tls-verify=false", &authfile, "--username", &account.name, "--password-stdin", registry];
        run_with_input("podman", self.arguments(&arguments), &account.secret).await
    }

    /// The flag that names the file of its logins, for podman and skopeo both.
    pub fn authfile(&self) -> String {
        format!("--authfile={}", self.folder.path().join("logins.json").display())
    }

    fn arguments(&self, arguments: &[&str]) -> Vec<String> {
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
        own.iter().chain(arguments).map(|argument| (*argument).to_owned()).collect()
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
