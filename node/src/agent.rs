//! The orchestrator's hand on this node: runs the pods that it says over the container runtime interface.
pub mod cri;
mod make;
mod pod;
