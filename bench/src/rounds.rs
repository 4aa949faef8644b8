//! One case: every server warmed, then turn about.

use std::path::Path;
use std::rc::Rc;

use crate::candidate::Candidate;
use crate::candidate::entrant::Entrant;
use crate::candidate::object_server::ObjectServer;
use crate::candidate::usage::{MemoryWatch, cpu_seconds, cpu_seconds_alone};
use crate::cases::stage::Stage;
use crate::cases::{Ask, Case};
use crate::content::Noise;
use crate::error::BenchError;
use crate::load::drive::{Limits, drive};
use crate::load::work::Work;
use crate::options::{Options, Store};
use crate::report::record::{CaseRecord, PlayerRecord, TurnRecord};

/// A paced case asks for this share of what the slowest server managed when it was warmed, so that every server can keep up.
const PACED_SHARE: f64 = 0.6;

/// A server within a case.
struct Player {
    candidate: Candidate,
    work: Option<Rc<Work>>,
    record: PlayerRecord,
}

/// Measures one case with every entrant that can take part. Data of the servers is gone afterwards.
pub async fn run_case(
    case: Case,
    entrants: &[Entrant],
    options: &Options,
    disk: &Path,
    noise: &Rc<Noise>,
) -> Result<CaseRecord, BenchError> {
    let folder =
        tempfile::Builder::new().prefix("servers-").tempdir_in(disk).map_err(BenchError::io("make a folder for servers"))?;
    let object_server = match options.store {
        Store::Folder => None,
        Store::S3 => Some(ObjectServer::start(folder.path(), false).await?),
    };
    let mut record =
        CaseRecord { name: case.name.to_owned(), title: case.title(), clients: case.clients, pace: None, entrants: Vec::new() };
    let mut players = Vec::new();
    for entrant in entrants.iter().filter(|entrant| entrant.is_registry() || !case.writes()) {
        let bucket = object_server.as_ref().map(|server| server.bucket(&entrant.name)).transpose()?;
        match Candidate::start(entrant, folder.path(), bucket.as_ref()).await {
            Ok(candidate) => players.push(Player { record: PlayerRecord::new(&candidate.name), candidate, work: None }),
            Err(error) => record.entrants.push(PlayerRecord::failed(&entrant.name, &error)),
        }
    }
    let memory = MemoryWatch::start(players.iter().filter_map(|player| player.candidate.pid).collect());
    let stage = Stage::new(case.ask, noise);
    let mut slowest = f64::INFINITY;
    for player in &mut players {
        match player.prepare(&stage, case, options).await {
            Ok(rate) => slowest = slowest.min(rate),
            Err(error) => player.give_up_on(&error),
        }
    }
    let pace = (case.ask == Ask::MixedPaced && slowest.is_finite()).then_some(slowest * PACED_SHARE);
    record.pace = pace;
    for round in 0..options.rounds() {
        // Whoever began the last round comes last in this one.
        for player in &mut players {
            if let Err(error) = player.turn(case, options, round, pace).await {
                player.give_up_on(&error);
            }
        }
        if !players.is_empty() {
            players.rotate_left(1);
        }
    }
    for mut player in players {
        player.record.note_peak(player.candidate.pid.and_then(|pid| memory.peak(pid)));
        record.entrants.push(player.record);
    }
    Ok(record)
}

impl Player {
    /// Fills the server, and lets it have a short turn that does not count; gives its rate in that turn.
    async fn prepare(&mut self, stage: &Stage, case: Case, options: &Options) -> Result<f64, BenchError> {
        stage.fill(&self.candidate).await?;
        let work = Rc::new(stage.work(&self.candidate));
        let limits = Limits {
            clients: case.clients,
            time: if case.ask == Ask::MixedPaced { options.time() } else { options.time() / 3 },
            operations: (case.operations_max() / 4).max(1),
            pace: None,
            seed: 0,
        };
        let turn = drive(&work, self.candidate.address, limits).await?;
        self.work = Some(work);
        Ok(turn.rate())
    }

    /// One turn that counts.
    async fn turn(&mut self, case: Case, options: &Options, round: u32, pace: Option<f64>) -> Result<(), BenchError> {
        let Some(work) = &self.work else {
            return Ok(());
        };
        if case.writes() {
            // What the others have left for the disk to do is not this server's to wait for.
            rustix::fs::sync();
        }
        let limits = Limits {
            clients: case.clients,
            time: case.time(options.time()),
            operations: case.operations_max(),
            pace,
            seed: u64::from(round) + 1,
        };
        let generator_before = cpu_seconds_alone(std::process::id());
        let cpu_before = self.candidate.pid.map(cpu_seconds);
        let turn = drive(work, self.candidate.address, limits).await?;
        let cpu_after = self.candidate.pid.map(cpu_seconds);
        let cpu = cpu_before.zip(cpu_after).map(|(before, after)| after - before);
        let generator = cpu_seconds_alone(std::process::id()) - generator_before;
        self.record.turns.push(TurnRecord::new(round, &turn, cpu, generator));
        self.candidate.check()
    }

    /// Takes a server that failed out of the case; what it measured so far stays.
    fn give_up_on(&mut self, error: &BenchError) {
        eprintln!("bench: {} is out of this case: {error}", self.record.name);
        self.record.failure = Some(error.to_string());
        self.work = None;
    }
}
