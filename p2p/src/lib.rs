//! The swarm: who has which pieces of a blob, and moving them from neighbour to neighbour.
//!
//! What decides is pure: [`download`] says whom to ask for which piece, [`upload`] whom to serve next, [`tracker`] who is told of whom and
//! who may ask the origin, [`acquaintance`] whom to know and whom to shun. Time and randomness are handed in, so a simulator runs the same
//! code. At the rim are [`plane`], the connections on which pieces travel, and [`control`], by which peers and trackers find each other;
//! [`wire`] is what is said on the plane. [`swarm`] is a node of it all at work.

pub mod acquaintance;
pub mod control;
pub mod download;
pub mod locality;
pub mod moment;
mod network;
pub mod plane;
pub mod record;
pub mod swarm;
pub mod topic;
pub mod tracker;
pub mod upload;
pub mod wire;
