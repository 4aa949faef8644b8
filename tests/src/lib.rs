//! The harness of the integration tests: real processes, real clients, and a wire that can be made to fail.
//!
//! Nothing here stands in for a part of the registry or of a client. [`Registry`] is the `longshore` binary, [`Postgres`] a
//! cluster of its own, [`S3`] an S3 server over a folder, [`Docker`] and [`Containerd`] daemons of their own, [`Sigstore`] the servers
//! that signatures without keys take. [`ControlPlane`] is what a node's agent hears of an orchestrator, and [`PlayedNodes`] are
//! what an orchestrator hears of nodes. [`TokenIssuer`] says who workloads are, right or wrong. [`Edge`] is the
//! binary again, as an edge cache, and [`Upstream`] a registry that lies to it. [`Wire`] goes between two of them, counts
//! what passes and, when told to, loses, delays, cuts or refuses it. [`Lab`] is a fleet: a registry and nodes, each on a machine of its
//! own, with links of known bandwidth between them.
//!
//! Invariants: everything listens on loopback, on a port that was free, or in a network that the tests have made. Every process is ended by its pid, at the latest when the
//! test process ends. Every file lies below one folder, which is gone after that. Nothing waits for a fixed time: [`until`] asks
//! again until an answer or a limit.
//!
//! Like any test, the harness says what is wrong by panicking.
#![allow(clippy::pedantic, clippy::large_futures, reason = "what these ask for is for code that others call and that runs long")]
#![allow(clippy::missing_panics_doc, clippy::missing_errors_doc)]

mod asked_bytes;
mod authority;
mod backend;
mod binary;
mod client;
mod command;
mod containerd;
mod control_plane;
mod cosign;
mod docker;
mod edge;
mod edge_upstream;
mod federation;
mod helm;
mod image;
mod index;
mod issuer;
mod lab;
mod layout;
mod namespace;
mod old_sigstore;
mod orchestrator;
mod played_nodes;
mod podman;
mod ports;
mod postgres;
mod process;
mod random;
mod raw;
mod registry;
mod run_folder;
mod s3;
mod scale;
mod settings;
mod signer;
mod sigstore;
mod timestamps;
mod token_issuer;
mod token_key;
mod tuf_repository;
mod turns;
mod until;
mod upstream;
mod wire;
mod workload;

pub use authority::{Authority, Certified};
pub use backend::{Backend, on_a_runtime};
pub use binary::longshore;
pub use client::{Account, Answer, Client, Taken, Upload};
pub use command::{Output, done, refused, run, run_ok, run_with_input};
pub use containerd::Containerd;
pub use control_plane::ControlPlane;
pub use cosign::Cosign;
pub use docker::Docker;
pub use edge::Edge;
pub use edge_upstream::EdgeUpstream;
pub use federation::Federation;
pub use helm::Helm;
pub use image::{Image, artifact, descriptor, digest_of, image_index, media_type};
pub use index::Index;
pub use issuer::Issuer;
pub use lab::{Clock, Lab, LabDaemon, LabPlan, Liar, Links, Machine, Measures, Network, Pulled, Usage};
pub use layout::{Layout, ROOT_FILE_SYSTEM_WORDS};
pub use namespace::Namespace;
pub use old_sigstore::{OldSignature, OldSigstore};
pub use orchestrator::Orchestrator;
pub use played_nodes::{Heard, NodeLedger, PlayedFleet, PlayedNodes};
pub use podman::Podman;
pub use ports::free_port;
pub use postgres::{Database, Postgres};
pub use process::Process;
pub use random::Random;
pub use raw::RawAnswer;
pub use registry::Registry;
pub use run_folder::{run_folder, temporary_folder};
pub use s3::{Bucket, S3, go_program};
pub use scale::{is_soak, scaled};
pub use settings::Settings;
pub use signer::{Signer, bundle_manifest, bundle_of, simple_manifest, simple_payload, statement};
pub use sigstore::{FulcioAuthority, Sigstore};
pub use timestamps::Timestamps;
pub use token_issuer::{Manner, TokenIssuer};
pub use token_key::{TokenKey, unsigned};
pub use tuf_repository::{Files, TufRepository, hexadecimal};
pub use until::until;
pub use upstream::{Asked, Misdeed, Plan, Upstream};
pub use wire::{Call, Fault, Rule, Wire};
