use std::{fs::File, os::unix::fs::FileExt as _, path::PathBuf, time::Duration};

use http::Method;
use longshore_oci::Digest;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::{Clock, Machine, usage::Usage};
use crate::{Account, Answer, Client, EdgeUpstream, Process, Registry, Settings, longshore, temporary_folder, until};

/// How long anything may take that is waited for: with a whole fleet on two processors a start takes its time.
const LIMIT: Duration = Duration::from_secs(120);

/// A daemon of Longshore on a machine of the lab: the registry, or a node.
pub struct LabDaemon {
    /// Its machine.
    pub machine: Machine,
    process: Process,
    home: Home,
}

/// What outlives the process.
struct Home {
    /// `registry` or `node`.
    daemon: &'static str,
    /// Where it answers.
    url: String,
    configuration: String,
    config: TempDir,
    data: TempDir,
    clock: Option<Clock>,
}

impl LabDaemon {
    /// Where every daemon of the lab has its admin listener, on its own machine.
    const ADMIN: &str = "127.0.0.1:5001";

    /// `longshore registry serve`, on a new folder and SQLite; one that asks who calls, or anybody may pull from and push to.
    pub(super) async fn registry(machine: Machine, has_accounts: bool) -> Self {
        let data = temporary_folder("lab-registry");
        let path = |name: &str| Value::from(data.path().join(name).to_str().expect("our folders' names are ASCII"));
        let address = format!("{}:5000", machine.ip());
        let mut settings = Settings::default();
        settings.extend(&[
            ("listen.address", address.as_str().into()),
            ("listen.admin_address", Self::ADMIN.into()),
            ("listen.allow_plain_http", true.into()),
            ("listen.allow_unauthenticated", (!has_accounts).into()),
            ("auth.enabled", has_accounts.into()),
            ("auth.admin_password", Registry::ADMIN_PASSWORD.into()),
            ("keys.sealing_secret", Registry::SEALING_SECRET.into()),
            ("storage.kind", "folder".into()),
            ("storage.folder", path("objects")),
            ("database.kind", "sqlite".into()),
            ("database.file", path("registry.db")),
        ]);
        Self::launch(machine, "registry", &address, settings.to_toml(), data, None).await
    }

    /// `longshore node serve`, with an empty cache, its mirror on loopback.
    pub(super) async fn node(machine: Machine, upstream: &EdgeUpstream, values: &[(&str, Value)], clock: Option<Clock>) -> Self {
        let address = "127.0.0.1:5200";
        let data = temporary_folder("lab-node");
        let mut settings = Settings::default();
        settings.extend(&[
            ("listen.address", address.into()),
            ("listen.admin_address", Self::ADMIN.into()),
            ("cache.folder", data.path().to_str().expect("our folders' names are ASCII").into()),
        ]);
        settings.extend(values);
        Self::launch(machine, "node", address, settings.to_toml() + &upstream.to_toml(), data, clock).await
    }

    async fn launch(
        machine: Machine,
        daemon: &'static str,
        address: &str,
        configuration: String,
        data: TempDir,
        clock: Option<Clock>,
    ) -> Self {
        let (url, config) = (format!("http://{address}"), temporary_folder("lab-config"));
        let home = Home { daemon, url, configuration, config, data, clock };
        let process = home.spawn(&machine);
        let mut daemon = Self { machine, process, home };
        daemon.wait_until_ready().await;
        daemon
    }

    async fn wait_until_ready(&mut self) {
        until(&format!("the lab's {} to be ready", self.home.daemon), LIMIT, async || {
            let exit = self.process.exit_status();
            assert!(exit.is_none(), "the lab's {} ended ({exit:?}):\n{}", self.home.daemon, self.process.output());
            let answer = self.admin(Method::GET, "/readyz").await?;
            answer.status.is_success().then_some(())
        })
        .await;
    }

    /// Starts it again, when it has ended, on the same data and at the same addresses.
    pub async fn start_again(&mut self) {
        self.process = self.home.spawn(&self.machine);
        self.wait_until_ready().await;
    }

    /// Ends it as an operator does, which writes all down.
    pub async fn stop(&mut self) {
        self.process.signal(Signal::TERM);
        let exit = self.process.ended(LIMIT).await;
        assert!(exit.success(), "the lab's {} ended with {exit}:\n{}", self.home.daemon, self.process.output());
    }

    /// Kills it with no chance to tidy up.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Where it answers, on its own machine.
    pub fn url(&self) -> String {
        self.home.url.clone()
    }

    /// A caller of it, to be used on a machine that reaches it.
    pub fn client(&self) -> Client {
        Client::new(&self.home.url)
    }

    /// GETs something of it, on its own machine.
    pub async fn get(&self, path: &str) -> Answer {
        let (client, path) = (self.client(), path.to_owned());
        self.machine.inside(async move { client.get(&path).await }).await
    }

    /// How far its wall clock is ahead of the machine's, in seconds, by the `Date` of its answers.
    pub async fn seconds_ahead(&self) -> i64 {
        let answer = self.get("/v2/").await;
        let date = jiff::fmt::rfc2822::parse(answer.required("date")).expect("a date is one");
        date.timestamp().as_second() - jiff::Timestamp::now().as_second()
    }

    /// Its wall clock, where it has one of its own.
    pub fn clock(&self) -> &Clock {
        self.home.clock.as_ref().expect("the lab was planned with clocks")
    }

    /// The value of a metric, all its labels' rows together; `row` has to be in a row's name and labels. 0 where the daemon is gone.
    pub async fn metric(&self, row: &str) -> f64 {
        let Some(answer) = self.admin(Method::GET, "/metrics").await else { return 0.0 };
        let text = String::from_utf8_lossy(&answer.expect(200).body).into_owned();
        let rows = text.lines().filter(|line| !line.starts_with('#') && line.contains(row));
        rows.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// Waits until a metric is as large.
    pub async fn reaches(&self, row: &str, least: f64) {
        until(&format!("{row} to reach {least}"), LIMIT, async || (self.metric(row).await >= least).then_some(())).await;
    }

    async fn admin(&self, method: Method, path: &str) -> Option<Answer> {
        let request = Client::new(&format!("http://{}", Self::ADMIN)).request(method, path);
        self.machine.inside(async move { Answer::attempt(request).await.ok() }).await
    }

    /// What its process has used up to now.
    pub fn usage(&self) -> Usage {
        Usage::of(self.process.pid())
    }

    /// The file of a blob's pieces in a node's cache.
    pub fn blob_file(&self, blob: &Digest) -> PathBuf {
        let (algorithm, hex) = blob.as_str().split_once(':').expect("a digest names its algorithm");
        self.home.data.path().join("blobs").join(algorithm).join(&hex[..2]).join(hex)
    }

    /// One wrong bit in each piece of a blob that a node keeps.
    pub fn flip_pieces(&self, blob: &Digest, size_bytes: u64) {
        let file = File::options().read(true).write(true).open(self.blob_file(blob)).expect("the blob is kept");
        for place in (0..size_bytes).step_by(1 << 20) {
            let mut byte = [0];
            file.read_exact_at(&mut byte, place).expect("it is as long");
            file.write_all_at(&[byte[0] ^ 1], place).expect("the file is ours");
        }
    }

    /// An account of the registry that may pull everything.
    pub(super) async fn create_reader(&self) -> Account {
        let admin = self.client().as_basic("admin", Registry::ADMIN_PASSWORD);
        self.machine.inside(async move { admin.create_robot("nodes", &[("pull", "team/*"), ("push", "team/*")]).await }).await
    }
}

impl Home {
    fn spawn(&self, machine: &Machine) -> Process {
        let config = self.config.path().join("longshore.toml");
        std::fs::write(&config, &self.configuration).expect("the folder is ours");
        machine.namespace.start(&format!("lab-{}", self.daemon), "env", |command| {
            command.args(self.clock.iter().flat_map(Clock::environment)).arg(longshore());
            command.current_dir(self.config.path()).args([self.daemon, "serve", "--config"]).arg(&config);
        })
    }
}
