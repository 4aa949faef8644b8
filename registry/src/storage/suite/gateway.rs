use std::{
    env, fs,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use super::{super::S3Settings, PART_BYTES};

/// A bucket's name; a folder to the server.
const BUCKET: &str = "suite";

/// Settings for a prefix of its own in the bucket of an S3 server, which the first caller starts.
pub(super) fn settings() -> S3Settings {
    static PORT: OnceLock<u16> = OnceLock::new();
    static NEXT_PREFIX: AtomicU32 = AtomicU32::new(0);
    let port = *PORT.get_or_init(start);
    S3Settings {
        bucket: BUCKET.to_owned(),
        prefix: format!("of-test/{}", NEXT_PREFIX.fetch_add(1, Ordering::Relaxed)),
        endpoint: format!("http://127.0.0.1:{port}"),
        region: "us-east-1".to_owned(),
        access_key_id: "suite".to_owned(),
        secret_access_key: "only-for-loopback".to_owned(),
        session_token: String::new(),
        force_path_style: true,
        part_bytes: PART_BYTES,
        connect_timeout: Duration::from_secs(3),
    }
}

/// Starts the server, and answers with its port once it takes connections.
fn start() -> u16 {
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let (ended, end) = mpsc::sync_channel(1);
    // The kernel kills the server when the thread that started it ends. This one ends with the test process.
    thread::spawn(move || {
        let folder = tempfile::tempdir().unwrap();
        ended.send(spawn(port, &folder).wait()).unwrap();
    });
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if let Ok(status) = end.try_recv() {
            panic!("versitygw ended before it took a connection: {status:?}");
        }
        assert!(began.elapsed() < Duration::from_secs(30), "versitygw took no connection within 30 s");
        thread::sleep(Duration::from_millis(10));
    }
    port
}

fn spawn(port: u16, folder: &tempfile::TempDir) -> Child {
    fs::create_dir(folder.path().join(BUCKET)).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program());
    command.env("ROOT_ACCESS_KEY", "suite").env("ROOT_SECRET_KEY", "only-for-loopback");
    command.args(["--port", &format!("127.0.0.1:{port}"), "--quiet", "posix"]).arg(folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("setpriv (util-linux) starts versitygw")
}

fn program() -> PathBuf {
    let home = env::var_os("GOPATH").map(PathBuf::from).or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join("go")));
    let path = home.expect("HOME or GOPATH says where Go programs are").join("bin/versitygw");
    assert!(path.is_file(), "there is no S3 server at {}; tests/install.sh installs it", path.display());
    path
}
