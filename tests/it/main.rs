//! The integration tests: each drives the real `longshore` binary, most of them once on a folder with SQLite and once on S3 with
//! PostgreSQL. What they need to be installed, `tests/install.sh` installs.
#![allow(clippy::pedantic, clippy::large_futures, reason = "what these ask for is for code that others call and that runs long")]
// A test's name says what it shows; its panics are its verdict.
#![allow(missing_docs, clippy::missing_panics_doc)]

mod access;
mod account_mistakes;
mod accounts;
mod administrator;
mod architecture;
mod certificates;
mod clients;
mod contention;
mod cosign;
mod crash;
mod credentials;
mod damage;
mod deletes;
mod drain;
mod faults;
mod guessing;
mod harness;
mod hidden;
mod issuer_commands;
mod issuer_mistakes;
mod issuers;
mod keyless;
mod keys;
mod lies;
mod lists;
mod logins;
mod manifests;
mod memory;
mod model;
mod notation;
mod operator;
mod overwrites;
mod part_ends;
mod policies;
mod policy;
mod pull;
mod push;
mod referrers;
mod refusals;
mod reindex;
mod replicas;
mod revocation;
mod s3_calls;
mod scale;
mod signatures;
mod throttle;
mod tokens;
mod workload_clients;
mod workload_keys;
mod workload_sessions;
mod workload_tokens;
mod workloads;
