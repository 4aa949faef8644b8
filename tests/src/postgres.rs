use std::{
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use rustix::process::Signal;
use sqlx::{Connection, Executor, PgConnection, postgres::PgConnectOptions};
use tokio::sync::OnceCell;

use crate::{Process, free_port, run_folder, run_ok, until};

/// A PostgreSQL cluster of this test process: private, on loopback, durable as by default.
pub struct Postgres {
    port: u16,
    process: Process,
    folder: PathBuf,
}

/// A database of one test.
#[derive(Clone, Debug)]
pub struct Database {
    port: u16,
    name: String,
}

impl Postgres {
    /// The cluster, started by whoever asks first.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// A cluster of one test, which that may do anything to.
    pub async fn own() -> Self {
        Self::start().await
    }

    async fn start() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let programs = newest_programs();
        let folder = run_folder().join(format!("postgres-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir(&folder).expect("the run's folder is new");
        let owner = Owner::find().await;
        chown(&folder, Some(owner.user), Some(owner.group)).expect("the tests run as root");
        let mut initdb = owner.command(&programs.join("initdb"));
        // The files need no flush before there is anything in them; the server's own fsync stays on.
        initdb.args(["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "--pgdata"]);
        initdb.arg(folder.join("data"));
        let output = tokio::process::Command::from(initdb).output().await.expect("setpriv runs");
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        let port = free_port();
        let process = serve(&folder, port, &owner);
        let mut postgres = Self { port, process, folder };
        postgres.until_it_serves().await;
        postgres
    }

    /// Ends it as `pg_ctl restart -m immediate` does, with no word to anybody who is connected and nothing tidied up, and starts it again.
    pub async fn restart_immediately(&mut self) {
        self.process.signal(Signal::QUIT);
        self.process.ended(Duration::from_secs(60)).await;
        self.process = serve(&self.folder, self.port, &Owner::find().await);
        self.until_it_serves().await;
    }

    async fn until_it_serves(&mut self) {
        until("postgres to take connections", Duration::from_secs(60), async || {
            let exit = self.process.exit_status();
            assert!(exit.is_none(), "postgres ended ({exit:?}):\n{}", self.process.output());
            PgConnection::connect_with(&options(self.port, "postgres")).await.ok()
        })
        .await;
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Where it listens, host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A new, empty database.
    pub async fn create_database(&self) -> Database {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let database = Database { port: self.port, name: format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed)) };
        database.recreate().await;
        database
    }
}

impl Database {
    /// Where the server listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The URL of the database, as seen through something that listens at `address`.
    pub fn url_at(&self, address: &str) -> String {
        format!("postgres://postgres@{address}/{}?sslmode=disable", self.name)
    }

    /// How to connect to it directly.
    pub fn options(&self) -> PgConnectOptions {
        options(self.port, &self.name)
    }

    /// Drops the database with all that is in it, if it is there, and makes it anew.
    pub async fn recreate(&self) {
        let mut connection =
            PgConnection::connect_with(&options(self.port, "postgres")).await.expect("postgres takes connections");
        for statement in [format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name), format!("CREATE DATABASE {}", self.name)]
        {
            connection.execute(sqlx::AssertSqlSafe(statement)).await.expect("the superuser may");
        }
    }
}

fn options(port: u16, database: &str) -> PgConnectOptions {
    PgConnectOptions::new()
        .host("127.0.0.1")
        .port(port)
        .username("postgres")
        .database(database)
        .ssl_mode(sqlx::postgres::PgSslMode::Disable)
}

fn serve(folder: &Path, port: u16, owner: &Owner) -> Process {
    Process::start("postgres", "setpriv", |command| {
        owner.arguments(command);
        // Setting the user id forgets the parent-death signal, so it is asked for once more.
        command.args(["--pdeathsig", "KILL"]).arg(newest_programs().join("postgres"));
        command.arg("-D").arg(folder.join("data")).arg("-k").arg(folder).args(["-h", "127.0.0.1", "-p", &port.to_string()]);
        command.args(["-c", "max_connections=500", "-c", "shared_buffers=256MB", "-c", "autovacuum_naptime=5s"]);
    })
}

/// Who owns the cluster: the tests run as root, and PostgreSQL refuses to.
struct Owner {
    user: u32,
    group: u32,
}

impl Owner {
    async fn find() -> Self {
        let id = async |flag: &str| {
            let printed = run_ok("id", [flag, "postgres"]).await;
            printed.trim().parse::<u32>().expect("id prints a number")
        };
        Self { user: id("-u").await, group: id("-g").await }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        self.arguments(&mut command);
        command.arg(program);
        command
    }

    fn arguments(&self, command: &mut Command) {
        command.arg(format!("--reuid={}", self.user)).arg(format!("--regid={}", self.group)).arg("--clear-groups");
        command.current_dir("/");
    }
}

/// The folder of the newest server's programs; Debian keeps them out of the path.
fn newest_programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.filter(|entry| entry.path().join("bin/initdb").is_file()).max_by_key(|entry| {
        let name = entry.file_name();
        name.to_str().and_then(|name| name.parse::<u32>().ok())
    });
    newest.expect("no PostgreSQL server is installed; tests/install.sh installs it").path().join("bin")
}
