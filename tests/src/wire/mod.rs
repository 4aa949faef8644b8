//! A TCP proxy that stands between a client and a server, counts what passes, and can be made to fail.
//!
//! What it cannot do by itself it does not do: bytes that no rule concerns pass unchanged, and as soon as they come.

mod exchange;
mod fault;
mod framing;
mod head;
mod opaque;

use std::{
    net::Ipv4Addr,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

pub use fault::{Fault, Rule};

use crate::{Random, asked_bytes::asked_bytes};

/// A request that passed, or that was refused on the way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    /// The method, in capitals.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// What follows the `?`, or nothing.
    pub query: String,
    /// The `Range` header, where it has one.
    pub range: Option<String>,
}

impl Call {
    /// Which bytes it asks for of content of this length.
    pub fn asked_bytes(&self, size_bytes: usize) -> Range<usize> {
        self.range.as_deref().and_then(|range| asked_bytes(range, size_bytes)).unwrap_or(0..size_bytes)
    }
}

/// The wire. It is cut when dropped.
pub struct Wire {
    address: String,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    upstream: String,
    speaks_http: bool,
    connections: AtomicUsize,
    calls: Mutex<Vec<Call>>,
    rules: Mutex<Vec<Rule>>,
    random: Mutex<Random>,
    injected: AtomicUsize,
    passed_bytes: Arc<AtomicU64>,
}

impl Wire {
    /// A wire to an HTTP/1.1 server, whose requests are told apart.
    pub async fn http(upstream: &str) -> Self {
        Self::to(upstream, true).await
    }

    /// A wire to any server. A rule concerns each piece of what passes, in either direction.
    pub async fn opaque(upstream: &str) -> Self {
        Self::to(upstream, false).await
    }

    async fn to(upstream: &str, speaks_http: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address").to_string();
        let state = Arc::new(State {
            upstream: upstream.into(),
            speaks_http,
            connections: AtomicUsize::new(0),
            calls: Mutex::default(),
            rules: Mutex::default(),
            random: Mutex::new(Random::seeded(1)),
            injected: AtomicUsize::new(0),
            passed_bytes: Arc::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, accepting }
    }

    /// Where it listens, host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Puts these rules in place of those before; the first that matches is applied. Chance is drawn from `seed`.
    pub fn set_rules(&self, seed: u64, rules: Vec<Rule>) {
        *lock(&self.state.random) = Random::seeded(seed);
        *lock(&self.state.rules) = rules;
    }

    /// Lets everything pass again.
    pub fn heal(&self) {
        lock(&self.state.rules).clear();
    }

    /// How many times a rule has been applied.
    pub fn injected(&self) -> usize {
        self.state.injected.load(Ordering::Relaxed)
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// How many bytes of the bodies of HTTP answers have passed.
    pub fn passed_bytes(&self) -> u64 {
        self.state.passed_bytes.load(Ordering::Relaxed)
    }

    /// The requests since it was last asked, in the order in which they began.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut lock(&self.state.calls))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl State {
    /// What is to happen to a request, or to a piece of an opaque stream.
    fn fault_for(&self, call: Option<&Call>) -> Option<Fault> {
        let mut rules = lock(&self.rules);
        let mut random = lock(&self.random);
        let fault = rules.iter_mut().find_map(|rule| rule.applies(call, &mut random).then(|| rule.fault.clone()))?;
        self.injected.fetch_add(1, Ordering::Relaxed);
        Some(fault)
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        state.connections.fetch_add(1, Ordering::Relaxed);
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(&state.upstream).await else { return };
            // Small answers would otherwise wait for an acknowledgement.
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            if state.speaks_http {
                exchange::carry(&state, client, server).await;
            } else {
                opaque::carry(&state, client, server).await;
            }
        });
    }
}

/// Locks; what a panicking test left behind is still whole, as every change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
