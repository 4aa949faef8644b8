use std::path::Path;

use tempfile::TempDir;

use crate::{Account, Namespace, Output, go_program, run, temporary_folder};

/// Cosign as one person uses it: with a folder of its own, in which it runs and keeps who is logged in.
pub struct Cosign {
    folder: TempDir,
    /// What a command begins with.
    entrance: Vec<String>,
}

impl Cosign {
    /// Logged in nowhere.
    pub fn new() -> Self {
        Self { folder: temporary_folder("cosign"), entrance: Vec::new() }
    }

    /// The same, in a namespace.
    pub fn within(namespace: &Namespace) -> Self {
        Self { entrance: namespace.entrance(), ..Self::new() }
    }

    /// Where it runs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The path of a file in its folder.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("our folders' names are ASCII").to_owned()
    }

    /// Writes a file into its folder; gives back its path.
    pub fn write(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).expect("the folder is ours");
        path
    }

    /// Runs `cosign` with these arguments.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let folder = self.folder.path().display();
        let settings = [format!("HOME={folder}"), format!("DOCKER_CONFIG={folder}/docker"), "COSIGN_PASSWORD=".to_owned()];
        let cosign = go_program("cosign").to_str().expect("it lies where a path is text").to_owned();
        let environment = [vec!["env".to_owned(), format!("--chdir={folder}")], settings.to_vec(), vec![cosign]].concat();
        let words = [&self.entrance[..], &environment].concat();
        run(&words[0], words[1..].iter().map(String::as_str).chain(arguments.iter().copied())).await
    }

    /// Like [`Self::run`], for what has to succeed.
    pub async fn ok(&self, arguments: &[&str]) {
        let output = self.run(arguments).await;
        assert_eq!(output.code, Some(0), "cosign {arguments:?}: {output}");
    }

    /// `cosign login`.
    pub async fn login(&self, registry: &str, account: &Account) {
        self.ok(&["login", "--username", &account.name, "--password", &account.secret, registry]).await;
    }
}

impl Default for Cosign {
    fn default() -> Self {
        Self::new()
    }
}
