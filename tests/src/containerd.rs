use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use longshore_oci::Digest;

use tempfile::TempDir;

use crate::{Account, Output, Process, run, temporary_folder, until};

/// A containerd of one test, apart from any other.
pub struct Containerd {
    process: Process,
    folder: TempDir,
}

impl Containerd {
    /// One that answers, with nothing in it.
    pub async fn start() -> Self {
        let folder = temporary_folder("containerd");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {:?}\n[ttrpc]\naddress = {:?}\n",
            path("root"),
            path("state"),
            path("socket"),
            path("ttrpc")
        );
        std::fs::write(folder.path().join("config.toml"), config).expect("the folder is ours");
        let process = Process::start("containerd", "containerd", |command| {
            command.arg("--config").arg(folder.path().join("config.toml"));
        });
        let mut containerd = Self { process, folder };
        until("containerd to answer", Duration::from_secs(60), async || {
            let exit = containerd.process.exit_status();
            assert!(exit.is_none(), "containerd ended ({exit:?}):\n{}", containerd.process.output());
            containerd.ctr(&["version"]).await.code.filter(|code| *code == 0)
        })
        .await;
        containerd
    }

    /// Runs `ctr` with these arguments.
    pub async fn ctr(&self, arguments: &[&str]) -> Output {
        let socket = self.socket().display().to_string();
        run("ctr", [&["--address", &socket], arguments].concat()).await
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// The file of a blob in its store.
    pub fn content_file(&self, blob: &Digest) -> PathBuf {
        self.folder.path().join("root/io.containerd.content.v1.content/blobs/sha256").join(blob.hex())
    }

    /// Has what it pulls go through a `hosts.toml` in this folder, whose mirror is asked first; then the registry itself, over plain HTTP.
    pub fn hosts_toml(folder: &Path, registry: &str, server: &str, mirror: &str) {
        let of_registry = folder.join(registry);
        std::fs::create_dir_all(&of_registry).expect("the folder is ours");
        let toml = format!("server = \"{server}\"\n[host.\"{mirror}\"]\ncapabilities = [\"pull\", \"resolve\"]\n");
        std::fs::write(of_registry.join("hosts.toml"), toml).expect("the folder is ours");
    }

    /// Asks it to stop, and waits until it has.
    pub async fn stop(&mut self) {
        self.process.terminate(Duration::from_secs(10));
    }

    /// `ctr images pull` or `push` of an image, over plain HTTP, as an account. ctr has no login; it is told with each command.
    pub async fn as_account(&self, account: &Account, verb: &str, image: &str) -> Output {
        let user = format!("{}:{}", account.name, account.secret);
        self.ctr(&["images", verb, "--plain-http", "--user", &user, image]).await
    }

    /// Like [`Self::ctr`], for what has to succeed.
    pub async fn ok(&self, arguments: &[&str]) -> String {
        let output = self.ctr(arguments).await;
        assert!(output.code == Some(0), "ctr {arguments:?}: {output}");
        output.stdout
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        self.process.terminate(Duration::from_secs(10));
    }
}
