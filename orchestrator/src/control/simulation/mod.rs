//! The whole control loop, with time, a network and crashes that follow from a seed.
//!
//! Leaders crash, are cut off and overtaken; commits are lost and come twice; nodes fall silent, are switched off and come back; callers
//! change what is wanted meanwhile. Whatever happens, no pod is placed twice, no node is promised to more than it has, nor runs more; what
//! leaders order keeps disruption budgets and the bounds of rollouts, by what they know ([`witness`]); and once nothing happens any more,
//! what is asked for and fits runs.

mod agent;
mod cases;
mod database;
mod witness;
mod world;

use super::ControlSettings;
use witness::Counts;
use world::{Faults, World};

/// How many seeds are tried: a few by default, thousands where that is asked for.
fn seeds() -> u64 {
    let asked = std::env::var("LONGSHORE_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    asked.unwrap_or(if std::env::var_os("LONGSHORE_SOAK").is_some() { 5_000 } else { FEW })
}

/// How many seeds show all that is to be shown.
const FEW: u64 = 60;

/// The seed that is tried first.
fn from() -> u64 {
    std::env::var("LONGSHORE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0)
}

/// What becomes of one world.
fn run(seed: u64, faults: Faults) -> Counts {
    // Jobs that fail a few times are over before a world is looked at.
    let settings = ControlSettings { first_retry_ms: 1_000, longest_retry_ms: 20_000, ..ControlSettings::default() };
    let mut world = World::new(seed, settings, faults);
    world.run(120_000);
    world.settle();
    world.assert_settled();
    world.counts
}

/// What becomes of so many worlds, in which all that is to be shown has happened.
fn run_all(seeds: u64, faults: Faults) {
    let mut counts = Counts::default();
    for seed in from()..from() + seeds {
        counts += run(seed, faults);
    }
    let never = counts.never(faults == Faults::All);
    assert!(seeds < FEW || never.is_empty(), "in none of {seeds} worlds it has happened that {never:?}: {counts:?}");
}

#[test]
fn comes_to_what_is_wanted_whatever_happens() {
    run_all(seeds(), Faults::All);
}

#[test]
fn comes_to_what_is_wanted_where_nothing_fails() {
    run_all(seeds() / 3, Faults::None);
}
