//! One private PostgreSQL for all tests of the process, and a database of it for each test.
//!
//! It listens on a socket in its own folder alone, so that no port can be taken from under it. A shell that holds the other end of a
//! pipe to this process watches over it: when this process ends, however it ends, the pipe breaks, and the shell stops the server and
//! removes the folder.

use std::{
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// What the shell does: starts the server, waits for the pipe to break, stops it.
const WATCH: &str = r#"
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c max_connections=200 -c fsync=off >"$2/log" 2>&1 &
server=$!
read -r line
kill -INT "$server"
wait "$server"
rm -rf "$2"
"#;

/// How long the server may take to come up on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

struct Cluster {
    folder: PathBuf,
    /// Holds the pipe, which breaks when this process ends.
    _shell: Child,
}

/// Makes an empty database in the cluster, which is started by whoever comes first; its URL.
pub async fn create_database() -> String {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let folder = CLUSTER.get_or_init(start).folder.display();
    let url = |name: &str| format!("postgres://postgres@localhost/{name}?host={folder}&sslmode=disable");
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut connection = PgConnection::connect(&url("postgres")).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
    url(&name)
}

fn start() -> Cluster {
    let (version, programs) = newest_programs();
    let folder = tempfile::Builder::new().prefix("longshore-postgres-").tempdir().unwrap().keep();
    let owner = owner();
    if let Some((user, group)) = owner {
        chown(&folder, Some(user), Some(group)).unwrap();
    }
    initialize(owner, version, &programs, &folder);
    let mut watch = command(owner, "sh");
    watch.args(["-c", WATCH, "sh"]).arg(&programs).arg(&folder).process_group(0);
    let shell = watch.stdin(Stdio::piped()).spawn().expect("a shell starts");
    let give_up_at = Instant::now() + PATIENCE;
    let mut ready = Command::new(programs.join("pg_isready"));
    ready.arg("--quiet").arg("--host").arg(&folder);
    while !ready.status().is_ok_and(|status| status.success()) {
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(Instant::now() < give_up_at, "PostgreSQL is not up after {PATIENCE:?}; its log:\n{}", log());
        std::thread::sleep(Duration::from_millis(20));
    }
    Cluster { folder, _shell: shell }
}

fn initialize(owner: Option<(u32, u32)>, version: u32, programs: &Path, folder: &Path) {
    let mut initdb = command(owner, programs.join("initdb"));
    initdb.args(["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "--pgdata"]);
    initdb.arg(folder.join("data"));
    if version >= 15 {
        // An order that is not that of bytes, to see that the tables bring their own.
        initdb.args(["--locale-provider=icu", "--icu-locale=en-US"]);
    }
    let output = initdb.output().expect("initdb runs");
    assert!(output.status.success(), "initdb failed: {}", String::from_utf8_lossy(&output.stderr));
}

/// Who the server runs as: it refuses to run as root, so root's tests lend it to the user that its package made.
fn owner() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().expect("id runs");
        let text = String::from_utf8_lossy(&output.stdout).trim().parse::<u32>();
        text.unwrap_or_else(|_| panic!("there is no user for PostgreSQL: id {arguments:?} fails; install the package postgresql"))
    };
    (id(&["-u"]) == 0).then(|| (id(&["-u", "postgres"]), id(&["-g", "postgres"])))
}

fn command(owner: Option<(u32, u32)>, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command.current_dir("/");
    command
}

/// The newest server's version and the folder of its programs, which Debian keeps out of the path.
fn newest_programs() -> (u32, PathBuf) {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.filter_map(|entry| {
        let version = entry.file_name().to_str()?.parse::<u32>().ok()?;
        let programs = entry.path().join("bin");
        programs.join("initdb").is_file().then_some((version, programs))
    });
    newest.max().expect("there is no PostgreSQL server in /usr/lib/postgresql; install the package postgresql (13 or later)")
}
