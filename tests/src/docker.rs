use std::{path::PathBuf, time::Duration};

use tempfile::TempDir;

use crate::{Account, Output, Process, run, run_with_input, temporary_folder, until};

/// A Docker daemon of one test, apart from any other: its own data, socket and containerd.
pub struct Docker {
    process: Process,
    folder: TempDir,
}

impl Docker {
    /// A daemon that answers, with nothing in it. It reaches registries on loopback over plain HTTP, as any Docker daemon does.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// One that asks a mirror first for what is Docker Hub's.
    pub async fn with_mirror(url: &str) -> Self {
        Self::with(&[&format!("--registry-mirror={url}")]).await
    }

    async fn with(flags: &[&str]) -> Self {
        let folder = temporary_folder("docker");
        let path = |name: &str| folder.path().join(name);
        let process = Process::start("dockerd", "dockerd", |command| {
            command
                .args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--shutdown-timeout=2", "--data-root"])
                .arg(path("data"));
            command.arg("--exec-root").arg(path("exec")).arg("--pidfile").arg(path("pid")).args(flags);
            command.arg("--host").arg(format!("unix://{}", path("socket").display()));
            for variable in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
                command.env_remove(variable);
            }
        });
        let mut docker = Self { process, folder };
        until("dockerd to answer", Duration::from_secs(60), async || {
            let exit = docker.process.exit_status();
            assert!(exit.is_none(), "dockerd ended ({exit:?}):\n{}", docker.process.output());
            docker.run(&["version"]).await.code.filter(|code| *code == 0)
        })
        .await;
        docker
    }

    /// Runs `docker` with these arguments.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        run("docker", self.arguments(arguments)).await
    }

    /// `docker login`; what it keeps lies in a folder of its own. `docker logout` forgets it.
    pub async fn login(&self, registry: &str, account: &Account) -> Output {
        let arguments = ["login", "--username", &account.name, "--password-stdin", registry];
        run_with_input("docker", self.arguments(&arguments), &account.secret).await
    }

    /// The folder that its logins lie in: what others call `DOCKER_CONFIG`.
    pub fn config_folder(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    fn arguments(&self, arguments: &[&str]) -> Vec<String> {
        let host = format!("unix://{}", self.socket().display());
        let config = self.config_folder();
        let own = ["--config", config.to_str().expect("our folders' names are ASCII"), "--host", &host];
        own.iter().chain(arguments).map(|argument| (*argument).to_owned()).collect()
    }

    /// Like [`Self::run`], for what has to succeed.
    pub async fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert!(output.code == Some(0), "docker {arguments:?}: {output}");
        output.stdout
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // It has a containerd and mounts to take down with it.
        self.process.terminate(Duration::from_secs(20));
    }
}
