//! What runs beside a container runtime on each node: a mirror that the runtime pulls from, and the node's part in the swarm.
//!
//! A node's cache is an edge cache, whose first source is the swarm: [`neighbours`] puts it there. What the swarm is told of this node is
//! in [`holdings`] (what is here), [`rights`] (who may have it) and [`topics`] (of which blobs others may know). [`runtime`] is
//! what containerd holds and runs beside the node, and [`mirror`] how a runtime is told to pull through the node.

mod agent;
mod app;
mod asking;
pub mod config;
mod finding;
mod holdings;
mod joining;
pub mod mirror;
mod neighbours;
mod origin;
mod reached;
mod rights;
mod runtime;
mod start;
mod status;
mod telling;
mod topics;
mod unreached;

pub use agent::has_pod_network;
pub use app::App;
pub use config::{Config, DAEMON};
pub use rights::CacheAdmission;
pub use start::{StartError, build};
