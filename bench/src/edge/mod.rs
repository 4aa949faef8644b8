//! Our edge cache beside nginx and distribution as caches, in front of the same registry.
//!
//! Each case starts a registry of ours and every cache anew, empty. A round gives each cache one turn, in an order that rotates. Where
//! a case is about what a cache does not have, every round brings content that nobody has seen, the same for each. What goes upstream
//! is counted there.

pub mod cache;
pub mod case;
pub mod content;
pub mod link;
pub mod upstream;

use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::candidate::Candidate;
use crate::candidate::entrant::{Entrant, Program};
use crate::candidate::usage::{MemoryWatch, cpu_seconds, cpu_seconds_alone};
use crate::content::Noise;
use crate::error::BenchError;
use crate::load::read_back::read_back;
use crate::load::stream::{Until, stream};
use crate::options::Options;
use crate::report::record::{CaseRecord, PlayerRecord, TurnRecord, UpstreamRecord};
use case::EdgeCase;
use content::{Content, Supply};
use link::Link;
use upstream::{UPSTREAM, Upstream};

/// How often a cache is asked for the same before it must have kept it.
const WARMING_MAX: u32 = 20;
const WARMING_PAUSE: Duration = Duration::from_millis(100);

/// A cache within a case, or the upstream itself.
struct Player {
    address: SocketAddr,
    pid: Option<u32>,
    /// `None` of the upstream, which others keep.
    candidate: Option<Candidate>,
    record: PlayerRecord,
}

/// Measures the edge's cases that were asked for.
pub async fn measure(
    entrants: &[Entrant],
    options: &Options,
    disk: &Path,
    noise: &Rc<Noise>,
) -> Result<Vec<CaseRecord>, BenchError> {
    let cases = options.edge_cases();
    if cases.is_empty() {
        return Ok(Vec::new());
    }
    let longshore = entrants.iter().find_map(|entrant| match &entrant.program {
        Program::Longshore(program) => Some(program),
        _ => None,
    });
    let longshore =
        longshore.ok_or_else(|| BenchError::Usage("the edge's cases need longshore among the entrants".to_owned()))?;
    raise_descriptor_limit();
    let mut records = Vec::with_capacity(cases.len());
    for (number, case) in cases.iter().enumerate() {
        eprintln!("bench: {}/{} {}", number + 1, cases.len(), case.title());
        records.push(run_case(*case, longshore, entrants, options, disk, noise).await?);
    }
    Ok(records)
}

/// A thousand clients take a descriptor each here, and two or more in some caches, which have this limit from us.
fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        eprintln!("bench: the limit of open files could not be raised: {error}");
    }
}

async fn run_case(
    case: EdgeCase,
    longshore: &Path,
    entrants: &[Entrant],
    options: &Options,
    disk: &Path,
    noise: &Rc<Noise>,
) -> Result<CaseRecord, BenchError> {
    let folder = tempfile::Builder::new().prefix("edge-").tempdir_in(disk).map_err(BenchError::io("make a folder for caches"))?;
    let upstream = Upstream::start(longshore, folder.path()).await?;
    let link = case.link_bytes_per_second.map(|rate| Link::start(upstream.address(), rate)).transpose()?;
    let source = link.as_ref().map_or(upstream.address(), Link::address);
    let mut players = Vec::new();
    for cache in cache::caches(entrants, case) {
        match cache.start(folder.path(), source).await {
            Ok(candidate) => players.push(Player::new(candidate)),
            Err(error) => players.push(Player::absent(PlayerRecord::failed(cache.name, &error), source)),
        }
    }
    if case.has_upstream_beside() {
        players.push(Player::itself(source, upstream.pid()));
    }
    let memory = MemoryWatch::start(players.iter().filter_map(|player| player.pid).collect());
    let supply = Supply::new(case.kind, noise);
    let mut content = supply.sample();
    upstream.take(&content).await?;
    for player in &mut players {
        let prepared = player.prepare(case, &content, &upstream, options).await;
        player.give_up_if(prepared);
    }
    for round in 0..options.rounds() {
        if !case.is_warm() {
            content = supply.round(&format!("v{round}"));
            upstream.take(&content).await?;
        }
        for player in &mut players {
            let turned = player.turn(case, round, &content, &upstream, options).await;
            player.give_up_if(turned);
        }
        players.rotate_left(1);
    }
    // As they were at first.
    let turned = usize::try_from(options.rounds()).unwrap_or_default() % players.len();
    players.rotate_right(turned);
    let mut record =
        CaseRecord { name: case.name.to_owned(), title: case.title(), clients: case.clients, pace: None, entrants: Vec::new() };
    for mut player in players {
        player.record.note_peak(player.pid.and_then(|pid| memory.peak(pid)));
        if player.is_in() {
            let read = read_back(&player.record.name, player.address, content.paths()).await;
            player.give_up_if(read);
        }
        record.entrants.push(player.record);
    }
    Ok(record)
}

impl Player {
    fn new(candidate: Candidate) -> Self {
        let record = PlayerRecord::new(&candidate.name);
        Self { address: candidate.address, pid: candidate.pid, candidate: Some(candidate), record }
    }

    /// One that could not start.
    fn absent(record: PlayerRecord, address: SocketAddr) -> Self {
        Self { address, pid: None, candidate: None, record }
    }

    /// The upstream, asked without a cache between.
    fn itself(address: SocketAddr, pid: Option<u32>) -> Self {
        Self { address, pid, candidate: None, record: PlayerRecord::new(UPSTREAM) }
    }

    fn is_in(&self) -> bool {
        self.record.failure.is_none()
    }

    /// Shows that it gives back what the upstream has. Of what it should have before its first turn it is asked until it has it, and
    /// has a short turn that does not count; of anything else it gets a sample, so that its connections are there.
    async fn prepare(&self, case: EdgeCase, content: &Content, upstream: &Upstream, options: &Options) -> Result<(), BenchError> {
        if !self.is_in() {
            return Ok(());
        }
        if let Some(files) = self.candidate.as_ref().and_then(|candidate| candidate.files.as_ref()) {
            content.write(files)?;
        }
        read_back(&self.record.name, self.address, content.paths()).await?;
        if !case.is_warm() {
            return Ok(());
        }
        self.warm(content, upstream).await?;
        let gets = content.gets(&self.address.to_string());
        stream(self.address, gets, case.clients, Until::Cut(options.time() / 3)).await?;
        Ok(())
    }

    /// Asks for the content until nothing of it comes from the upstream any more.
    async fn warm(&self, content: &Content, upstream: &Upstream) -> Result<(), BenchError> {
        for _ in 0..WARMING_MAX {
            let before = upstream.traffic()?;
            read_back(&self.record.name, self.address, content.paths()).await?;
            if upstream.traffic()?.since(&before).sent_bytes == 0 {
                return Ok(());
            }
            tokio::time::sleep(WARMING_PAUSE).await;
        }
        Err(BenchError::NotKept { server: self.record.name.clone() })
    }

    /// One turn that counts.
    async fn turn(
        &mut self,
        case: EdgeCase,
        round: u32,
        content: &Content,
        upstream: &Upstream,
        options: &Options,
    ) -> Result<(), BenchError> {
        if !self.is_in() {
            return Ok(());
        }
        if !case.is_warm() {
            // What the others have left for the disk to do is not this one's to wait for.
            rustix::fs::sync();
        }
        let gets = content.gets(&self.address.to_string());
        let before = upstream.traffic()?;
        let (generator_before, cpu_before) = (cpu_seconds_alone(std::process::id()), self.pid.map(cpu_seconds));
        let turn = stream(self.address, gets, case.clients, case.until(options.time())).await?;
        let generator = cpu_seconds_alone(std::process::id()) - generator_before;
        let traffic = if case.is_warm() { upstream.traffic()? } else { upstream.traffic_at_rest().await? }.since(&before);
        // What a cache still has to do once its clients have everything is its work too.
        let cpu = cpu_before.zip(self.pid.map(cpu_seconds)).map(|(before, after)| after - before);
        let mut record = TurnRecord::new(round, &turn, cpu, generator);
        record.upstream = self.candidate.is_some().then(|| UpstreamRecord {
            new_bytes: if case.is_warm() { 0 } else { content.size_bytes() },
            sent_bytes: traffic.sent_bytes,
            gets: traffic.gets,
            other_requests: traffic.other_requests,
        });
        self.record.turns.push(record);
        self.candidate.as_mut().map_or(Ok(()), Candidate::check)
    }

    /// Takes one that failed out of the case; what it measured so far stays.
    fn give_up_if(&mut self, outcome: Result<(), BenchError>) {
        if let Err(error) = outcome {
            eprintln!("bench: {} is out of this case: {error}", self.record.name);
            self.record.failure = Some(error.to_string());
        }
    }
}
