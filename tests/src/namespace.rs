use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::fd::AsFd,
    path::Path,
    process::Command,
    time::Duration,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::io::copy_bidirectional;

use crate::Process;

/// A network of one test's own: loopback, with every port free, and nothing else. It is gone when dropped, and whoever was started in it
/// reaches nothing from then on.
pub struct Namespace {
    /// A namespace is there for as long as a process is in it.
    holder: Process,
}

impl Namespace {
    /// A new one.
    pub async fn new() -> Self {
        let mut holder = Process::start("namespace", "unshare", |command| {
            command.args(["--net", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"]);
        });
        holder.printed("that its loopback is up", Duration::from_secs(10), |line| (line == "up").then_some(())).await;
        Self { holder }
    }

    /// The words that a command begins with to be run in it.
    pub fn entrance(&self) -> Vec<String> {
        vec!["nsenter".into(), format!("--net={}", self.path())]
    }

    /// Like [`Process::start`], in it.
    pub fn start(&self, name: &str, program: impl AsRef<Path>, configure: impl FnOnce(&mut Command)) -> Process {
        let entrance = self.entrance();
        Process::start(name, &entrance[0], |command| {
            command.args(&entrance[1..]).arg(program.as_ref());
            configure(command);
        })
    }

    /// A socket of this process that listens in it, for tokio.
    pub fn listen(&self, port: u16) -> tokio::net::TcpListener {
        let listener = self.inside(|| TcpListener::bind((Ipv4Addr::LOCALHOST, port))).expect("its ports are free");
        listener.set_nonblocking(true).expect("a socket can be told so");
        tokio::net::TcpListener::from_std(listener).expect("a runtime takes a socket")
    }

    /// Has an address on loopback mean in it what it means outside.
    pub fn let_through(&self, authority: &str) {
        let (_, port) = authority.rsplit_once(':').expect("an authority has a port");
        let listener = self.listen(port.parse().expect("a port is a number"));
        let authority = authority.to_owned();
        tokio::spawn(async move {
            while let Ok((mut inner, _)) = listener.accept().await {
                let authority = authority.clone();
                tokio::spawn(async move {
                    if let Ok(mut outer) = tokio::net::TcpStream::connect(authority).await {
                        // Whoever breaks it off sees that at its own end.
                        let _ = copy_bidirectional(&mut inner, &mut outer).await;
                    }
                });
            }
        });
    }

    /// What a server in it says to a GET; `None` where there is no answer of 200 yet.
    pub fn get(&self, port: u16, path: &str) -> Option<String> {
        let mut stream = self.inside(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port))).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost:{port}\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.split(' ').nth(1).is_some_and(|status| status == "200").then(|| body.to_owned())
    }

    /// Does something on a thread that is in it. A socket belongs to where it was made, whoever uses it.
    fn inside<T: Send>(&self, something: impl FnOnce() -> T + Send) -> T {
        let enter = self.entering();
        let work = || {
            enter();
            something()
        };
        std::thread::scope(|scope| scope.spawn(work).join()).expect("it does not panic")
    }

    /// What moves the thread that calls it into the namespace.
    pub(crate) fn entering(&self) -> impl Fn() + Send + Sync + use<> {
        let namespace = File::open(self.path()).expect("its process is there");
        move || {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), network).expect("root may enter what it has made");
        }
    }

    /// The process that it is there for as long as.
    pub(crate) fn holder_pid(&self) -> u32 {
        self.holder.pid()
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.holder_pid())
    }
}
