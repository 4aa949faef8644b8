use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{run_folder, until};

/// A process of ours, its output in a file. It is killed when dropped, and when the test process ends, however it ends.
pub struct Process {
    name: String,
    child: Child,
    exit: Option<ExitStatus>,
    log: PathBuf,
}

impl Process {
    /// Starts `program`, after `configure` has added what it needs. `name` is what messages call it.
    pub fn start(name: &str, program: impl AsRef<Path>, configure: impl FnOnce(&mut Command)) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let log = run_folder().join(format!("{name}-{}.log", COUNT.fetch_add(1, Ordering::Relaxed)));
        let out = File::create(&log).expect("a log can be made in the run's folder");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(program.as_ref());
        configure(&mut command);
        command.stdin(Stdio::null()).stdout(out.try_clone().expect("a file can be shared")).stderr(out);
        let child = spawn_for_good(command).unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        Self { name: name.into(), child, exit: None, log }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far, to either output.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Its exit status, once it has ended.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        if self.exit.is_none() {
            self.exit = self.child.try_wait().expect("a child can be asked");
        }
        self.exit
    }

    /// Waits until it has printed a line in which `find` finds something.
    pub async fn printed<T>(&mut self, what: &str, limit: Duration, find: impl Fn(&str) -> Option<T>) -> T {
        until(&format!("{} to say {what}", self.name), limit, async || {
            let exit = self.exit_status();
            let output = self.output();
            // A line without its end may be half written.
            let whole = output.rfind('\n').map_or("", |end| &output[..end]);
            let found = whole.lines().find_map(&find);
            assert!(found.is_some() || exit.is_none(), "{} ended ({exit:?}) before it said {what}:\n{output}", self.name);
            found
        })
        .await
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a child has a pid");
        kill_process(pid, signal).unwrap_or_else(|error| panic!("{} can't be sent {signal:?}: {error}", self.name));
    }

    /// Kills it at once, with no chance to tidy up, and waits until it is gone.
    pub fn kill9(&mut self) {
        if self.exit_status().is_none() {
            // It may end in between; that is what was wanted.
            let _ = self.child.kill();
            self.exit = Some(self.child.wait().expect("a child can be waited for"));
        }
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self, limit: Duration) -> ExitStatus {
        until(&format!("{} to end", self.name), limit, async || self.exit_status()).await
    }

    /// Asks it to end and, when it has not after `limit`, kills it.
    pub fn terminate(&mut self, limit: Duration) {
        if self.exit_status().is_some() {
            return;
        }
        self.signal(Signal::TERM);
        let began = Instant::now();
        while self.exit_status().is_none() && began.elapsed() < limit {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill9();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            let output = self.output();
            let lines: Vec<&str> = output.lines().collect();
            let tail = &lines[lines.len().saturating_sub(60)..];
            eprintln!("---- {} ({:?}) said, at the end:\n{}\n----", self.name, self.exit, tail.join("\n"));
        }
    }
}

type Order = (Command, SyncSender<std::io::Result<Child>>);

/// Starts a command from a thread that never ends: the kernel's parent-death signal means the parent's thread, not the whole process.
fn spawn_for_good(command: Command) -> std::io::Result<Child> {
    static STARTER: OnceLock<SyncSender<Order>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (orders, inbox) = sync_channel::<Order>(16);
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                // The one who asked may have panicked meanwhile.
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, result) = sync_channel(1);
    starter.send((command, answer)).expect("the starter never ends");
    result.recv().expect("the starter answers")
}
