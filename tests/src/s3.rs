use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{net::TcpStream, sync::OnceCell};

use crate::{Process, free_port, run_folder, until};

/// An S3 server of this test process, which keeps its objects as plain files.
pub struct S3 {
    port: u16,
    folder: PathBuf,
    _process: Process,
}

/// A bucket of one test.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    port: u16,
    folder: PathBuf,
}

impl S3 {
    /// The access key that the server takes.
    pub const ACCESS_KEY_ID: &'static str = "longshore-tests";
    /// The secret that goes with it.
    pub const SECRET_ACCESS_KEY: &'static str = "only-for-loopback";

    /// The server, started by whoever asks first.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<S3> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    async fn start() -> Self {
        let folder = run_folder().join("s3");
        std::fs::create_dir(&folder).expect("the run's folder is new");
        let port = free_port();
        let mut process = Process::start("versitygw", versitygw(), |command| {
            command.env("ROOT_ACCESS_KEY", Self::ACCESS_KEY_ID).env("ROOT_SECRET_KEY", Self::SECRET_ACCESS_KEY);
            command.args(["--port", &format!("127.0.0.1:{port}"), "--quiet", "--keep-alive", "posix"]).arg(&folder);
        });
        until("versitygw to take connections", Duration::from_secs(30), async || {
            let exit = process.exit_status();
            assert!(exit.is_none(), "versitygw ended ({exit:?}):\n{}", process.output());
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Self { port, folder, _process: process }
    }

    /// Where it listens, host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A new, empty bucket. To this server, a bucket is a folder.
    pub fn create_bucket(&self) -> Bucket {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("bucket-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = self.folder.join(&name);
        std::fs::create_dir(&folder).expect("the name is new");
        Bucket { name, port: self.port, folder }
    }
}

impl Bucket {
    /// Where the server listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The folder in which the server keeps the bucket's objects, each a file named by its key.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

fn versitygw() -> PathBuf {
    go_program("versitygw")
}

/// A program that `go install` builds: where that puts it, or in a folder of the path. One that is not installed is a failure
/// that says what installs it.
pub fn go_program(name: &str) -> PathBuf {
    let home =
        std::env::var_os("GOPATH").map(PathBuf::from).or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join("go")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = home.map(|home| home.join("bin")).into_iter().chain(std::env::split_paths(&path));
    let found = folders.map(|folder| folder.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed; tests/install.sh installs what the tests need"))
}
