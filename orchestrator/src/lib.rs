//! Decides where and when: places work where its layers already are.
//!
//! Callers declare what is to run; it is kept in a database, beside what nodes say is so. Any number of replicas serve the API; one of
//! them leads, decides where pods go, and tells nodes what to run.

mod access;
mod app;
mod audit;
mod charge;
mod config;
pub mod control;
mod error;
mod feed;
mod forwarding;
mod http;
mod image;
mod labels;
pub mod lead;
mod logs;
mod orchestrator;
pub mod rollout;
pub mod schedule;
mod start;
pub mod state;
mod sweeper;
mod view;

pub use app::App;
pub use config::{AuthMode, Config, DAEMON, DatabaseKind};
pub use image::{ImageError, ImageResolver, ImageVerdict, Resolved};
pub use start::{StartError, build};
