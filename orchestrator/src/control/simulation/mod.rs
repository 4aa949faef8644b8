//! The whole control loop, with time, a network and crashes that follow from a seed.
//!
//! Leaders crash, are cut off and overtaken; commits are lost and come twice; nodes fall silent, are switched off and come back; callers
//! change what is wanted meanwhile. Whatever happens, no pod is placed twice, no node is promised to more than it has, nor runs more; and
//! once nothing happens any more, what is asked for and fits runs.

mod agent;
mod cases;
mod database;
mod world;

use super::ControlSettings;
use world::{Faults, World};

/// How many seeds are tried: a few by default, thousands where that is asked for.
fn seeds() -> u64 {
    if std::env::var_os("LONGSHORE_SOAK").is_some() { 5_000 } else { 100 }
}

/// Seeds that are tried first: they have found something once.
fn from() -> u64 {
    std::env::var("LONGSHORE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0)
}

#[test]
fn comes_to_what_is_wanted_whatever_happens() {
    for seed in from()..from() + seeds() {
        let mut world = World::new(seed, ControlSettings::default(), Faults::All);
        world.run(120_000);
        world.settle();
        world.assert_settled();
    }
}

#[test]
fn comes_to_what_is_wanted_where_nothing_fails() {
    for seed in from()..from() + seeds() / 3 {
        let mut world = World::new(seed, ControlSettings::default(), Faults::None);
        world.run(120_000);
        world.settle();
        world.assert_settled();
    }
}
