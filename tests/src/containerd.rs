use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use longshore_oci::Digest;
use serde_json::json;

use tempfile::TempDir;

use crate::{Account, Namespace, Output, Process, go_program, run, temporary_folder, until};

/// A containerd of one test, apart from any other.
pub struct Containerd {
    process: Process,
    folder: TempDir,
    /// The words that a command begins with to be run where it is.
    entrance: Vec<String>,
    /// Where it has pods, which would outlive it: what asks for them.
    crictl: Option<PathBuf>,
}

/// What its configuration says where it is not asked over CRI.
const WITHOUT_CRI: &str = "disabled_plugins = [\"io.containerd.grpc.v1.cri\"]";

impl Containerd {
    /// The name of the namespace in which Kubernetes has what is its own.
    pub const KUBERNETES: &str = "k8s.io";

    /// One that answers, with nothing in it.
    pub async fn start() -> Self {
        Self::of(temporary_folder("containerd"), Vec::new(), WITHOUT_CRI, "").await
    }

    /// Like [`Self::start`], in a network of its own: what it pulls comes from there.
    pub async fn within(namespace: &Namespace) -> Self {
        Self::of(temporary_folder("containerd"), namespace.entrance(), WITHOUT_CRI, "").await
    }

    /// One that Kubernetes could run pods with, over CRI: each is made of this image.
    pub async fn with_cri(sandbox_image: &str) -> Self {
        // Its pods have the network of the machine: there is none to be made for them.
        Self::with_cri_of(sandbox_image, temporary_folder("containerd"), "cni").await
    }

    /// The same, with a network for pods that want one: each has an address that the machine reaches.
    pub async fn with_pod_network(sandbox_image: &str) -> Self {
        static COUNT: AtomicU8 = AtomicU8::new(0);
        let folder = temporary_folder("containerd");
        let (conf, data) = (folder.path().join("cni"), folder.path().join("addresses"));
        std::fs::create_dir(&conf).expect("the folder is ours");
        // Of those for private use, as unlikely a part as another.
        let (process, count) = (std::process::id() % 200, COUNT.fetch_add(1, Ordering::Relaxed));
        let subnet = format!("10.{}.{count}.0/24", 50 + process);
        let ipam = json!({"type": "host-local", "dataDir": data, "ranges": [[{"subnet": subnet}]]});
        let network = json!({"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "ptp", "ipam": ipam}]});
        std::fs::write(conf.join("pods.conflist"), network.to_string()).expect("the folder is ours");
        Self::with_cri_of(sandbox_image, folder, "/usr/lib/cni").await
    }

    async fn with_cri_of(sandbox_image: &str, folder: TempDir, programs: &str) -> Self {
        let cri = "plugins.\"io.containerd.grpc.v1.cri\"";
        let (programs, cni) = (folder.path().join(programs), folder.path().join("cni"));
        let plugin = format!(
            "[{cri}]\nsandbox_image = {sandbox_image:?}\nstream_server_port = \"0\"\nrestrict_oom_score_adj = true\n\
             [{cri}.cni]\nbin_dir = {programs:?}\nconf_dir = {cni:?}\n\
             [{cri}.containerd.runtimes.runc]\nruntime_type = \"io.containerd.runc.v2\"\n"
        );
        let mut containerd = Self::of(folder, Vec::new(), "", &plugin).await;
        containerd.crictl = Some(go_program("crictl"));
        containerd
    }

    async fn of(folder: TempDir, entrance: Vec<String>, first: &str, last: &str) -> Self {
        let path = |name: &str| folder.path().join(name).display().to_string();
        // It sweeps once something was removed, and not after its start, when a test may have put in what it has yet to label.
        let sweep = "[plugins.\"io.containerd.gc.v1.scheduler\"]\nstartup_delay = \"24h\"\ndeletion_threshold = 1";
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\n{first}\n[grpc]\naddress = {:?}\n[ttrpc]\naddress = {:?}\n{sweep}\n{last}",
            path("root"),
            path("state"),
            path("socket"),
            path("ttrpc")
        );
        std::fs::write(folder.path().join("config.toml"), config).expect("the folder is ours");
        let process = Self::spawn(folder.path(), &entrance);
        let mut containerd = Self { process, folder, entrance, crictl: None };
        containerd.wait_until_it_answers().await;
        containerd
    }

    fn spawn(folder: &Path, entrance: &[String]) -> Process {
        let words = [entrance, &["containerd".to_owned()]].concat();
        Process::start("containerd", &words[0], |command| {
            command.args(&words[1..]).arg("--config").arg(folder.join("config.toml"));
        })
    }

    async fn wait_until_it_answers(&mut self) {
        until("containerd to answer", Duration::from_secs(60), async || {
            let exit = self.process.exit_status();
            assert!(exit.is_none(), "containerd ended ({exit:?}):\n{}", self.process.output());
            self.ctr(&["version"]).await.code.filter(|code| *code == 0)
        })
        .await;
    }

    /// Stops it, and starts it again, as after a change of its configuration. What its containers run goes on meanwhile.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.process = Self::spawn(self.folder.path(), &self.entrance);
        self.wait_until_it_answers().await;
    }

    /// Runs `ctr` with these arguments.
    pub async fn ctr(&self, arguments: &[&str]) -> Output {
        let (socket, runc) = (self.socket().display().to_string(), self.folder.path().join("runc").display().to_string());
        let entrance: Vec<&str> = self.entrance.iter().map(String::as_str).collect();
        let mut words = [&entrance[..], &["ctr", "--address", &socket], arguments].concat();
        if arguments.first() == Some(&"run") {
            // runc would keep all of a machine's containers in one folder, by their names, whichever containerd they are of.
            let after = words.len() - arguments.len() + 1;
            words.splice(after..after, ["--runc-root", &runc]);
        }
        run(words[0], &words[1..]).await
    }

    /// Runs `crictl` with these arguments, which asks over CRI as a kubelet does; it has to succeed. What it has printed.
    pub async fn crictl(&self, arguments: &[&str]) -> String {
        let output = run(self.crictl.as_ref().expect("it was started with CRI"), self.over_cri(arguments)).await;
        assert!(output.code == Some(0), "crictl {arguments:?}: {output}\n{}", self.process.output());
        output.stdout.trim().to_owned()
    }

    /// The words of `crictl` that ask this one.
    fn over_cri(&self, arguments: &[&str]) -> Vec<String> {
        let (at, config) = (format!("unix://{}", self.socket().display()), self.folder.path().join("crictl.yaml"));
        let config = config.to_str().expect("our folders' names are ASCII");
        std::fs::write(config, "").expect("the folder is ours");
        let known = ["--config", config, "--runtime-endpoint", &at, "--image-endpoint", &at, "--timeout", "60s"];
        [&known, arguments].concat().into_iter().map(str::to_owned).collect()
    }

    /// The file of its configuration, which counts from its start on.
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// The file of a blob in its store.
    pub fn content_file(&self, blob: &Digest) -> PathBuf {
        self.folder.path().join("root/io.containerd.content.v1.content/blobs/sha256").join(blob.hex())
    }

    /// Removes these from its store, with their files: what is there it would not fetch again.
    pub async fn remove_content(&self, all: &[Digest]) {
        for digest in all {
            self.ok(&["content", "rm", digest.as_str()]).await;
        }
        let is_gone = || all.iter().all(|digest| !self.content_file(digest).exists());
        until("containerd to sweep", Duration::from_secs(60), async || is_gone().then_some(())).await;
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
        if let Some(crictl) = &self.crictl {
            // A test that failed leaves them; what can't be removed now is nobody's.
            let _ = Command::new(crictl).args(self.over_cri(&["rmp", "--all", "--force"])).output();
        }
        self.process.terminate(Duration::from_secs(10));
    }
}
