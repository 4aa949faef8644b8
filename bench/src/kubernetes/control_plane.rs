//! etcd, kube-apiserver and kube-scheduler on loopback, each ended by its id.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{client::Api, setting::Setting};
use crate::{
    candidate::{
        entrant::installed,
        process::{Process, free_address},
    },
    error::BenchError,
};

const START_LIMIT: Duration = Duration::from_mins(2);
const ASK_EVERY: Duration = Duration::from_millis(100);
const TOKEN: &str = "bench-only-on-loopback";
/// What a client of the scheduler's may ask a second: by default it is 50, which would be all that is measured.
const QUERIES_PER_SECOND: u32 = 5_000;

/// The programs that are needed.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    etcd: PathBuf,
    api_server: PathBuf,
    scheduler: PathBuf,
}

impl Programs {
    /// Finds them; of those that are missing says how they are had.
    pub(super) fn find() -> Result<Self, BenchError> {
        let find = |program| {
            installed(program, program).map_err(|error| {
                BenchError::Usage(format!("{error}; `bench/install.sh kubernetes` installs etcd and builds the others"))
            })
        };
        Ok(Self { etcd: find("etcd")?, api_server: find("kube-apiserver")?, scheduler: find("kube-scheduler")? })
    }
}

/// An API server over an etcd of its own. What it has written is in its folder; both end when it is dropped.
#[derive(Debug)]
pub(super) struct ControlPlane {
    programs: Programs,
    folder: PathBuf,
    pub(super) api: Api,
    // The server ends before what it keeps its objects in.
    api_server: Process,
    _etcd: Process,
}

impl ControlPlane {
    /// Starts both in an empty folder, and waits until they are ready.
    pub(super) async fn start(programs: &Programs, folder: &Path) -> Result<Self, BenchError> {
        let (etcd, etcd_url) = start_etcd(&programs.etcd, folder).await?;
        let key = generate_simple_self_signed(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]);
        let CertifiedKey { cert, signing_key } = key.map_err(|_| BenchError::Malformed("a certificate could not be made"))?;
        write(&folder.join("cert.pem"), &cert.pem())?;
        write(&folder.join("key.pem"), &signing_key.serialize_pem())?;
        write(&folder.join("tokens.csv"), &format!("{TOKEN},bench,bench,system:masters\n"))?;
        let address = free_address()?;
        let command = api_server(&programs.api_server, folder, address, &etcd_url);
        let process = Process::spawn("kube-apiserver", command, &folder.join("kube-apiserver.log"))?;
        let api = Api::new(format!("https://{address}"), TOKEN.to_owned(), &folder.join("cert.pem"))?;
        write(&folder.join("kubeconfig"), &kubeconfig(address, folder).to_string())?;
        let mut plane = Self { programs: programs.clone(), folder: folder.to_owned(), api, api_server: process, _etcd: etcd };
        for path in ["/readyz", "/api/v1/namespaces/default"] {
            await_answer(&plane.api, path, &mut plane.api_server).await?;
        }
        Ok(plane)
    }

    /// Starts a scheduler.
    pub(super) async fn scheduler(&self, setting: Setting) -> Result<Scheduler, BenchError> {
        let configuration = self.folder.join("scheduler.json");
        write(&configuration, &setting.configuration(&self.folder.join("kubeconfig"), QUERIES_PER_SECOND).to_string())?;
        let address = free_address()?;
        let mut command = Command::new(&self.programs.scheduler);
        command
            .arg(format!("--config={}", configuration.display()))
            .args(["--bind-address=127.0.0.1", &format!("--secure-port={}", address.port())])
            .arg(format!("--tls-cert-file={}", self.folder.join("cert.pem").display()))
            .arg(format!("--tls-private-key-file={}", self.folder.join("key.pem").display()))
            .args(["--authorization-always-allow-paths=/healthz,/metrics", "--profiling=false"]);
        let mut process = Process::spawn("kube-scheduler", command, &self.folder.join("kube-scheduler.log"))?;
        let api = Api::new(format!("https://{address}"), TOKEN.to_owned(), &self.folder.join("cert.pem"))?;
        await_answer(&api, "/healthz", &mut process).await?;
        Ok(Scheduler { process, api })
    }
}

/// A scheduler that runs.
#[derive(Debug)]
pub(super) struct Scheduler {
    process: Process,
    api: Api,
}

impl Scheduler {
    /// Fails when it has ended by itself.
    pub(super) fn check(&mut self) -> Result<(), BenchError> {
        self.process.check()
    }

    /// How long it took to decide of a pod so far, without what is written: the mean, in seconds.
    pub(super) async fn decision_seconds(&self) -> Result<f64, BenchError> {
        let metrics = self.api.text("/metrics").await?;
        let of = |name: &str| -> Option<f64> {
            metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
        };
        let sum = of("scheduler_scheduling_algorithm_duration_seconds_sum");
        let count = of("scheduler_scheduling_algorithm_duration_seconds_count");
        let mean = sum.zip(count).filter(|(_, count)| *count > 0.0).map(|(sum, count)| sum / count);
        mean.ok_or(BenchError::Malformed("kube-scheduler's metrics don't tell how long it decided"))
    }
}

async fn start_etcd(program: &Path, folder: &Path) -> Result<(Process, String), BenchError> {
    let (address, peer) = (free_address()?, free_address()?);
    let (client, peer) = (format!("http://{address}"), format!("http://{peer}"));
    let mut command = Command::new(program);
    command.arg("--data-dir").arg(folder.join("etcd"));
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.args(["--initial-cluster", &format!("default={peer}"), "--log-level", "error", "--logger", "zap"]);
    let mut process = Process::spawn("etcd", command, &folder.join("etcd.log"))?;
    let deadline = Instant::now() + START_LIMIT;
    // It listens once it is ready.
    while let Err(error) = TcpStream::connect(address).await {
        process.check()?;
        if Instant::now() > deadline {
            return Err(BenchError::io(format!("connect to etcd at {address}"))(error));
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    Ok((process, client))
}

fn api_server(program: &Path, folder: &Path, address: SocketAddr, etcd_url: &str) -> Command {
    let in_folder = |flag: &str, name: &str| format!("--{flag}={}", folder.join(name).display());
    let mut command = Command::new(program);
    command
        .arg(format!("--etcd-servers={etcd_url}"))
        .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"])
        .arg(format!("--secure-port={}", address.port()))
        .args([in_folder("tls-cert-file", "cert.pem"), in_folder("tls-private-key-file", "key.pem")])
        .args(["--service-cluster-ip-range=10.0.0.0/24", "--service-account-issuer=https://bench.invalid"])
        .args([in_folder("service-account-signing-key-file", "key.pem"), in_folder("service-account-key-file", "cert.pem")])
        .arg(in_folder("token-auth-file", "tokens.csv"))
        .args(["--authorization-mode=AlwaysAllow", "--profiling=false"])
        // Nobody plays the controllers that would make accounts, and take the taints of new nodes away again.
        .arg("--disable-admission-plugins=ServiceAccount,TaintNodesByCondition")
        // Nobody is held back for the sake of others.
        .args(["--enable-priority-and-fairness=false", "--max-requests-inflight=3000", "--max-mutating-requests-inflight=1000"]);
    command
}

fn kubeconfig(address: SocketAddr, folder: &Path) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "bench",
        "clusters": [{"name": "bench", "cluster": {
            "server": format!("https://{address}"), "certificate-authority": folder.join("cert.pem"),
        }}],
        "users": [{"name": "bench", "user": {"token": TOKEN}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
    })
}

async fn await_answer(api: &Api, path: &str, process: &mut Process) -> Result<(), BenchError> {
    let deadline = Instant::now() + START_LIMIT;
    loop {
        process.check()?;
        match api.text(path).await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => tokio::time::sleep(ASK_EVERY).await,
        }
    }
}

fn write(path: &Path, text: &str) -> Result<(), BenchError> {
    fs::write(path, text).map_err(BenchError::io(format!("write {}", path.display())))
}
