//! What a server's processes use, read from `/proc` (proc(5)).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

const SAMPLE_EVERY: Duration = Duration::from_millis(20);

/// A process and its children, as far down as they go.
fn tree(pid: u32) -> Vec<u32> {
    let mut pids = vec![pid];
    let mut at = 0;
    while let Some(pid) = pids.get(at) {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        pids.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        at += 1;
    }
    pids
}

/// The CPU time, user and system, that a process and its children have used, in seconds.
pub fn cpu_seconds(pid: u32) -> f64 {
    tree(pid).into_iter().map(cpu_seconds_alone).sum()
}

/// The CPU time, user and system, that a process without its children has used, in seconds; 0 when there is no such process.
#[expect(clippy::cast_precision_loss, reason = "ticks of a run are far below 2^52")]
pub fn cpu_seconds_alone(pid: u32) -> f64 {
    cpu_ticks(pid).unwrap_or_default() as f64 / rustix::param::clock_ticks_per_second() as f64
}

fn cpu_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name may hold spaces; the fields after its parenthesis start with the third, utime is the 14th, stime the 15th.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// Resident memory of a process and its children.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Heap and stacks, without mapped files, in bytes.
    pub anonymous_bytes: u64,
    /// All of it, in bytes; what processes share counts for each.
    pub resident_bytes: u64,
}

/// What a process and its children hold now.
pub fn memory(pid: u32) -> Memory {
    tree(pid).into_iter().filter_map(memory_alone).fold(Memory::default(), |sum, each| Memory {
        anonymous_bytes: sum.anonymous_bytes + each.anonymous_bytes,
        resident_bytes: sum.resident_bytes + each.resident_bytes,
    })
}

fn memory_alone(pid: u32) -> Option<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let bytes = |name: &str| {
        let kib = status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?;
        Some(kib.parse::<u64>().ok()? * 1024)
    };
    Some(Memory { anonymous_bytes: bytes("RssAnon:")?, resident_bytes: bytes("VmRSS:")? })
}

/// Watches the resident memory of several processes from a thread of its own, and keeps the peaks.
#[derive(Debug)]
pub struct MemoryWatch {
    peaks: Arc<Mutex<BTreeMap<u32, Memory>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl MemoryWatch {
    /// Starts to watch.
    pub fn start(pids: Vec<u32>) -> Self {
        let peaks = Arc::new(Mutex::new(BTreeMap::<u32, Memory>::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (its_peaks, its_stop) = (Arc::clone(&peaks), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !its_stop.load(Ordering::Relaxed) {
                for pid in &pids {
                    let now = memory(*pid);
                    let mut peaks = its_peaks.lock().unwrap_or_else(PoisonError::into_inner);
                    let peak = peaks.entry(*pid).or_default();
                    peak.anonymous_bytes = peak.anonymous_bytes.max(now.anonymous_bytes);
                    peak.resident_bytes = peak.resident_bytes.max(now.resident_bytes);
                }
                std::thread::sleep(SAMPLE_EVERY);
            }
        });
        Self { peaks, stop, thread: Some(thread) }
    }

    /// The most that a watched process held so far, of each kind.
    pub fn peak(&self, pid: u32) -> Option<Memory> {
        self.peaks.lock().unwrap_or_else(PoisonError::into_inner).get(&pid).copied()
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The thread cannot panic; a benchmark has nothing better to do about it if it did.
            let _ = thread.join();
        }
    }
}

/// The process that listens on an IPv4 loopback address of this machine, when it can be told.
pub fn listener_pid(address: SocketAddr) -> Option<u32> {
    const LISTENING: &str = "0A";
    let port = format!(":{:04X}", address.port());
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().find_map(|table| {
        let table = std::fs::read_to_string(table).ok()?;
        table.lines().find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            (fields.len() > 9 && fields[1].ends_with(&port) && fields[3] == LISTENING).then(|| fields[9].to_owned())
        })
    })?;
    let socket = format!("socket:[{inode}]");
    let processes = std::fs::read_dir("/proc").ok()?;
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.into_iter().find(|pid| {
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        descriptors
            .into_iter()
            .any(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == socket.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::{MemoryWatch, cpu_seconds, listener_pid, memory};

    #[test]
    fn this_process_uses_something_and_is_found_by_its_port() {
        let me = std::process::id();
        let held = memory(me);
        assert!(held.anonymous_bytes > 0 && held.resident_bytes >= held.anonymous_bytes);
        assert!(cpu_seconds(me) >= 0.0);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let address = listener.local_addr().expect("a bound socket has an address");
        assert_eq!(listener_pid(address), Some(me));
        assert!(MemoryWatch::start(Vec::new()).peak(me).is_none());
    }
}
