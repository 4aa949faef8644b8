/// What a process has used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Of processors, in seconds.
    pub cpu_seconds: f64,
    /// The most memory that was resident at once, in bytes, mapped files included.
    pub rss_bytes: u64,
}

impl Usage {
    /// The kernel tells of processor time in these, on all architectures that Rust's Linux targets have.
    const TICKS_PER_SECOND: f64 = 100.0;

    /// Of a process that runs; nothing where it has ended.
    pub(super) fn of(pid: u32) -> Self {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let stat = read("stat");
        // The name is in parentheses and may have spaces; after it the 12th and 13th field are the time in user mode and in the kernel.
        let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
        let status = read("status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap_or_default();
        Self { cpu_seconds: (ticks(11) + ticks(12)) / Self::TICKS_PER_SECOND, rss_bytes: kib << 10 }
    }
}
