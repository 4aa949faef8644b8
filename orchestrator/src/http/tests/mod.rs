//! The API as its callers see it: a real server on loopback, a real SQLite file; the registry and the leader are played.

mod access;
mod agents;
mod fixture;
mod fleet;
mod watching;
mod workloads;
