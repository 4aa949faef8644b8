//! Real sockets on loopback: trackers, peers, and those who mean them ill.

mod announcing;
mod bed;
mod bounds;
mod dying;
mod fleets;
mod patience;
mod raw;
mod records;
