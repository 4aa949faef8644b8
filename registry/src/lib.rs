//! The registry: keeps images and vouches for them.
//!
//! A request's path becomes a route in `http/`; its bytes go through `upload/` to a store in `storage/`, or come from one through
//! `delivery/`; what is where stands in the database behind `state/`, and beside the blobs as a `record`. [`build`] puts these
//! together from a [`Config`], [`App::run`] serves until it is told to stop, and [`reindex`] rebuilds the database from the store.

mod access;
mod app;
mod audit;
mod config;
mod delivery;
mod disk;
mod error;
mod feed;
mod http;
mod keys;
mod links;
mod memory;
mod peers;
mod policy;
mod random;
mod record;
mod redirect;
mod registry;
mod reindex;
mod signature;
mod start;
mod state;
mod storage;
mod sweep;
mod throttle;
mod tuf;
mod upload;
mod verdicts;

pub use access::{Credentials, RobotError};
pub use app::App;
pub use config::{Config, DAEMON, StorageKind};
pub use peers::Peers;
pub use policy::{
    Document as PolicyDocument, InlineError as PolicyInlineError, PolicyError, check_name as check_policy_name,
    inline as inline_policy, told as policy_error_told,
};
pub use reindex::{ReindexError, ReindexProgress, ReindexReport, reindex};
pub use signature::{
    Evidence, Form as EvidenceForm, Key as SignatureKey, Keyless, Signer, Syntax as EnvelopeSyntax, Target as SignatureTarget,
    Trust as NotationTrust, TrustStore, TrustedAuthority,
};
pub use start::{StartError, build, reset_administrator};
