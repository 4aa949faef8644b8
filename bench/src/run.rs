//! A whole run, from the command line to the record.

use std::rc::Rc;

use crate::candidate::entrant::{Entrant, LONGSHORE};
use crate::content::Noise;
use crate::error::BenchError;
use crate::options::{Options, Store};
use crate::report::record::{EntrantRecord, Machine, Run};
use crate::{calls, durability, edge, floor, rounds, trust};

/// Measures everything that was asked for.
pub async fn run(options: &Options) -> Result<Run, BenchError> {
    let cases = options.cases()?;
    let entrants = entrants(options)?;
    let started_at = jiff::Timestamp::now();
    std::fs::create_dir_all(&options.disk).map_err(BenchError::io(format!("make {}", options.disk.display())))?;
    let disk = std::fs::canonicalize(&options.disk).map_err(BenchError::io(format!("find {}", options.disk.display())))?;
    let noise = Rc::new(Noise::new(u64::try_from(started_at.as_nanosecond()).unwrap_or_default()));

    let mut records = Vec::with_capacity(entrants.len());
    for entrant in &entrants {
        let syncs_per_push = match options.store {
            Store::Folder if entrant.is_registry() && !cases.is_empty() => {
                durability::syncs_per_push(entrant, &disk, &noise).await
            }
            _ => None,
        };
        records.push(EntrantRecord { name: entrant.name.clone(), version: entrant.version.clone(), syncs_per_push });
    }
    let mut run = Run {
        schema: 1,
        started_at: started_at.to_string(),
        machine: Machine::here(),
        floor: floor::measure(&disk, &noise)?,
        store: format!("{:?}", options.store).to_lowercase(),
        rounds: options.rounds(),
        turn_seconds: options.time().as_secs(),
        entrants: records,
        cases: Vec::with_capacity(cases.len()),
        storage_calls: Vec::new(),
        trust: Vec::new(),
        edge: Vec::new(),
    };
    for (number, case) in cases.iter().enumerate() {
        eprintln!("bench: {}/{} {}", number + 1, cases.len(), case.title());
        run.cases.push(rounds::run_case(*case, &entrants, options, &disk, &noise).await?);
    }
    let ours = entrants.iter().find(|entrant| entrant.name == LONGSHORE).filter(|_| options.measures_trust());
    if let Some(longshore) = ours {
        run.trust = trust::measure(longshore, options, &disk, &noise).await?;
    }
    run.edge = edge::measure(&entrants, options, &disk, &noise).await?;
    if options.counts_calls() {
        eprintln!("bench: counting S3 calls");
        run.storage_calls = calls::count(&entrants, &disk, &noise).await?;
    }
    Ok(run)
}

/// Those that take part. A peer that is not installed is left out, with a word; ours must be there.
fn entrants(options: &Options) -> Result<Vec<Entrant>, BenchError> {
    let mut entrants = Vec::new();
    for name in &options.entrants {
        match Entrant::find(name) {
            Ok(entrant) => entrants.push(entrant),
            Err(error @ BenchError::NotInstalled { .. }) if name != LONGSHORE => {
                eprintln!("bench: goes on without {name}: {error}");
            }
            Err(error) => return Err(error),
        }
    }
    for pair in &options.peer {
        entrants.push(Entrant::running(pair)?);
    }
    if options.store == Store::S3 {
        entrants.retain(Entrant::is_registry);
    }
    if entrants.is_empty() {
        return Err(BenchError::Usage("nobody takes part".to_owned()));
    }
    Ok(entrants)
}
