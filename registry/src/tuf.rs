//! Trusted roots of Sigstore's that are kept current by The Update Framework (TUF).
//!
//! A policy may leave its trusted root to a TUF repository. What that said last is on this machine: verification asks nobody. Tasks,
//! one a repository ([`Keeper`]), ask those that policies in force name, now and then, and put what is new in force; a repository that
//! does not answer, or whose answer does not hold, changes nothing. The rules of TUF are `sigstore-tuf`'s.
//!
//! Invariants: a root is believed after its repository's whole chain of metadata was verified, from the root metadata that is built in
//! or configured. What comes from the disk is verified again as what comes from the network is. Replicas do all this each for itself.

mod folder;
mod keeper;
mod repository;
mod roots;
mod server;

pub use keeper::{Keeper, Pace, Told};
pub use repository::{Answer, BUILT_IN, Repository, TufError, check_bootstrap};
pub use roots::Roots;
