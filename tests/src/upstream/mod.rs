//! A registry of the tests' own that is no Longshore, and that does what it is told to: answers well, slowly, wrongly or not at all.
//! It writes down what it is asked and how much of it it has sent.
//!
//! What it says it says byte by byte, with no HTTP library between: a library would not let it lie.

mod asked;
mod connection;
mod misdeed;
mod reply;
mod request;
mod routes;
mod shelf;

use std::{
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use longshore_oci::Digest;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};

pub use asked::Asked;
pub use misdeed::{Misdeed, Plan};
use shelf::Shelf;

use crate::{Account, Image, until};

/// The registry. It is gone when dropped.
pub struct Upstream {
    authority: String,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    shelf: Mutex<Shelf>,
    plans: Mutex<Vec<Plan>>,
    asked: Mutex<Vec<Asked>>,
    committed: AtomicUsize,
    held: AtomicUsize,
    is_released: watch::Sender<bool>,
    is_away: watch::Sender<bool>,
}

impl Upstream {
    /// One that holds nothing, and that anybody may pull from.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
        let authority = listener.local_addr().expect("a bound socket has an address").to_string();
        let state = Arc::new(State {
            shelf: Mutex::new(Shelf::new(&authority)),
            plans: Mutex::default(),
            asked: Mutex::default(),
            committed: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            is_released: watch::Sender::new(false),
            is_away: watch::Sender::new(false),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { authority, state, accepting }
    }

    /// Like [`Self::start`], one that asks everybody for a token, as Docker Hub does; who has no account gets one too.
    pub async fn with_tokens() -> Self {
        let upstream = Self::start().await;
        lock(&upstream.state.shelf).asks_everybody = true;
        upstream
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.authority)
    }

    /// Its host and port.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Takes an image in, under a tag.
    pub fn hold(&self, repository: &str, tag: &str, image: &Image) {
        lock(&self.state.shelf).hold(repository, tag, image);
    }

    /// Takes a blob in.
    pub fn hold_blob(&self, repository: &str, content: &Bytes) -> Digest {
        lock(&self.state.shelf).hold_blob(repository, content)
    }

    /// Forgets a tag, not the manifest.
    pub fn untag(&self, repository: &str, tag: &str) {
        lock(&self.state.shelf).untag(repository, tag);
    }

    /// Lets these accounts alone pull from a repository, from now on.
    pub fn close(&self, repository: &str, readers: &[&Account]) {
        lock(&self.state.shelf).close(repository, readers);
    }

    /// Names another place than its own that tokens are to be had at.
    pub fn send_for_tokens_to(&self, realm: &str) {
        lock(&self.state.shelf).realm = realm.into();
    }

    /// Puts these plans in place of those before; the first that concerns a request is applied to it.
    pub fn misbehave(&self, plans: Vec<Plan>) {
        self.state.is_released.send_replace(false);
        self.state.held.store(0, Ordering::Relaxed);
        *lock(&self.state.plans) = plans;
    }

    /// Does all well again.
    pub fn behave(&self) {
        lock(&self.state.plans).clear();
        self.release();
    }

    /// Goes on with the answers that [`Misdeed::HoldAt`] and [`Plan::held`] hold.
    pub fn release(&self) {
        self.state.is_released.send_replace(true);
    }

    /// How many answers were held since plans were last made.
    pub fn held(&self) -> usize {
        self.state.held.load(Ordering::Relaxed)
    }

    /// Takes none of the tokens any more that it has given.
    pub fn forget_tokens(&self) {
        lock(&self.state.shelf).forget_tokens();
    }

    /// Waits until an answer is held.
    pub async fn holds(&self) {
        until("the upstream to hold an answer", Duration::from_secs(30), async || (self.held() > 0).then_some(())).await;
    }

    /// How often a plan was applied.
    pub fn committed(&self) -> usize {
        self.state.committed.load(Ordering::Relaxed)
    }

    /// Breaks off every connection, and takes no new one.
    pub fn go_away(&self) {
        self.state.is_away.send_replace(true);
    }

    /// Is there again.
    pub fn come_back(&self) {
        self.state.is_away.send_replace(false);
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.state.asked).clone()
    }

    /// What it was asked since this was last called, in the order in which it came.
    pub fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut lock(&self.state.asked))
    }

    /// The GETs of a blob so far.
    pub fn gets_of(&self, blob: &Digest) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.is_get_of(blob)).collect()
    }

    /// How many bytes of a blob it has sent so far.
    pub fn sent_bytes_of(&self, blob: &Digest) -> u64 {
        self.gets_of(blob).iter().map(Asked::sent_bytes).sum()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    // Dropped with this task, so that what hangs ends with the upstream.
    let mut connections = JoinSet::new();
    loop {
        let Ok((connection, _)) = listener.accept().await else { continue };
        let state = Arc::clone(&state);
        let mut away = state.is_away.subscribe();
        connections.spawn(async move {
            if *away.borrow() {
                let _ = connection.set_zero_linger();
                return;
            }
            // Small answers would otherwise wait for an acknowledgement.
            let _ = connection.set_nodelay(true);
            tokio::select! {
                // First: what is asked of it once it is away gets no answer, though it came on a connection that was kept.
                biased;
                _ = away.wait_for(|is_away| *is_away) => {}
                () = connection::serve(connection, &state) => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Locks; what a panicking test left behind is still whole, as every change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
