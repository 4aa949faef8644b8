//! A container runtime, asked over its socket by the container runtime interface, version 1 (Kubernetes' `cri-api`): containerd and CRI-O
//! speak it.
//!
//! Each call has an end. A runtime that is not there is [`CriError::Down`], and is connected to again with the next call.

mod calls;
mod client;
mod error;
mod logins;
pub mod wire;

pub use client::Cri;
pub use error::CriError;
pub use logins::{Login, Logins};
