use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{Account, Output, go_program, run_with_input, temporary_folder};

/// helm as one person uses it: with a folder of its own, in which it runs and keeps who is logged in.
pub struct Helm {
    folder: TempDir,
}

impl Helm {
    /// Logged in nowhere.
    pub fn new() -> Self {
        Self { folder: temporary_folder("helm") }
    }

    /// Where it runs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs `helm` with these arguments.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, "").await
    }

    /// `helm registry login`.
    pub async fn login(&self, registry: &str, account: &Account) -> Output {
        let arguments = ["registry", "login", registry, "--plain-http", "--username", &account.name, "--password-stdin"];
        self.run_with(&arguments, &account.secret).await
    }

    /// Writes a chart of this name, which makes a `ConfigMap`, and packs it; gives back the archive.
    pub async fn package(&self, name: &str, version: &str) -> PathBuf {
        let chart = self.folder.path().join(name);
        std::fs::create_dir_all(chart.join("templates")).expect("the folder is ours");
        for (file, content) in [
            ("Chart.yaml", format!("apiVersion: v2\nname: {name}\nversion: {version}\n")),
            ("values.yaml", "greeting: hello\n".to_owned()),
            (
                "templates/greeting.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: greeting\ndata:\n  text: {{ .Values.greeting }}\n"
                    .to_owned(),
            ),
        ] {
            std::fs::write(chart.join(file), content).expect("the folder is ours");
        }
        let output = self.run(&["package", name]).await;
        assert_eq!(output.code, Some(0), "{output}");
        self.folder.path().join(format!("{name}-{version}.tgz"))
    }

    async fn run_with(&self, arguments: &[&str], input: &str) -> Output {
        let folder = self.folder.path().display();
        let helm = go_program("helm").display().to_string();
        let own = [format!("--chdir={folder}"), format!("HOME={folder}"), format!("DOCKER_CONFIG={folder}/docker"), helm];
        // Whoever runs the tests may have told their own helm where things are.
        let unset = ["HELM_REGISTRY_CONFIG", "HELM_CONFIG_HOME", "HELM_CACHE_HOME", "HELM_DATA_HOME"]
            .map(|name| format!("--unset={name}"));
        let words = unset.iter().chain(&own).map(String::as_str).chain(arguments.iter().copied());
        run_with_input("env", words, input).await
    }
}

impl Default for Helm {
    fn default() -> Self {
        Self::new()
    }
}
