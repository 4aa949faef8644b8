//! What every Longshore daemon does alike: configuration, logs and traces, metrics, listening, health, shutdown.
//!
//! Nothing here knows what a daemon serves. A daemon reads its [`config`], starts [`telemetry`], binds a
//! [`listener`] for its clients and another for its [`admin`], and serves both until [`shutdown`] is asked for.

pub mod admin;
pub mod budget;
pub mod byte_count;
pub mod config;
pub mod descriptor_limit;
pub mod doors;
pub mod error_text;
pub mod fetch;
pub mod listener;
pub mod metrics;
pub mod own_address;
pub mod private_files;
pub mod request_id;
pub mod shutdown;
pub mod signing;
pub mod telemetry;
