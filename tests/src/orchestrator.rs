use std::{fs::File, io::Write as _, time::Duration};

use http::Method;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Account, Answer, Client, Clock, Process, Registry, Settings, free_port, longshore, registry::address_after, run, run_ok,
    temporary_folder, until,
};

/// How long anything may take that is waited for.
const LIMIT: Duration = Duration::from_secs(60);

/// A running `longshore orchestrator`: one process, and the folder of its database.
pub struct Orchestrator {
    process: Process,
    url: String,
    settings: Settings,
    config: TempDir,
    environment: Vec<String>,
}

impl Orchestrator {
    /// One with an empty database, for the images of a registry, by these names.
    pub async fn start(registry: &Registry, hosts: &[&str], values: &[(&str, Value)]) -> Self {
        Self::in_environment(registry, hosts, values, Vec::new()).await
    }

    /// The same, which goes by a clock of its own.
    pub async fn by_clock(registry: &Registry, hosts: &[&str], values: &[(&str, Value)], clock: &Clock) -> Self {
        Self::in_environment(registry, hosts, values, clock.environment().into()).await
    }

    async fn in_environment(registry: &Registry, hosts: &[&str], values: &[(&str, Value)], environment: Vec<String>) -> Self {
        let config = temporary_folder("orchestrator");
        let mut settings = Settings::default();
        settings.set("listen.address", format!("127.0.0.1:{}", free_port()));
        settings.set("listen.admin_address", "127.0.0.1:0");
        settings.set("database.file", config.path().join("state/orchestrator.db").display().to_string());
        settings.set("registry.url", registry.url());
        settings.set("registry.hosts", hosts.to_vec());
        settings.extend(values);
        if values.iter().any(|(name, value)| *name == "database.kind" && value == "postgres") {
            // The others must know where it is before it has a port.
            let advertised = format!("http://{}", settings.text("listen.address"));
            settings.set("listen.advertise_url", advertised);
        }
        let process = spawn(&settings, &config, &environment);
        let mut orchestrator = Self { process, url: String::new(), settings, config, environment };
        orchestrator.wait_until_ready().await;
        orchestrator
    }

    async fn wait_until_ready(&mut self) {
        self.url = self.process.printed("where it is", LIMIT, |line| address_after(line, "orchestrator on ")).await;
        let address = self.url.trim_start_matches("http://").to_owned();
        // Where it was first, it is again.
        self.settings.set("listen.address", address);
        let client = Client::new(&self.url);
        until("the orchestrator to lead", LIMIT, async || {
            let exit = self.process.exit_status();
            assert!(exit.is_none(), "the orchestrator ended ({exit:?}):\n{}", self.process.output());
            let answer = Answer::attempt(client.request(Method::GET, "/api/v1/nodes")).await.ok()?;
            // One that asks who calls is up once it does.
            (answer.status.is_success() || answer.status == 401).then_some(())
        })
        .await;
    }

    /// Kills it as a power failure would the process, and starts it again.
    pub async fn crash(&mut self) {
        self.process.kill9();
        self.process = spawn(&self.settings, &self.config, &self.environment);
        self.wait_until_ready().await;
    }

    /// Kills it, and leaves it so.
    pub fn kill(&mut self) {
        self.process.kill9();
    }

    /// Starts one again that was killed, and waits until it answers.
    pub async fn start_again(&mut self) {
        self.process = spawn(&self.settings, &self.config, &self.environment);
        self.wait_until_ready().await;
    }

    /// Has it stand still, as a machine that is suspended, until it is told to go on.
    pub fn pause(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Has it go on.
    pub fn go_on(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Where it is reached.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it has said.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What a node has to know to belong to its fleet.
    pub async fn agent_values(&self, name: &str) -> Vec<(&'static str, Value)> {
        let token = self.command(&["node", "token", "create", "--output", "json"]).await;
        let token: Value = serde_json::from_str(&token).expect("the token is told as JSON");
        let token = token["token"].as_str().expect("there is one").to_owned();
        vec![
            ("agent.orchestrators", vec![self.url.clone()].into()),
            ("agent.token", token.into()),
            ("agent.name", name.into()),
            ("agent.poll_interval", "100ms".into()),
            ("agent.backoff", "1s".into()),
            ("agent.pod_network", false.into()),
        ]
    }

    /// What a command says that asks it.
    pub async fn command(&self, words: &[&str]) -> String {
        run_ok(longshore(), self.words(words)).await
    }

    /// What became of a command that asks it.
    pub async fn try_command(&self, words: &[&str]) -> crate::Output {
        run(longshore(), self.words(words)).await
    }

    /// What became of a command of somebody's who has an account of the registry, shown as programs are given one.
    pub async fn command_as(&self, registry: &Registry, account: &Account, words: &[&str]) -> crate::Output {
        let program = longshore().display().to_string();
        let shown = [
            format!("LONGSHORE_REGISTRY_URL={}", registry.url()),
            format!("LONGSHORE_REGISTRY_USERNAME={}", account.name),
            format!("LONGSHORE_REGISTRY_PASSWORD={}", account.secret),
        ];
        run("env", shown.into_iter().chain([program]).chain(self.words(words))).await
    }

    fn words(&self, words: &[&str]) -> Vec<String> {
        // What follows `--` is the container's.
        let at = words.iter().position(|word| *word == "--").unwrap_or(words.len());
        let own = ["--orchestrator", &self.url];
        words[..at].iter().chain(&own).chain(&words[at..]).map(ToString::to_string).collect()
    }

    /// What it answers, as JSON.
    pub async fn get(&self, path: &str) -> Value {
        let answer = Answer::attempt(Client::new(&self.url).request(Method::GET, path)).await.expect("it answers");
        serde_json::from_slice(&answer.body).expect("it answers JSON")
    }

    /// Its pods, as JSON: a thousand of them at most.
    pub async fn pods(&self) -> Vec<Value> {
        self.get("/api/v1/pods?limit=1000").await["items"].as_array().cloned().unwrap_or_default()
    }

    /// Its pods, as JSON, however many they are.
    pub async fn every_pod(&self) -> Vec<Value> {
        let (mut pods, mut path) = (Vec::new(), "/api/v1/pods?limit=1000".to_owned());
        loop {
            let page = self.get(&path).await;
            pods.extend(page["items"].as_array().cloned().unwrap_or_default());
            let Some(next) = page["next"].as_str() else { return pods };
            path = format!("/api/v1/pods?limit=1000&after={next}");
        }
    }
}

fn spawn(settings: &Settings, config: &TempDir, environment: &[String]) -> Process {
    let path = config.path().join("orchestrator.toml");
    let mut file = File::create(&path).expect("the folder is ours");
    file.write_all(settings.to_toml().as_bytes()).expect("the folder is ours");
    Process::start("orchestrator", longshore(), |command| {
        command.args(["orchestrator", "serve", "--config"]).arg(&path).current_dir(config.path());
        command.envs(environment.iter().filter_map(|pair| pair.split_once('=')));
    })
}
