use std::{
    fs::File,
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use http::Method;
use longshore_oci::Digest;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Answer, Client, EdgeUpstream, Output, Process, Settings, free_port, longshore,
    registry::{address_after, authority},
    run, run_ok, temporary_folder, until,
};

/// A running `longshore edge`, or `longshore node`, which is one too: one process, and the folder of its cache.
pub struct Edge {
    process: Process,
    url: String,
    admin_url: String,
    home: Home,
}

/// What outlives the process.
struct Home {
    /// Which daemon it is: `edge` or `node`.
    daemon: &'static str,
    settings: Settings,
    upstreams: Vec<EdgeUpstream>,
    config: TempDir,
    data: TempDir,
    disk: Disk,
    /// A file that it has in place of `/etc/hosts`.
    hosts: Option<PathBuf>,
    environment: Vec<(String, PathBuf)>,
}

/// What the cache lies on.
#[derive(Clone, Copy)]
enum Disk {
    /// The machine's.
    Large,
    /// One in memory of so many MiB, which this process alone sees, and which is gone with it.
    Small(u64),
}

/// The metrics that tests look at. Each may have several rows.
impl Edge {
    /// Pieces, blobs and manifests of an upstream that were not what their hash or digest says.
    pub const WRONG: &str = "longshore_edge_wrong_total";
    /// Pieces that were right once and are not any more.
    pub const DAMAGED: &str = "longshore_edge_damaged_total";
    /// What was passed on and not kept, for want of room.
    pub const NOT_KEPT: &str = "longshore_edge_not_kept_total";
    /// Blobs that went to make room.
    pub const EVICTED: &str = "longshore_edge_evicted_total";
    /// Tags that were served though the upstream could not be asked.
    pub const STALE: &str = "longshore_edge_stale_total";
    /// Whatever an upstream has done otherwise than it should: refused for reasons of its own, broken off, not been there, sent what is
    /// wrong or makes no sense.
    pub const FAULTS: &[&str] = &[
        "longshore_edge_upstream_requests_total{",
        "longshore_edge_upstream_retries_total",
        "longshore_edge_upstream_broken_total",
        Self::WRONG,
    ];
}

impl Edge {
    /// How long anything may take that is waited for.
    const LIMIT: Duration = Duration::from_secs(60);

    /// `longshore edge serve`, with an empty cache of these upstreams; the first is the default.
    pub async fn start(upstreams: &[EdgeUpstream]) -> Self {
        Self::with(upstreams, &[]).await
    }

    /// Like [`Self::start`], with these values of its configuration.
    pub async fn with(upstreams: &[EdgeUpstream], values: &[(&str, Value)]) -> Self {
        Self::launch(Home::create(upstreams, values, Disk::Large)).await
    }

    /// `longshore node serve`, with an empty cache of these upstreams, and these values of its configuration.
    pub async fn node(upstreams: &[EdgeUpstream], values: &[(&str, Value)]) -> Self {
        Self::launch(Home { daemon: "node", ..Home::create(upstreams, values, Disk::Large) }).await
    }

    /// Like [`Self::with`], on a disk of so many MiB of its own.
    pub async fn on_a_small_disk(upstreams: &[EdgeUpstream], disk_mib: u64, values: &[(&str, Value)]) -> Self {
        Self::launch(Home::create(upstreams, values, Disk::Small(disk_mib))).await
    }

    /// Like [`Self::with`], with names of its own: `hosts` is a file as `/etc/hosts` is, and what is written into it later holds, too.
    pub async fn with_names(upstreams: &[EdgeUpstream], hosts: &Path, values: &[(&str, Value)]) -> Self {
        let mut home = Home::create(upstreams, values, Disk::Large);
        home.hosts = Some(hosts.to_owned());
        Self::launch(home).await
    }

    /// Like [`Self::start`], with paths in its environment.
    pub async fn in_environment(upstreams: &[EdgeUpstream], environment: &[(&str, &Path)]) -> Self {
        let mut home = Home::create(upstreams, &[], Disk::Large);
        home.environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self::launch(home).await
    }

    /// `longshore edge serve` as for a first try: with flags, and no file.
    pub async fn by_flags(upstream_url: &str) -> Self {
        let home = Home::create(&[], &[], Disk::Large);
        let process = Process::start("edge", longshore(), |command| {
            command.args(["edge", "serve", "--listen", "127.0.0.1:0", "--upstream", upstream_url, "--data"]);
            command.arg(home.data.path()).current_dir(home.config.path());
            // What flags do not say, the environment may: two tests at once would want the same port.
            command.env("LONGSHORE_EDGE__LISTEN__ADMIN_ADDRESS", "127.0.0.1:0");
        });
        Self::ready(process, home).await
    }

    async fn launch(home: Home) -> Self {
        Self::ready(home.spawn(), home).await
    }

    async fn ready(process: Process, home: Home) -> Self {
        let mut edge = Self { process, url: String::new(), admin_url: String::new(), home };
        edge.wait_until_ready().await;
        edge
    }

    async fn wait_until_ready(&mut self) {
        let daemon = self.home.daemon;
        self.url = self.process.printed("where it is", Self::LIMIT, |line| address_after(line, &format!("{daemon} on "))).await;
        self.admin_url =
            self.process.printed("where the admin listener is", Self::LIMIT, |line| address_after(line, "admin on ")).await;
        let admin = Client::new(&self.admin_url);
        until("the edge to be ready", Self::LIMIT, async || {
            let exit = self.process.exit_status();
            assert!(exit.is_none(), "the edge ended ({exit:?}):\n{}", self.process.output());
            let answer = Answer::attempt(admin.request(Method::GET, "/readyz")).await.ok()?;
            answer.status.is_success().then_some(())
        })
        .await;
    }

    /// Kills it, and starts it again on the same cache and at the same addresses.
    pub async fn restart(&mut self) {
        self.restart_with(&[]).await;
    }

    /// Like [`Self::restart`], with these values changed.
    pub async fn restart_with(&mut self, values: &[(&str, Value)]) {
        self.kill9();
        self.start_again(values).await;
    }

    /// Ends it as an operator does, which writes all down, and starts it again on the same cache and at the same addresses.
    pub async fn restart_gently(&mut self) {
        self.sigterm();
        let exit = self.ended(Self::LIMIT).await;
        assert!(exit.success(), "the edge ended with {exit}:\n{}", self.log());
        self.start_again(&[]).await;
    }

    async fn start_again(&mut self, values: &[(&str, Value)]) {
        self.home.settings.set("listen.address", authority(&self.url));
        self.home.settings.set("listen.admin_address", authority(&self.admin_url));
        self.home.settings.extend(values);
        self.process = self.home.spawn();
        self.wait_until_ready().await;
    }

    /// Kills it with no chance to tidy up.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Asks it to stop.
    pub fn sigterm(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Waits until it has stopped.
    pub async fn ended(&mut self, limit: Duration) -> ExitStatus {
        self.process.ended(limit).await
    }

    /// Where it answers, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its host and port, as a client's image name begins.
    pub fn authority(&self) -> &str {
        authority(&self.url)
    }

    /// A caller of it.
    pub fn client(&self) -> Client {
        Client::new(&self.url)
    }

    /// A caller of its admin listener.
    pub fn admin(&self) -> Client {
        Client::new(&self.admin_url)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has logged since it was last started.
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Waits until one line of its log has all of these words.
    pub async fn logs(&self, words: &[&str]) {
        until(&format!("a line of the log with {words:?}"), Self::LIMIT, async || {
            let log = self.log();
            log.lines().any(|line| words.iter().all(|word| line.contains(word))).then_some(())
        })
        .await;
    }

    /// The value of a metric, all its labels' rows together; `row` has to be in a row's name and labels.
    pub async fn metric(&self, row: &str) -> f64 {
        let answer = self.admin().get("/metrics").await.expect(200);
        let text = String::from_utf8_lossy(&answer.body);
        let rows = text.lines().filter(|line| !line.starts_with('#') && line.contains(row));
        rows.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// How often an upstream has done otherwise than it should.
    pub async fn faults(&self) -> f64 {
        let answer = self.admin().get("/metrics").await.expect(200);
        let text = String::from_utf8_lossy(&answer.body);
        let is_fault = |line: &&str| {
            let is_well = ["2xx", "3xx", "304", "4xx"].iter().any(|outcome| line.contains(&format!("outcome=\"{outcome}\"")));
            !is_well && Self::FAULTS.iter().any(|name| line.starts_with(name))
        };
        text.lines().filter(is_fault).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// Waits until an upstream has done otherwise than it should more often than this.
    pub async fn counts_faults(&self, before: f64) {
        let what = format!("the metrics to tell of more faults than {before}");
        until(&what, Self::LIMIT, async || (self.faults().await > before).then_some(())).await;
    }

    /// Waits until a metric has grown.
    pub async fn counts(&self, row: &str, before: f64) {
        until(&format!("{row} to grow from {before}"), Self::LIMIT, async || (self.metric(row).await > before).then_some(()))
            .await;
    }

    /// Runs `longshore edge VERB --at` it, or `longshore node VERB`.
    pub async fn command(&self, verb: &str, arguments: &[&str]) -> Output {
        run(longshore(), [&[self.home.daemon, verb, "--at", &self.url], arguments].concat()).await
    }

    /// What the same with `--output json` prints; it has to succeed.
    pub async fn json(&self, verb: &str, arguments: &[&str]) -> Value {
        let printed =
            run_ok(longshore(), [&[self.home.daemon, verb, "--at", &self.url, "--output", "json"], arguments].concat()).await;
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error} in {printed}"))
    }

    /// The folder of its cache.
    pub fn folder(&self) -> &Path {
        self.home.data.path()
    }

    /// The file of a blob's pieces. It must lie on the machine's disk.
    pub fn blob_file(&self, blob: &Digest) -> PathBuf {
        let (algorithm, hex) = blob.as_str().split_once(':').expect("a digest names its algorithm");
        self.home.data.path().join("blobs").join(algorithm).join(&hex[..2]).join(hex)
    }

    /// Fills its small disk up with what is not its own, until nothing more can be written; that is gone with the disk.
    pub fn fill_disk(&self) {
        assert!(matches!(self.home.disk, Disk::Small(_)), "the machine's own disk is nobody's to fill");
        // Where the process sees its folder, and nobody else does.
        let path = format!("/proc/{}/root{}/ballast", self.pid(), self.folder().display());
        let mut ballast = File::create(path).expect("the disk is mounted");
        while ballast.write_all(&[0; 4096]).is_ok() {}
    }

    /// How much of the disk blobs take, whole and on their way, in bytes: holes take none.
    pub fn disk_bytes(&self) -> u64 {
        ["blobs", "incoming"].iter().map(|folder| allocated_bytes(&self.home.data.path().join(folder))).sum()
    }
}

impl Home {
    fn create(upstreams: &[EdgeUpstream], values: &[(&str, Value)], disk: Disk) -> Self {
        let data = temporary_folder("edge");
        let folder = data.path().to_str().expect("our folders' names are ASCII");
        let mut settings = Settings::default();
        settings.extend(&[
            ("listen.address", format!("127.0.0.1:{}", free_port()).into()),
            ("listen.admin_address", "127.0.0.1:0".into()),
            ("cache.folder", folder.into()),
        ]);
        settings.extend(values);
        let (upstreams, config) = (upstreams.to_vec(), temporary_folder("config"));
        Self { daemon: "edge", settings, upstreams, config, data, disk, hosts: None, environment: Vec::new() }
    }

    /// What is mounted for it alone, as commands of a shell.
    fn mounts(&self) -> Vec<String> {
        let disk = match self.disk {
            Disk::Large => None,
            Disk::Small(mib) => Some(format!("mount -t tmpfs -o size={mib}m tmpfs '{}'", self.data.path().display())),
        };
        let names = self.hosts.as_ref().map(|hosts| format!("mount --bind '{}' /etc/hosts", hosts.display()));
        disk.into_iter().chain(names).collect()
    }

    fn spawn(&self) -> Process {
        let config = self.config.path().join("edge.toml");
        let upstreams: String = self.upstreams.iter().map(EdgeUpstream::to_toml).collect();
        std::fs::write(&config, self.settings.to_toml() + &upstreams).expect("the folder is ours");
        let mounts = self.mounts();
        let program: &Path = if mounts.is_empty() { longshore() } else { "unshare".as_ref() };
        Process::start(self.daemon, program, |command| {
            if !mounts.is_empty() {
                let script = format!("{} && exec \"$@\"", mounts.join(" && "));
                command.args(["--mount", "sh", "-c", &script, "sh"]).arg(longshore());
            }
            command.current_dir(self.config.path()).args([self.daemon, "serve", "--config"]).arg(&config);
            command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        })
    }
}

fn allocated_bytes(folder: &Path) -> u64 {
    // A folder or file may be gone before it is looked at: the edge is at work.
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => allocated_bytes(&entry.path()),
        // In blocks of 512 bytes, whatever the file system's are.
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    });
    bytes.sum()
}
