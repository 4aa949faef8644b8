//! A simulator of the swarm: the product's own decisions, on simulated links, from event to event.
//!
//! Each node has the product's `Download`s, `Uploads` and `Acquaintances`, and two of them have its `Tracker`; time and chance are handed
//! in, so one seed gives one run. What binds them here follows `longshore_p2p::swarm`: what is heard, in which order it is acted upon, and
//! the pauses. [`network`] says what links are like. What is left out: the bytes, processors and disks (a piece takes [`Shape::check`] to
//! be checked and [`Shape::landing`] to be there), who may have what (it takes [`Shape::rights`]), and limits of rates.

mod agenda;
mod announcing;
pub mod chart;
mod connecting;
mod deciding;
mod hearing;
pub mod measure;
mod network;
mod node;
pub mod options;
mod post;
mod run;
pub mod shape;
mod table;
mod world;

pub use self::{
    measure::Figures,
    options::SimulateOptions,
    run::simulate,
    shape::{Scenario, Shape},
    world::World,
};

#[cfg(test)]
mod tests;
