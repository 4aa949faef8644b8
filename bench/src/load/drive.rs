//! One turn: many clients work on one server until the time or the allowance is used up.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::dice::Dice;
use super::latency::Latencies;
use super::work::Work;
use crate::error::BenchError;

/// How long operations under way at the end of a turn may still take.
const GRACE: Duration = Duration::from_mins(2);
/// A client gives up for the turn after so many failures in a row.
const FAILURES_IN_A_ROW: u32 = 10;

/// What a latency is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The whole operation, whatever it consists of.
    Operation,
    /// A manifest GET within the mixed load.
    ManifestGet,
    /// A blob GET within the mixed load.
    BlobGet,
    /// A blob push within the mixed load.
    BlobPush,
    /// The first byte of a body that comes through an edge cache.
    FirstByte,
}

/// All kinds with the names they have in the JSON.
pub const KINDS: [(Kind, &str); 5] = [
    (Kind::Operation, "operation"),
    (Kind::ManifestGet, "manifestGet"),
    (Kind::BlobGet, "blobGet"),
    (Kind::BlobPush, "blobPush"),
    (Kind::FirstByte, "firstByte"),
];

/// The bounds of a turn.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many clients work at once.
    pub clients: usize,
    /// No operation starts later than this after the first.
    pub time: Duration,
    /// No more operations than this.
    pub operations: u64,
    /// Operations a second over all clients, each at its time; as many as the server answers without.
    pub pace: Option<f64>,
    /// What the clients' draws follow from; the same for every server in a round.
    pub seed: u64,
}

/// What the clients of a turn count together. They share a thread.
#[derive(Debug, Default)]
pub struct Tally {
    latencies: RefCell<[Latencies; KINDS.len()]>,
    bytes: Cell<u64>,
    failures: Cell<u64>,
    first_failure: RefCell<Option<String>>,
}

impl Tally {
    /// Adds a latency.
    pub fn record(&self, kind: Kind, duration: Duration) {
        self.latencies.borrow_mut()[kind as usize].record(duration);
    }

    /// Adds body bytes that went either way.
    pub fn add_bytes(&self, bytes: u64) {
        self.bytes.set(self.bytes.get() + bytes);
    }

    /// Adds a failure.
    pub fn fail(&self, error: &BenchError) {
        self.failures.set(self.failures.get() + 1);
        self.first_failure.borrow_mut().get_or_insert_with(|| error.to_string());
    }

    /// What came of the turn, which took so long.
    pub fn turn(&self, elapsed: Duration) -> Turn {
        let (latencies, first_failure) = (self.latencies.borrow().clone(), self.first_failure.take());
        Turn { latencies, bytes: self.bytes.get(), failures: self.failures.get(), first_failure, elapsed }
    }
}

/// What came of a turn.
#[derive(Debug)]
pub struct Turn {
    /// Latencies by kind, in the order of `KINDS`.
    pub latencies: [Latencies; KINDS.len()],
    /// Body bytes that went either way in operations that succeeded.
    pub bytes: u64,
    /// Operations that failed.
    pub failures: u64,
    /// What the first failure said.
    pub first_failure: Option<String>,
    /// From the first request to the last response.
    pub elapsed: Duration,
}

impl Turn {
    /// Operations a second.
    #[expect(clippy::cast_precision_loss, reason = "operations of a turn are far below 2^52")]
    pub fn rate(&self) -> f64 {
        self.operations() as f64 / self.elapsed.as_secs_f64()
    }

    /// How many operations succeeded.
    pub fn operations(&self) -> u64 {
        self.latencies[Kind::Operation as usize].count()
    }
}

/// Runs a turn. Must be called within a `LocalSet`.
pub async fn drive(work: &Rc<Work>, address: SocketAddr, limits: Limits) -> Result<Turn, BenchError> {
    let tally = Rc::new(Tally::default());
    let schedule = Rc::new(Schedule::new(limits));
    let mut pools = Vec::with_capacity(limits.clients);
    for _ in 0..limits.clients {
        pools.push(open_all(address, work.connections()).await?);
    }
    schedule.start();
    let started = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for (number, connections) in pools.into_iter().enumerate() {
        let dice = Dice::new(limits.seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
        let (work, tally, schedule) = (Rc::clone(work), Rc::clone(&tally), Rc::clone(&schedule));
        clients.spawn_local(client(work, address, connections, dice, schedule, tally));
    }
    let limit = limits.time + GRACE;
    let ended = tokio::time::timeout(limit, async { while clients.join_next().await.is_some() {} }).await;
    ended.map_err(|_| BenchError::TooSlow { what: format!("a turn on {address}"), limit_s: limit.as_secs() })?;
    Ok(tally.turn(started.elapsed()))
}

/// When operations begin, shared by the clients of a turn.
#[derive(Debug)]
struct Schedule {
    limits: Limits,
    started: Cell<Instant>,
    begun: Cell<u64>,
}

impl Schedule {
    fn new(limits: Limits) -> Self {
        Self { limits, started: Cell::new(Instant::now()), begun: Cell::new(0) }
    }

    fn start(&self) {
        self.started.set(Instant::now());
    }

    /// Waits until the next operation is due, and says since when it is; `None` when the turn is over. A paced operation that finds
    /// every client busy is late, and its latency counts from when it was due, not from when a client was free.
    async fn next(&self) -> Option<Instant> {
        let number = self.begun.get();
        if number >= self.limits.operations {
            return None;
        }
        let due = match self.limits.pace {
            None => Instant::now(),
            Some(pace) => self.started.get() + Duration::from_secs_f64(f64::from(u32::try_from(number).ok()?) / pace),
        };
        if due >= self.started.get() + self.limits.time {
            return None;
        }
        self.begun.set(number + 1);
        if self.limits.pace.is_some() {
            tokio::time::sleep_until(due.into()).await;
        }
        Some(due)
    }
}

async fn open_all(address: SocketAddr, count: usize) -> Result<Vec<Connection>, BenchError> {
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        connections.push(Connection::open(address).await?);
    }
    Ok(connections)
}

async fn client(
    work: Rc<Work>,
    address: SocketAddr,
    mut connections: Vec<Connection>,
    mut dice: Dice,
    schedule: Rc<Schedule>,
    tally: Rc<Tally>,
) {
    let mut failures_in_a_row = 0;
    while failures_in_a_row < FAILURES_IN_A_ROW {
        let Some(due) = schedule.next().await else {
            return;
        };
        let outcome = work.step(&mut connections, &mut dice, &tally).await;
        let ended = Instant::now();
        match &outcome {
            Ok(()) => {
                tally.record(Kind::Operation, ended - due);
                failures_in_a_row = 0;
            }
            Err(error) => {
                tally.fail(error);
                failures_in_a_row += 1;
            }
        }
        if outcome.is_err() || connections.iter().any(|connection| connection.closed) {
            match open_all(address, connections.len()).await {
                Ok(opened) => connections = opened,
                Err(error) => return tally.fail(&error),
            }
        }
    }
}
