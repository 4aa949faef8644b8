use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::Arc,
    time::Duration,
};

use http::Method;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Account, Answer, Backend, Bucket, Client, Database, Index, Output, Postgres, Process, S3, Settings, free_port, longshore,
    run, temporary_folder, until,
};

/// A running `longshore`: one process, and what it keeps its data in.
pub struct Registry {
    process: Process,
    url: String,
    admin_url: String,
    is_embedded: bool,
    settings: Settings,
    config: TempDir,
    home: Arc<Home>,
}

/// What outlives the process, and what replicas share.
struct Home {
    folder: TempDir,
    scaled: Option<(Bucket, Database)>,
}

impl Registry {
    /// The password of `admin`, where [`Self::with_accounts`] has started it.
    pub const ADMIN_PASSWORD: &str = "the-password-of-the-tests";
    /// What keys are sealed with, where [`Self::with_accounts`] has started it.
    pub const SEALING_SECRET: &str = "the sealing secret of all the tests";

    /// `longshore registry serve`, on new data in what `backend` says.
    pub async fn start(backend: Backend) -> Self {
        Self::with(backend, &[]).await
    }

    /// Like [`Self::start`], with these values of its configuration.
    pub async fn with(backend: Backend, values: &[(&str, Value)]) -> Self {
        let home = Home::create(backend).await;
        let mut settings = home.settings();
        settings.extend(values);
        Self::launch(Arc::new(home), settings, false).await
    }

    /// Like [`Self::with`], one that asks who calls; [`Self::admin`] may do all, and nobody else anything.
    pub async fn with_accounts(backend: Backend, values: &[(&str, Value)]) -> Self {
        let accounts: [(&str, Value); 3] = [
            ("auth.enabled", true.into()),
            ("auth.admin_password", Self::ADMIN_PASSWORD.into()),
            ("keys.sealing_secret", Self::SEALING_SECRET.into()),
        ];
        Self::with(backend, &[&accounts, values].concat()).await
    }

    /// On a bucket and a database, reached through wires where an address is given.
    pub async fn through(s3: Option<&str>, postgres: Option<&str>, values: &[(&str, Value)]) -> Self {
        let home = Home::create(Backend::Bucket).await;
        let mut settings = home.settings();
        let (_, database) = home.scaled.as_ref().expect("a bucket and a database were asked for");
        if let Some(address) = s3 {
            settings.set("storage.endpoint", format!("http://{address}"));
        }
        if let Some(address) = postgres {
            settings.set("database.url", database.url_at(address));
        }
        settings.extend(values);
        Self::launch(Arc::new(home), settings, false).await
    }

    /// `longshore up --no-node`, on a new data folder: a test that is about nodes has its own.
    pub async fn embedded() -> Self {
        let home = Home::create(Backend::Folder).await;
        let settings = home.settings();
        Self::launch(Arc::new(home), settings, true).await
    }

    /// One more process on the same data.
    pub async fn replica(&self) -> Self {
        let mut settings = self.settings.clone();
        settings.extend(&[
            ("listen.address", format!("127.0.0.1:{}", free_port()).into()),
            ("listen.admin_address", "127.0.0.1:0".into()),
        ]);
        Self::launch(Arc::clone(&self.home), settings, self.is_embedded).await
    }

    async fn launch(home: Arc<Home>, settings: Settings, is_embedded: bool) -> Self {
        let config = temporary_folder("config");
        let process = spawn(&home, &settings, config.path(), is_embedded);
        let mut registry = Self { process, url: String::new(), admin_url: String::new(), is_embedded, settings, config, home };
        registry.wait_until_ready().await;
        registry
    }

    async fn wait_until_ready(&mut self) {
        let limit = Duration::from_secs(60);
        self.url = self.process.printed("where the registry is", limit, |line| address_after(line, "registry on ")).await;
        self.admin_url =
            self.process.printed("where the admin listener is", limit, |line| address_after(line, "admin on ")).await;
        let admin = Client::new(&self.admin_url);
        until("the registry to be ready", limit, async || {
            let exit = self.process.exit_status();
            assert!(exit.is_none(), "the registry ended ({exit:?}):\n{}", self.process.output());
            let answer = Answer::attempt(admin.request(Method::GET, "/readyz")).await.ok()?;
            answer.status.is_success().then_some(())
        })
        .await;
    }

    /// Starts it again on the same data and at the same addresses.
    pub async fn restart(&mut self) {
        self.start_again(&[]).await;
    }

    /// Starts it again on the same data and at the same addresses, with these values changed.
    pub async fn restart_with(&mut self, values: &[(&str, Value)]) {
        self.start_again(values).await;
    }

    async fn start_again(&mut self, values: &[(&str, Value)]) {
        self.process.kill9();
        self.settings.set("listen.address", authority(&self.url));
        self.settings.set("listen.admin_address", authority(&self.admin_url));
        self.settings.extend(values);
        self.process = spawn(&self.home, &self.settings, self.config.path(), self.is_embedded);
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

    /// `longshore registry reindex`, on its data. It must not run.
    pub async fn reindex(&self) -> Output {
        let config = self.config.path().join("registry.toml");
        std::fs::write(&config, self.settings.to_toml()).expect("the folder is ours");
        run(longshore(), ["registry".as_ref(), "reindex".as_ref(), "--config".as_ref(), config.as_os_str()]).await
    }

    /// Where it answers, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its host and port, as a client's image name begins.
    pub fn authority(&self) -> &str {
        authority(&self.url)
    }

    /// Where `/readyz` and `/metrics` are.
    pub fn admin_url(&self) -> &str {
        &self.admin_url
    }

    /// A caller of its API.
    pub fn client(&self) -> Client {
        Client::new(&self.url)
    }

    /// A caller of its API who may do all.
    pub fn admin(&self) -> Client {
        self.client().as_basic("admin", Self::ADMIN_PASSWORD)
    }

    /// A caller of its API with an account.
    pub fn as_account(&self, account: &Account) -> Client {
        self.client().as_basic(&account.name, &account.secret)
    }

    /// What became of a command of an account's, which asks it.
    pub async fn command_as(&self, account: &Account, words: &[&str]) -> Output {
        let program = longshore().display().to_string();
        let shown = [
            format!("LONGSHORE_REGISTRY_URL={}", self.url),
            format!("LONGSHORE_REGISTRY_USERNAME={}", account.name),
            format!("LONGSHORE_REGISTRY_PASSWORD={}", account.secret),
        ];
        run("env", shown.into_iter().chain([program]).chain(words.iter().map(ToString::to_string))).await
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Its database.
    pub fn index(&self) -> Index {
        match &self.home.scaled {
            Some((_, database)) => Index::Postgres(database.clone()),
            None => Index::Sqlite(self.home.folder.path().join("registry.db")),
        }
    }

    /// The file that holds an object's bytes, in either store.
    pub fn object_file(&self, key: &str) -> PathBuf {
        self.object_folder().join(key)
    }

    /// The keys of all objects, unfinished ones and temporary files too, and their sizes in bytes.
    pub fn objects(&self) -> BTreeMap<String, u64> {
        let mut found = BTreeMap::new();
        let folder = self.object_folder();
        collect_files(&folder, &folder, &mut found);
        // How one process keeps others out; no object.
        found.remove("lock");
        found
    }

    fn object_folder(&self) -> PathBuf {
        match &self.home.scaled {
            Some((bucket, _)) => bucket.folder().into(),
            None => self.home.folder.path().join("objects"),
        }
    }

    /// The value of a metric, all its labels' rows together; `row` has to be in a row's name and labels.
    pub async fn metric(&self, row: &str) -> f64 {
        let answer = Client::new(&self.admin_url).get("/metrics").await.expect(200);
        let text = String::from_utf8_lossy(&answer.body);
        let rows = text.lines().filter(|line| !line.starts_with('#') && line.contains(row));
        rows.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }
}

impl Home {
    async fn create(backend: Backend) -> Self {
        let scaled = match backend {
            Backend::Folder => None,
            Backend::Bucket => Some((S3::shared().await.create_bucket(), Postgres::shared().await.create_database().await)),
        };
        Self { folder: temporary_folder("data"), scaled }
    }

    fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.extend(&[
            ("listen.address", format!("127.0.0.1:{}", free_port()).into()),
            ("listen.admin_address", "127.0.0.1:0".into()),
        ]);
        if let Some((bucket, database)) = &self.scaled {
            settings.extend(&[
                ("storage.kind", "s3".into()),
                ("storage.bucket", bucket.name.as_str().into()),
                ("storage.endpoint", format!("http://{}", bucket.address()).into()),
                ("storage.access_key_id", S3::ACCESS_KEY_ID.into()),
                ("storage.secret_access_key", S3::SECRET_ACCESS_KEY.into()),
                ("database.kind", "postgres".into()),
                ("database.url", database.url_at(&database.address()).into()),
            ]);
        } else {
            let path = |name: &str| Value::from(self.folder.path().join(name).to_str().expect("our folders' names are ASCII"));
            settings.extend(&[
                ("storage.kind", "folder".into()),
                ("storage.folder", path("objects")),
                ("database.kind", "sqlite".into()),
                ("database.file", path("registry.db")),
            ]);
        }
        settings
    }
}

fn spawn(home: &Home, settings: &Settings, config_folder: &Path, is_embedded: bool) -> Process {
    let config = config_folder.join("registry.toml");
    std::fs::write(&config, settings.to_toml()).expect("the folder is ours");
    Process::start("longshore", longshore(), |command| {
        command.current_dir(config_folder);
        if is_embedded {
            let listen = settings.text("listen.address");
            let admin = settings.text("listen.admin_address");
            command.args(["up", "--no-node", "--data"]).arg(home.folder.path());
            command.args(["--listen", listen, "--admin-listen", admin]);
        } else {
            command.args(["registry", "serve", "--config"]).arg(&config);
        }
    })
}

/// The URL that follows `words` in a line of the start-up banner.
pub(crate) fn address_after(line: &str, words: &str) -> Option<String> {
    let rest = &line[line.find(words)? + words.len()..];
    let end = rest.find(|character: char| character == ',' || character.is_whitespace()).unwrap_or(rest.len());
    rest[..end].starts_with("http").then(|| rest[..end].to_owned())
}

pub(crate) fn authority(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, authority)| authority)
}

fn collect_files(root: &Path, folder: &Path, found: &mut BTreeMap<String, u64>) {
    // A folder or file may be gone before it is looked at: the registry is at work.
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => collect_files(root, &path, found),
            Ok(metadata) => {
                let key = path.strip_prefix(root).expect("it was found below the root");
                found.insert(key.to_string_lossy().into_owned(), metadata.len());
            }
            Err(_) => {}
        }
    }
}
