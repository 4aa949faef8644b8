use std::time::Duration;

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
        let socket = self.folder.path().join("socket").display().to_string();
        run("ctr", [&["--address", &socket], arguments].concat()).await
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
