use std::{
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

/// A port that nothing listens on, and that no connection is given as its own: for programs that can't say what they got for port 0, and for
/// those that are started again where they were.
pub fn free_port() -> u16 {
    // Those that connections are given begin at 32,768.
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..COUNT {
        let at = std::process::id().wrapping_mul(101).wrapping_add(NEXT.fetch_add(1, Relaxed)) % COUNT;
        let port = u16::try_from(FIRST + at).expect("it is below 32,768");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("loopback has no free port")
}
