//! The orchestrator's hand on this node: runs the pods that it says, over the container runtime interface, and tells how they are.
//!
//! [`link`] hears what is to be and tells how things are; [`roster`] owns the pods, each with a task ([`worker`]) that carries out what its
//! pure machine ([`pod`]) decides; [`make`] says to the runtime what a pod is made of, and [`cri`] asks it. [`board`] has what there is to
//! tell, [`images`] which layers are here, [`logs`] what pods write.
//!
//! What it promises:
//!
//! - **What runs runs on.** Neither the agent's end nor the orchestrator's or the runtime's absence stops a container. What is to be is in a
//!   file ([`kept`]) that the next start reads; what the runtime has is taken up by its labels.
//! - **Compared, never played again.** What is done follows from what is to be and what there is; both may be told any number of times.
//! - **Its own alone.** Whatever has not this agent's label is never touched.
//! - **Nothing left behind.** Of a pod that is over there is no container, sandbox or file.
//! - **Bounded.** Pulls at once, times of calls, lengths of lines, files of logs; waits between tries double up to a longest.

mod board;
mod cri;
mod hands;
mod images;
mod kept;
mod link;
mod logs;
mod machine;
mod make;
mod metrics;
mod pace;
mod pod;
mod roster;
mod start;
mod watching;
mod worker;

pub use cri::Logins;
pub use start::{Agent, AgentError, Beside};
pub use watching::has_pod_network;
